/* Requests that wait until a carrel is made or removed. Each gets exactly one answer: the result of the task, that of a
 * later judgement, or FAULT_DEADLINE. */
#pragma once

#include "carrel.h"

/* One request of pool_ensure or pool_retire. */
struct pool_wait {
        struct pool *pool;
        struct carrel *carrel; /* that it waits for; NULL: for the end of a hold */
        struct list node;
        ev_timer deadline;
        char user[USER_ID_MAX + 1];
        struct carrel_spec spec;
        enum on_conflict on_conflict;
        bool is_with_task; /* the running task's result answers it; else it is judged again when the task ends */
        pool_on_ensured on_ensured; /* of an ensure */
        pool_on_done on_done;       /* of a retirement; may be NULL */
        void *arg;
};

/* Copies *asked to the heap and starts its deadline. NULL: out of memory. */
struct pool_wait *wait_new(const struct pool_wait *asked);
/* Appends it to one of the carrel's lists. */
void wait_at(struct pool_wait *wait, struct carrel *carrel, struct list *list);
/* Unlinks and frees it, then calls back. Exactly one of ensured and why is set; both are NULL for a retirement that
 * succeeded. */
void wait_answer(struct pool_wait *wait, const struct pool_ensured *ensured, const struct fault *why);
/* Takes the first one out of the list; NULL: the list is empty. */
struct pool_wait *wait_pop(struct list *list);
/* Answers every request in the list with why. */
void wait_answer_all(struct list *list, const struct fault *why);
