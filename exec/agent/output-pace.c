#include "output-pace.h"

double output_pace_take(struct output_pace *pace, double now_s)
{
        double repaid = (now_s - pace->at_s) * OUTPUT_PACE_PER_S;

        if (pace->spent > 0)
                pace->spent = pace->spent > repaid ? pace->spent - repaid : 0;
        pace->at_s = now_s;
        if (pace->spent + 1 > OUTPUT_PACE_BURST)
                return (pace->spent + 1 - OUTPUT_PACE_BURST) / OUTPUT_PACE_PER_S;
        pace->spent += 1;
        return 0;
}

void output_pace_pay(struct output_pace *pace, size_t bytes)
{
        double spent = pace->spent - (double)bytes / OUTPUT_PACE_READ_BYTES;

        pace->spent = spent > -OUTPUT_PACE_SAVED ? spent : -OUTPUT_PACE_SAVED;
}
