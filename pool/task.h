/* What one start, adoption or retirement of a carrel needs while it waits and runs; freed at its end.
 * Inside the pool room only. */
#pragma once

#include <ev.h>

#include "carrel.h"
#include "flow.h"

struct task {
        struct carrel *carrel;
        struct flow *flow;       /* NULL while it waits for a free start */
        struct list queued;      /* in the admission's queue */
        struct carrel_spec spec; /* resolved: what is to be made */
        enum carrel_state from; /* what the carrel was before: READY, LOST, or QUEUED when it was made for this start */
        enum ensure_outcome outcome;
        double began_s;

        struct engine_call *call;
        struct netpolicy_call *net_call;
        struct remount *remount;
        ev_timer patience; /* with an agent that is not required */
        ev_timer look;     /* the next look at a container that is not yet what it shall be */
        double look_delay_s, looking_since_s;
        char stale_id[CONTAINER_ID_BYTES]; /* the container to clear first; "" once it is gone */
        char reason[CARREL_REASON_BYTES];
        struct exec_ids *killed; /* in the container that was cleared; NULL: none */
        unsigned creates;        /* asked of the engine */
        bool has_died;           /* the engine told so */
        bool is_paused;          /* adoption: the engine said that somebody had paused the container */
        bool is_undo_unclean;    /* a container of this flow may be left */
        pool_on_done on_done;    /* of an adoption; may be NULL */
        void *arg;
};

/* NULL: out of memory. Becomes carrel->task. */
struct task *task_new(struct carrel *carrel);
/* Cancels its calls and its flow; NULL is fine; returns NULL. The carrel's task is NULL then. */
struct task *task_free(struct task *task);

/* Drops the call that the current step waits for: a flow's `abandon`. */
void task_abandon(void *subject);
/* "queued", the flow's step, or "" for no task. */
const char *task_step(const struct task *task);
/* Whether a request that comes now may still take this task's result for its own. */
bool task_is_open(const struct task *task);

/* A step's return after it asked the engine or the helper: WAIT, or FAIL with the errno in flow_why. */
enum flow_verdict task_asked(struct task *task, int err);
/* Resumes the flow after a call whose answer holds nothing but success or a fault. */
void task_resume(struct task *task, const struct fault *why);
