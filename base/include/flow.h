/* An asynchronous sequence as a table of named steps over libev.
 *
 * Each step's run answers NEXT (done), WAIT (a callback will call flow_next or flow_fail) or FAIL
 * (the reason is in flow_why). Failure, deadline and cancel unwind: the undo of every step that was
 * *entered* runs in reverse, the failed one's included, because after a timed-out call its outcome is
 * unknown. So an undo is idempotent and copes with a step that did nothing. `done` fires exactly once,
 * never from inside flow_start. The flow frees itself after done; forget the pointer there. */
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
        flow_act undo;     /* NULL: nothing to undo. Its FAIL is recorded, and unwinding goes on. */
        double deadline_s; /* for run and for undo each; 0: none (only for steps that never WAIT) */
};

struct flow_plan {
        const char *name;         /* "ensure": the first word of its failpoints and metrics */
        const struct step *steps; /* ends with an entry whose name is NULL */
        /* Drops whatever the current step waits for, so that its callback never comes; copes with a step that waits
         * for nothing (a hanging failpoint). Called when a waiting run is ended by its deadline or, before that
         * returns, by flow_cancel; and when a waiting undo is ended by its deadline. NULL: nothing ever waits. */
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

/* Starts at the loop's next turn. Borrows loop, plan and observer (which may be NULL) for the flow's life.
 * Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int flow_start(struct flow **ret_flow, struct ev_loop *loop,
                                                   const struct flow_plan *plan, void *subject,
                                                   const struct flow_observer *observer);

/* The awaited thing happened: the flow goes on at the loop's next turn. Only while the flow waits, or from inside a
 * step that then answers WAIT; a second call is a bug and is ignored. */
void flow_next(struct flow *flow);

/* The awaited thing failed. Copies *why. */
void flow_fail(struct flow *flow, const struct fault *why);

/* Ends the flow as failed with *why (copied) and unwinds, from the loop's next turn on. No effect when it has failed
 * already or inside done. */
void flow_cancel(struct flow *flow, const struct fault *why);

/* Where a step that answers FLOW_FAIL says why: fault_set(flow_why(flow), ...). */
struct fault *flow_why(struct flow *flow);

/* For an undo that needs to know: is the flow unwinding? And the name of the current step ("" outside of any). */
bool flow_is_unwinding(const struct flow *flow);
const char *flow_step_name(const struct flow *flow);

/* Frees a flow without unwinding and without done; for the end of the process. NULL is fine; returns NULL. */
struct flow *flow_free(struct flow *flow);
