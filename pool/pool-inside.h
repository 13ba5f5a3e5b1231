/* The pool's state, as its parts see it. */
#pragma once

#include <ev.h>

#include "admission.h"
#include "carrel-table.h"
#include "cgroup.h"
#include "flow.h"
#include "ledger.h"
#include "listeners.h"
#include "past.h"
#include "pool-options.h"
#include "pool.h"
#include "warm.h"

struct carrel_exec;
struct hold;

struct survey_task {
        pool_on_survey on_survey; /* NULL: no survey runs */
        void *arg;
        struct engine_call *call;
        uint64_t asked_at_ready_number;
};

struct pool {
        struct ev_loop *loop;
        struct engine *engine;
        struct netpolicy *netpolicy;
        struct execs *execs;
        const struct flow_observer *observer;
        struct pool_options options;
        int users_fd;
        int vacant_fd;                /* the empty directory on /workspace in a warm carrel */
        struct cgroup_mounts cgroups; /* of the host; not set with POOL_HARDENING_TRUSTED */
        struct ledger *ledger;
        struct table table;
        struct admission admission;
        ev_timer grant; /* zero delay: starts queued tasks */
        struct listeners listeners;
        struct past past;
        struct carrel_exec *execs_by_id;
        struct survey_task survey;
        struct hold *holds;       /* by user (hold.h) */
        struct list orphan_calls; /* struct orphan_call: engine calls for containers of no carrel */
        struct list image_works;  /* struct image_work */
        struct warm warm;
        struct disk *disk; /* NULL: nobody has an image */
        unsigned n_image_loads;
        uint64_t generation_floor;
        uint64_t last_ready_number;
        uint64_t ensures[OUTCOMES];
        uint64_t ensure_failures;
        uint64_t claim_failures;
        unsigned n_waiters;
        unsigned n_reclaims;    /* that run */
        struct fault waits_for; /* until has_reconciled: why the last try failed; FAULT_NONE: no try has failed */
        bool has_reconciled;
        bool is_closing;
};

/* Cancels every image operation without a callback, for the pool's end. */
void images_free(struct pool *pool);

/* Adds a carrel for the user, in this state. NULL: out of memory. */
struct carrel *pool_add_carrel(struct pool *pool, const char *user, enum carrel_state state);
/* Removes the carrel from the table and the ledger. It must have no waiters. */
void pool_forget_carrel(struct pool *pool, struct carrel *carrel);
/* Sets the generation, also in the ledger; 0: the user's next one. */
void pool_raise_generation(struct carrel *carrel, uint64_t generation);

/* Removes the directory of the carrel's previous agent, if there is one. Its container must be gone. */
void pool_drop_agent_slot(struct carrel *carrel);
/* The same, and gives the carrel a new slot. The previous
 * container must be gone. 0 or a negative errno. */
int pool_renew_agent_slot(struct carrel *carrel);

/* STARTING -> READY or WARM, and watches the process. The age counts from since_ms, idleness from last_use_ms
 * (CLOCK_BOOTTIME); 0: now. */
void pool_carrel_ready(struct carrel *carrel, enum carrel_state state, int64_t since_ms, int64_t last_use_ms);
/* READY, FROZEN or WARM -> LOST, and ends its execs; a flow that freezes or thaws is ended first. No effect in any
 * other state. */
void pool_carrel_lost(struct carrel *carrel, const char *reason, bool is_oom);

void pool_tell(struct pool *pool, enum pool_event_kind kind, const struct carrel *carrel, const char *detail,
               double duration_s);
