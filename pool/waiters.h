/* Who waits for a carrel to be made or removed. Each gets exactly one answer: the task's result, a re-evaluation's,
 * or FAULT_DEADLINE. Inside the pool room only. */
#pragma once

#include "carrel.h"

/* What a caller of pool_ensure or pool_retire asked for. */
struct pool_wait {
        struct pool *pool;
        struct carrel *carrel; /* at which it waits */
        struct list node;
        ev_timer deadline;
        char user[USER_ID_MAX + 1];
        struct carrel_spec spec;
        enum on_conflict on_conflict;
        bool is_with_task; /* the result of the carrel's running task is its own; else it is re-evaluated then */
        pool_on_ensured on_ensured; /* of an ensure */
        pool_on_done on_done;       /* of a retirement; may be NULL */
        void *arg;
};

/* A copy of *asked on the heap, with its deadline running. NULL: out of memory. */
struct pool_wait *wait_new(const struct pool_wait *asked);
/* Puts it at the end of a list of the carrel's. */
void wait_at(struct pool_wait *wait, struct carrel *carrel, struct list *list);
/* Unlinks and frees, then calls. Exactly one of ensured and why; both NULL for a retirement that succeeded. */
void wait_answer(struct pool_wait *wait, const struct pool_ensured *ensured, const struct fault *why);
/* The first one taken out of the list, or NULL. */
struct pool_wait *wait_pop(struct list *list);
/* Answers all of the list with why. */
void wait_answer_all(struct list *list, const struct fault *why);
