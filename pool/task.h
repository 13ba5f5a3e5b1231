/* The state of one queued or running start, adoption or retirement of a carrel; freed at its end. */
#pragma once

#include <ev.h>

#include "carrel.h"
#include "flow.h"

struct task {
        struct carrel *carrel;
        struct flow *flow;       /* NULL while it is queued */
        struct list queued;      /* in the admission's queue */
        struct carrel_spec spec; /* resolved: of the carrel to make */
        enum carrel_state from;  /* the carrel's state before: READY, LOST, or QUEUED if it was made for this start */
        enum ensure_outcome outcome;
        double began_s;

        struct engine_call *call;
        struct netpolicy_call *net_call;
        struct remount *remount;
        struct attach_call *attach_call;
        struct disk_call *disk_call;
        int disk_fd;           /* the mount of the user's image, until it is attached; -1: none */
        struct fault open_why; /* claim: of the link that net_call opened; FAULT_NONE: none */
        bool is_open_awaited;  /* claim: its step open waits for net_call */
        ev_timer patience;     /* bounds the wait for an optional agent */
        ev_timer look;         /* the next verification of a container whose hardening is not complete yet */
        double look_delay_s, looking_since_s;
        char stale_id[CONTAINER_ID_BYTES]; /* the container to clear first; "" once it is gone */
        char reason[CARREL_REASON_BYTES];
        struct exec_ids *killed;      /* in the container that was cleared; NULL: no exec was */
        unsigned creates;             /* requests to create, so far */
        bool has_taken;               /* the container of a warm carrel */
        bool has_died;                /* the engine has reported the container's end */
        uint64_t recalled_generation; /* adoption: of the ledger */
        bool is_paused;               /* the engine reported the container as paused */
        bool is_thawing;              /* the flow THAW */
        unsigned n_looks;             /* FREEZE, THAW: at the freezer, so far */
        bool is_from_outside;         /* the same: ask the engine whether it has paused the container */
        bool is_undo_unclean;         /* a container of this flow may still exist */
        pool_on_done on_done;         /* of an adoption; may be NULL */
        void *arg;
};

/* NULL: out of memory. Becomes carrel->task. */
struct task *task_new(struct carrel *carrel);
/* Cancels its calls and its flow, and clears carrel->task. NULL is fine; returns NULL. */
struct task *task_free(struct task *task);

/* Cancels the call that the current step waits for (flow_plan.abandon). */
void task_abandon(void *subject);
/* Closes disk_fd. A mount that is not attached goes. */
void task_drop_disk(struct task *task);
/* "queued" or the name of the flow's step; "" when task is NULL. */
const char *task_step(const struct task *task);
/* Whether a new request may join this task and share its result. */
bool task_is_open(const struct task *task);

/* The return of a step after a request to the engine or the helper: WAIT if err is 0, else FAIL with flow_why set. */
enum flow_verdict task_asked(struct task *task, int err);
/* Resumes the flow after a call: why is NULL on success. */
void task_resume(struct task *task, const struct fault *why);
