/* A pool on the fake engine, in virtual time, whose reports are counted. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ev.h>

#include "engine.h"
#include "exec.h"
#include "fake-engine.h"
#include "flow.h"
#include "netpolicy.h"
#include "pool.h"

#define RIG_POOL "unit"
#define RIG_PREFIX "carrel-"
#define RIG_IMAGE "sandbox:latest"

/* Called at the end of each step of each flow. */
struct rig;
typedef void (*rig_on_step)(struct rig *rig, const char *flow, const char *step);

struct rig {
        struct ev_loop *loop;
        struct engine *engine;
        struct netpolicy *netpolicy;
        struct execs *execs;
        struct pool *pool;
        struct pool_options options;
        struct flow_observer observer;
        rig_on_step on_step;
        void *on_step_arg;
        char directory[64]; /* root's, for the users' directories and the ledger */
        char users_dir[96];
        unsigned events[POOL_EVENT_KINDS];
};

/* Whether the tests can run here: users_dir must be root's. Skips the test, or fails it under CARREL_MUST_RUN=1. */
void rig_need_root(void);

/* options NULL: rig_options'. Reconciled. Asserts on failure. */
void rig_open(struct rig *rig, const struct pool_options *options);
void rig_close(struct rig *rig);
/* As after kill -9 of the daemon: the pool is gone, the engine's containers and the ledger stay. Not reconciled. */
void rig_restart(struct rig *rig);
struct pool_options rig_options(void);
void rig_remove_tree(const char *directory);

/* For longer than anything can take (the policy's watch over itself never ends), or for that long. */
void rig_run(struct rig *rig);
void rig_run_for(struct rig *rig, double seconds);

/* One request and what it was answered. */
struct answer {
        unsigned count; /* of answers */
        bool is_success;
        struct fault why;
        enum ensure_outcome outcome;
        char container_id[CONTAINER_ID_BYTES];
        uint64_t generation;
        double at_s;
        struct pool_wait *wait; /* while unanswered */
};

void rig_ensure(struct rig *rig, const char *user, struct answer *ret_answer);
void rig_ensure_spec(struct rig *rig, const char *user, const struct carrel_spec *spec, enum on_conflict on_conflict,
                     struct answer *ret_answer);
void rig_retire(struct rig *rig, const char *user, struct answer *ret_answer);
void rig_leave(struct answer *answer);
/* Ensure, run, and assert that it succeeded. */
void rig_must_ensure(struct rig *rig, const char *user, struct answer *ret_answer);

enum carrel_state rig_state(const struct rig *rig, const char *user); /* CARREL_STATES: no carrel */
/* Containers in the engine whose name is the user's, or -1 when there is one that is not this pool's. */
int rig_user_containers(const struct rig *rig, const char *user);
const struct container_info *rig_container(const struct rig *rig, const char *user);

/* A container with these labels. NULL: that label is left out. */
void rig_plant(struct rig *rig, const char *name, const char *product, const char *pool, const char *user,
               enum container_status status);
