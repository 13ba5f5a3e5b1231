/* How often one output is read. Each read costs carreld some 30 us, with its wake and the send that follows, however
 * little there is. So a program that writes single lines without end would take most of carreld's time. Some small
 * reads in a row are free. After those, output waits in its pipe for about a millisecond, and one read takes all of it.
 * Pure. */
#pragma once

enum { OUTPUT_PACE_BURST = 64, OUTPUT_PACE_PER_S = 1000 };

/* All zero: the burst is unused. */
struct output_pace {
        double spent; /* reads that time has not given back yet */
        double at_s;  /* when that was true */
};

/* Counts a read at now_s, of any clock that does not go back. Returns 0, or for how many seconds to wait: then nothing
 * was counted. */
double output_pace_take(struct output_pace *pace, double now_s);
/* The last read found so much that it was worth it. */
void output_pace_forgive(struct output_pace *pace);
