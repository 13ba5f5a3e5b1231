#include "output-pace.h"

double output_pace_take(struct output_pace *pace, double now_s)
{
        double spent = pace->spent - (now_s - pace->at_s) * OUTPUT_PACE_PER_S;

        pace->spent = spent > 0 ? spent : 0;
        pace->at_s = now_s;
        if (pace->spent + 1 > OUTPUT_PACE_BURST)
                return (pace->spent + 1 - OUTPUT_PACE_BURST) / OUTPUT_PACE_PER_S;
        pace->spent += 1;
        return 0;
}

void output_pace_forgive(struct output_pace *pace)
{
        pace->spent = 0;
}
