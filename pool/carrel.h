/* One carrel: the pool's state of one user's container. */
#pragma once

#include <ev.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "agent-listener.h"
#include "agent-slot.h"
#include "cgroup.h"
#include "engine.h"
#include "list.h"
#include "netpolicy.h"
#include "pool.h"
#include "spec.h"
#include "usage.h"

struct flow;
struct host_mounts;
struct reclaim;
struct task;
struct template;

enum { CARREL_REASON_BYTES = 128 };

struct carrel {
        struct pool *pool;
        UT_hash_handle by_user;
        UT_hash_handle by_id;   /* only while id is not "" */
        UT_hash_handle by_slot; /* only while agent_slot is not "" */
        char user[USER_ID_MAX + 1];
        char name[ENGINE_NAME_BYTES]; /* of the container */
        enum carrel_state state;      /* table_set_state changes it */
        bool is_warm;                 /* of no user yet, or the rest of one that was claimed (warm.h) */
        bool is_free_deferred;        /* out of the table, freed at the loop's next turn */
        struct list warm;             /* in pool->warm.carrels, when is_warm */
        struct list deferred_free;

        /* Of the current container, or the one that is being made. */
        char id[CONTAINER_ID_BYTES];       /* table_set_id changes it */
        char agent_slot[AGENT_SLOT_BYTES]; /* names the agent's directory; table_set_slot changes it */
        char spec_hash[SPEC_HASH_BYTES];
        enum template_version template_version;
        struct carrel_spec spec;
        struct pool_owner owner; /* of the user's files */
        bool has_image;          /* they are in an image of their own (disk.h) */
        uint64_t generation;
        int64_t started_wall_ms;
        struct netpolicy_link link;
        int pid; /* 0: not known */
        int pidfd;
        ev_io death;                /* active in READY, if there is a pidfd */
        char *sockets_file;         /* the kernel's count of its sockets' memory, if that is apart; NULL: it is not */
        char *tasks_file;           /* the kernel's count of its threads; NULL: not known */
        bool has_lxcfs;             /* its container was made with lxcfs's files; false: not, or not known */
        struct host_mounts *mounts; /* the operator's in its container; NULL: none, or not known yet */
        struct usage_meter *meter;  /* of its cgroups; NULL: not known */
        uint32_t host_base;         /* host id of its user 0, read from the kernel; 0: it has no user namespace */

        struct agent_listener *listener; /* NULL: none */

        int64_t ready_ms;
        uint64_t ready_number; /* number of this READY in the pool: a survey compares it with its own */
        int64_t last_use_ms;
        int64_t lease_until_ms;
        int64_t oom_ms;          /* when the engine last reported an OOM inside; 0: never */
        int slot;                /* in the ledger; negative: it has no slot */
        bool is_reclaimed;       /* FROZEN: its memory was given back, or that was tried */
        bool has_refused_freeze; /* a freeze has failed since its last use */

        struct list execs; /* struct carrel_exec */
        unsigned n_execs;

        struct reclaim *reclaim; /* NULL: none runs */
        struct task *task;       /* the queued or running start, adoption or retirement */
        struct list waiters;     /* struct pool_wait: ensures */
        struct list retirers;    /* struct pool_wait: retirements */
        struct list freezers;    /* struct pool_wait: freezes */
        struct list thawers;     /* struct pool_wait: thaws */

        char last_fault[sizeof((struct fault *)0)->message];
        char reason[CARREL_REASON_BYTES];
};

/* A carrel that is in no table yet. NULL: out of memory. */
struct carrel *carrel_new(struct pool *pool, const char *user, const char *prefix);
struct carrel *carrel_free(struct carrel *carrel);

/* READY or FROZEN: its user's programs can be in it. */
bool carrel_is_live(const struct carrel *carrel);

void carrel_set_reason(struct carrel *carrel, const char *reason);
void carrel_set_fault(struct carrel *carrel, const struct fault *why);

/* Opens a pidfd of pid and keeps it. 0, or a negative errno (-ESRCH: it has ended). */
int carrel_hold_process(struct carrel *carrel, int pid);
/* Whether the held process has ended. */
bool carrel_has_ended(const struct carrel *carrel);
/* on_death runs once, when the held process ends. */
void carrel_watch_process(struct carrel *carrel, void (*on_death)(struct ev_loop *loop, ev_io *io, int events));
/* Closes the agent's connection and socket; the agent's execs end as lost. */
void carrel_close_listener(struct carrel *carrel);
/* Stops holding and watching the process. */
void carrel_drop_process(struct carrel *carrel);
/* Finds the operator's mounts of its spec for its container. 0, or a negative errno with *why. */
int carrel_find_mounts(struct carrel *carrel, struct fault *why);
/* Moves the process, its agent, its mounts and its network link from one carrel to another, which has none. */
void carrel_take_process(struct carrel *carrel, struct carrel *from);

/* The ids that the user's programs have inside: TEMPLATE_UID where the engine maps ids, else the owner of the user's
 * files. */
struct pool_owner carrel_inside(const struct carrel *carrel);

/* Whether the empty directory is on its /workspace: it has no user yet, or his image is not attached yet. */
bool carrel_is_vacant(const struct carrel *carrel);

/* Fills the template of its container (template.h); release it. 0, or a negative errno with *why. */
int carrel_template(const struct carrel *carrel, struct template *ret_template, struct fault *why);

/* Sets the time of the last use to now, in memory and in the ledger. */
void carrel_touch(struct carrel *carrel);
/* carrel_touch, and with lease_s > 0 a lease that long from now. */
void carrel_lease(struct carrel *carrel, uint64_t lease_s);

/* Finds the counters of its process's cgroups; does without them after a failure. */
void carrel_find_meter(struct carrel *carrel, const struct cgroup_mounts *mounts);

/* Sets tasks_file and sockets_file from the cgroup of its process; NULL if there is no process. */
void carrel_find_tasks(struct carrel *carrel, const struct cgroup_mounts *mounts);

/* Fills a view that points into the carrel. */
void carrel_view(const struct carrel *carrel, int64_t now_ms, struct carrel_view *ret_view);
