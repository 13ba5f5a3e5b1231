/* An asynchronous sequence as a table of named steps over libev.
 *
 * A step's run returns NEXT (done), WAIT (a callback will call flow_next or flow_fail) or FAIL (the reason is in
 * flow_why). After a failure, a deadline or a cancel the flow unwinds: the undo of every step that was *entered* runs
 * in reverse order. This includes the failed step, because the outcome of a timed-out call is unknown. So an undo must
 * be idempotent and must cope with a step that did nothing. `done` is called exactly once, never before flow_start
 * returns. The flow frees itself after done; drop the pointer there. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "fault.h"

struct ev_loop;
struct flow;

enum flow_verdict { FLOW_NEXT, FLOW_WAIT, FLOW_FAIL };

typedef enum flow_verdict (*flow_act)(struct flow *flow, void *subject);

struct step {
        const char *name;
        flow_act run;
        flow_act undo;     /* NULL: nothing to undo. After its FAIL unwinding goes on. */
        double deadline_s; /* of run and of undo, each; 0: unbounded, only for steps that never WAIT */
};

struct flow_plan {
        const char *name;         /* "ensure": the first word of its failpoints and metrics */
        const struct step *steps; /* ends with an entry whose name is NULL */
        /* Cancels the call that the current step waits for, so that its callback never runs. Must cope with a step that
         * waits for nothing (a hanging failpoint). Called when a deadline ends a waiting run or undo, and from inside
         * flow_cancel when that ends a waiting run. NULL: no step ever waits. */
        void (*abandon)(void *subject);
        /* why is NULL on success, else the first failure. */
        void (*done)(void *subject, const struct fault *why);
};

/* Gets the end of every run and of every undo, for metrics and the log. Either may be NULL. */
struct flow_observer {
        void (*on_step)(void *arg, const char *flow, const char *step, double duration_s, bool has_succeeded);
        void *arg;
        /* The only place where a failed undo is reported: done gets the first failure. why is NULL on success. */
        void (*on_undo)(void *arg, const char *flow, const char *step, double duration_s, const struct fault *why);
};

/* The flow starts at the loop's next turn. Borrows loop, plan and observer (which may be NULL) for its life. Returns 0
 * or -ENOMEM. */
__attribute__((warn_unused_result)) int flow_start(struct flow **ret_flow, struct ev_loop *loop,
                                                   const struct flow_plan *plan, void *subject,
                                                   const struct flow_observer *observer);

/* The awaited call succeeded: the flow goes on at the loop's next turn. Call it only while the flow waits, or from
 * inside a step that then returns WAIT. A second call is a bug and is ignored. */
void flow_next(struct flow *flow);

/* The awaited call failed. Copies *why. */
void flow_fail(struct flow *flow, const struct fault *why);

/* Fails the flow with *why (copied); it unwinds from the loop's next turn on. No effect on a flow that has failed, or
 * inside done. */
void flow_cancel(struct flow *flow, const struct fault *why);

/* The fault that a step fills before it returns FLOW_FAIL: fault_set(flow_why(flow), ...). */
struct fault *flow_why(struct flow *flow);

/* Whether the flow unwinds, and the name of the current step ("": it is in no step). */
bool flow_is_unwinding(const struct flow *flow);
const char *flow_step_name(const struct flow *flow);

/* Frees a flow without unwinding and without calling done, for the end of the process. NULL is fine; returns NULL. */
struct flow *flow_free(struct flow *flow);
