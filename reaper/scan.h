/* Going through the pool's carrels and retiring those that the judge stops, a bounded piece at a time. */
#pragma once

#include "judge.h"
#include "pool.h"

struct scan {
        char after[USER_ID_MAX + 1]; /* where the next piece begins; "": at the front */
};

struct scan_piece {
        unsigned retired;  /* retirements begun */
        bool is_last;      /* the end of the pool was reached */
        bool is_throttled; /* stopped early because retire_max was reached */
};

void scan_facts(const struct carrel_view *view, struct judge_facts *ret_facts);

/* Looks at the next 128 carrels at most and begins at most retire_max retirements. Moves scan->after on, and back to
 * the front at the end. */
struct scan_piece scan_next(struct scan *scan, struct pool *pool, const struct judge_rules *rules, unsigned retire_max);
