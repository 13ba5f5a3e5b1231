/* Scans the pool's carrels, a bounded piece at a time, and does with each what the judge decides. */
#pragma once

#include "judge.h"
#include "pool.h"

/* The carrels that pressure freezes or reclaims first: those that have been idle longest. */
enum { SCAN_ELDEST = 8 };

struct scan_elder {
        char user[USER_ID_MAX + 1];
        int64_t idle_ms;
};

struct scan {
        char after[USER_ID_MAX + 1];           /* the next piece begins after this user; "": at the first */
        struct scan_elder eldest[SCAN_ELDEST]; /* of this pass, the longest idle first */
        unsigned n_eldest;
};

struct scan_piece {
        unsigned retired;  /* retirements begun */
        bool is_last;      /* the piece reached the end of the pool */
        bool is_throttled; /* stopped early because retire_max was reached */
};

void scan_facts(const struct carrel_view *view, struct judge_facts *ret_facts);

/* The rules of a scan. */
struct scan_rules {
        struct judge_rules judge;
        struct judge_rules
                pressed; /* under memory pressure, for the eldest of the pass; freeze_after_ms 0: no pressure */
};

/* Judges at most the next 128 carrels and begins at most retire_max retirements. Advances scan->after, and resets it at
 * the end. Under pressure, the last piece of a pass freezes or reclaims the eldest. */
struct scan_piece scan_next(struct scan *scan, struct pool *pool, const struct scan_rules *rules, unsigned retire_max);
