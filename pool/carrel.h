/* One carrel: what is known of one user's container. Inside the pool room only. */
#pragma once

#include <ev.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "agent-listener.h"
#include "cgroup.h"
#include "engine.h"
#include "list.h"
#include "netpolicy.h"
#include "pool.h"
#include "spec.h"

struct flow;
struct task;

enum { CARREL_REASON_BYTES = 128 };

struct carrel {
        struct pool *pool;
        UT_hash_handle by_user;
        UT_hash_handle by_id; /* only while id is not "" */
        char user[USER_ID_MAX + 1];
        char name[ENGINE_NAME_BYTES]; /* of the container */
        enum carrel_state state;      /* table_set_state changes it */
        bool is_free_deferred;        /* out of the table, freed at the loop's next turn */
        struct list deferred_free;

        /* Of the container that there is or is being made. */
        char id[CONTAINER_ID_BYTES]; /* table_set_id changes it */
        char spec_hash[SPEC_HASH_BYTES];
        enum template_version template_version;
        struct carrel_spec spec;
        struct pool_owner owner; /* of his files */
        uint64_t generation;
        int64_t started_wall_ms;
        struct netpolicy_link link;
        int pid; /* 0: none, or not told */
        int pidfd;
        ev_io death;        /* active in READY, when there is a pidfd */
        char *sockets_file; /* ... and what its sockets take apart from its memory; NULL: they do not */
        char *tasks_file;   /* where the kernel counts what runs in it; NULL: not known */
        uint32_t host_base; /* its user 0 on the host, as the kernel says; 0: it has no user namespace */

        struct agent_listener *listener; /* NULL: none */

        int64_t ready_ms;
        uint64_t ready_number; /* counts the carrels that became ready in this pool: orders it against a survey */
        int64_t last_use_ms;
        int64_t lease_until_ms;
        int64_t oom_ms; /* when the engine last told of an OOM inside; 0: never */
        int slot;       /* in the ledger; negative: none */

        struct list execs; /* struct running */
        unsigned n_execs;

        struct task *task;    /* of the start that waits or runs, or the retirement */
        struct list waiters;  /* struct pool_wait: ensures */
        struct list retirers; /* struct pool_wait: retirements */

        char last_fault[sizeof((struct fault *)0)->message];
        char reason[CARREL_REASON_BYTES];
};

/* NULL: out of memory. In no table yet. */
struct carrel *carrel_new(struct pool *pool, const char *user, const char *prefix);
struct carrel *carrel_free(struct carrel *carrel);

void carrel_set_reason(struct carrel *carrel, const char *reason);
void carrel_set_fault(struct carrel *carrel, const struct fault *why);

/* Opens a pidfd of pid and keeps it. 0, or a negative errno (-ESRCH: it has ended). */
int carrel_hold_process(struct carrel *carrel, int pid);
/* Whether the process held is known to have ended. */
bool carrel_has_ended(const struct carrel *carrel);
/* From now on on_death runs, once, when the process ends. */
void carrel_watch_process(struct carrel *carrel, void (*on_death)(struct ev_loop *loop, ev_io *io, int events));
/* Ends the agent's connection, its execs as lost. */
void carrel_close_listener(struct carrel *carrel);
/* Lets go of the process. */
void carrel_drop_process(struct carrel *carrel);

/* Who his programs run as, inside: `user` where the engine maps ids, else the owner of his files; with an earlier
 * template always that. */
struct pool_owner carrel_inside(const struct carrel *carrel);

/* Marks use now, in memory and in the ledger. */
void carrel_touch(struct carrel *carrel);
/* lease_s 0 leaves a lease alone. */
void carrel_lease(struct carrel *carrel, uint64_t lease_s);

/* Finds its tasks_file and sockets_file, by its process; without effect where there is none. */
void carrel_find_tasks(struct carrel *carrel, const struct cgroup_mounts *mounts);

/* view points into the carrel. */
void carrel_view(const struct carrel *carrel, int64_t now_ms, struct carrel_view *ret_view);
