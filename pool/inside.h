/* The pool from within: its parts see each other through this. Inside the pool room only. */
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

struct carrel_exec;

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
        struct cgroup_mounts cgroups; /* of the host; read when hardening is verified */
        struct ledger *ledger;
        struct table table;
        struct admission admission;
        ev_timer grant; /* zero delay: hands free starts to who waits for them */
        struct listeners listeners;
        struct past past;
        struct carrel_exec *execs_by_id;
        struct survey_task survey;
        struct list orphan_calls; /* struct orphan_call: engine calls about containers nobody holds */
        struct list image_works;  /* struct image_work */
        unsigned n_image_loads;
        uint64_t generation_floor;
        uint64_t last_ready_number;
        uint64_t ensures[OUTCOMES];
        uint64_t ensure_failures;
        unsigned n_waiters;
        struct fault waits_for; /* until has_reconciled; FAULT_NONE: nothing was in the way yet */
        bool has_reconciled;
        bool is_closing;
};

/* Frees what image works there are without a word, for the pool's end. */
void images_free(struct pool *pool);

/* A carrel for the user, in the table in this state. NULL: out of memory. */
struct carrel *pool_add_carrel(struct pool *pool, const char *user, enum carrel_state state);
/* Out of the table and out of the ledger; nobody may wait at it. */
void pool_forget_carrel(struct pool *pool, struct carrel *carrel);
/* The next generation of the user's container, in the ledger too. */
void pool_raise_generation(struct carrel *carrel, uint64_t generation);

/* STARTING -> READY: the process is watched from now on. Its age counts from since_ms, its idleness from last_use_ms
 * (CLOCK_BOOTTIME); 0: now. */
void pool_carrel_ready(struct carrel *carrel, int64_t since_ms, int64_t last_use_ms);
/* READY -> LOST, its execs end; no effect in any other state. */
void pool_carrel_lost(struct carrel *carrel, const char *reason, bool is_oom);

void pool_tell(struct pool *pool, enum pool_event_kind kind, const struct carrel *carrel, const char *detail,
               double duration_s);
