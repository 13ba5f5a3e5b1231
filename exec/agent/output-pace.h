/* How often one output is read. Each read costs carreld some 30 us, with its wake and the send that follows, however
 * little there is. So a program that writes small pieces without end would take most of carreld's time, and would write
 * less than it could, because each of its writes wakes carreld. Bytes pay for reads. The other reads are bounded: a
 * burst is free, and after it, output waits in its pipe for about a millisecond, and one read takes all of it. Pure. */
#pragma once

#include <stddef.h>

enum {
        OUTPUT_PACE_BURST = 64,
        OUTPUT_PACE_PER_S = 1000,
        OUTPUT_PACE_READ_BYTES = 1 << 16, /* so many pay for one read */
        OUTPUT_PACE_SAVED = 1000,         /* for at most so many reads can be paid in advance */
};

/* All zero: the burst is unused. */
struct output_pace {
        double spent; /* reads that neither time nor bytes have paid for yet; below 0: paid in advance, by bytes */
        double at_s;  /* when that was true */
};

/* Counts a read at now_s, of any clock that does not go back. Returns 0, or for how many seconds to wait: then nothing
 * was counted. */
double output_pace_take(struct output_pace *pace, double now_s);
/* A read has found so many bytes. */
void output_pace_pay(struct output_pace *pace, size_t bytes);
