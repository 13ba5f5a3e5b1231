/* Scans the pool's carrels, a bounded piece at a time, and retires those that the judge stops. */
#pragma once

#include "judge.h"
#include "pool.h"

struct scan {
        char after[USER_ID_MAX + 1]; /* the next piece begins after this user; "": at the first */
};

struct scan_piece {
        unsigned retired;  /* retirements begun */
        bool is_last;      /* the piece reached the end of the pool */
        bool is_throttled; /* stopped early because retire_max was reached */
};

void scan_facts(const struct carrel_view *view, struct judge_facts *ret_facts);

/* Judges at most the next 128 carrels and begins at most retire_max retirements. Advances scan->after, and resets it at
 * the end. */
struct scan_piece scan_next(struct scan *scan, struct pool *pool, const struct judge_rules *rules, unsigned retire_max);
