/* The pool: users -> carrels, and the only owner of a user's state. One ENSURE or RETIRE flow per user at a time,
 * any number of waiters; every waiter gets exactly one answer by its deadline. Answers from memory where it knows:
 * state is kept true by pidfds, engine events and the reaper's periodic sweep. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exec.h"
#include "fault.h"

struct engine;
struct engine_event;
struct ev_loop;
struct flow_observer;
struct netpolicy;
struct pool;
struct pool_wait;

enum { USER_ID_MAX = 64, SPEC_HASH_BYTES = 33, POOL_IMAGE_BYTES = 256, CONTAINER_ID_BYTES = 72 };

/* [A-Za-z0-9][A-Za-z0-9._-]{0,63}; anything else is FAULT_USER_ID_INVALID with what is wrong with it. */
int user_id_check(const char *id, size_t length, struct fault *why);

enum carrel_policy { POLICY_UNSET, POLICY_INTERNET, POLICY_NONE };
const char *carrel_policy_name(enum carrel_policy policy); /* "", "internet", "none" */

/* What a caller may choose. A zero or empty field is "not said": a live carrel keeps what it has, a new one gets the
 * pool's default. Limits may only be lowered below the pool's, never raised (FAULT_REQUEST_INVALID). */
struct carrel_spec {
        char image[POOL_IMAGE_BYTES];
        enum carrel_policy policy;
        uint64_t memory_bytes;
        uint64_t cpu_millis;
        uint32_t pids;
};

/* When a carrel of another spec is READY. Idle is what the reaper calls so: no program, no file transfer, no lease. */
enum on_conflict { CONFLICT_REPLACE_IDLE, CONFLICT_REPLACE, CONFLICT_FAIL };

enum carrel_state {
        CARREL_QUEUED, /* waits for a free start */
        CARREL_STARTING,
        CARREL_READY,
        CARREL_RETIRING,
        CARREL_LOST, /* known dead; removed by the next ensure or sweep */
        CARREL_STATES
};
const char *carrel_state_name(enum carrel_state state);

enum ensure_outcome { OUTCOME_CREATED, OUTCOME_REUSED, OUTCOME_REPLACED, OUTCOMES };
const char *ensure_outcome_name(enum ensure_outcome outcome);

/* A snapshot of one carrel. Valid during the callback it is handed to. */
struct carrel_view {
        const char *user;
        const char *container;    /* name */
        const char *container_id; /* "" before it is created */
        const char *spec_hash;
        const struct carrel_spec *spec;
        enum carrel_state state;
        const char *step;    /* of the running flow, or "" */
        uint64_t generation; /* rises with each container of a user, through retirements and restarts until a reboot */
        int64_t started_wall_ms; /* 0: not started */
        int64_t idle_ms;         /* 0 while busy */
        int64_t lease_left_ms;   /* 0: none */
        int64_t age_ms;          /* since READY; of an adopted one since its process began */
        unsigned execs;
        const char *tasks_file;   /* for carrel_background */
        const char *sockets_file; /* for carrel_socket_bytes */
        const struct pool *pool;  /* for carrel_is_frozen */
        bool has_agent;           /* its execs are the agent's; else the engine's */
        const char *address;      /* IPv4, or "" */
        const char *interface;    /* on the host, or "" */
        const char *last_fault;   /* the sentence of the last failure, or "" */
        const char *reason;       /* why it is in this state, for `why` */
};

/* Ids of execs. */
struct exec_ids {
        size_t n;
        char ids[][EXEC_ID_BYTES];
};

/* What runs in a READY carrel with no exec open: programs that execs have left behind, and file operations; threads are
 * counted one by one. Asks the kernel, which takes some microseconds. -ENODATA: not known (an exec is open, another
 * state, a runtime with a kernel of its own). */
int carrel_background(const struct carrel_view *view, unsigned *ret_tasks);
/* What its sockets take beside its memory, where the kernel counts that apart (cgroup v1). -ENODATA: it does not. Asks
 * the kernel, as above. */
int carrel_socket_bytes(const struct carrel_view *view, uint64_t *ret_bytes);
/* Whether a READY carrel is frozen from outside. Asks the kernel, as above. */
bool carrel_is_frozen(const struct carrel_view *view);

struct pool_ensured {
        struct carrel_view carrel;
        enum ensure_outcome outcome;
        const struct exec_ids *killed; /* that ran in the container that was replaced; NULL: none */
};

/* What to do with a carrel that is frozen from outside. */
#define CARREL_FROZEN                                                                                                  \
        "the carrel is frozen from outside, by a pause of its container or by its cgroup's freezer: nothing in it "    \
        "runs "                                                                                                        \
        "until it is thawed (docker unpause, podman unpause, or the freezer)"

enum pool_event_kind {
        POOL_CREATED,
        POOL_REPLACED,
        POOL_REUSED,
        POOL_ENSURE_FAILED,
        POOL_RETIRED,
        POOL_RETIRE_FAILED,
        POOL_LOST,
        POOL_ADOPTED,
        POOL_ORPHAN_REMOVED,
        POOL_EXEC_ENDED,
        POOL_POLICY_CHANGED,
        POOL_ENGINE_LOST,
        POOL_ENGINE_BACK,
        POOL_EVENT_KINDS
};
const char *pool_event_name(enum pool_event_kind kind); /* "carrel_created", ... */

/* One thing that happened, for the log, the metrics and GET /v1/events. Valid during the callback. */
struct pool_event {
        enum pool_event_kind kind;
        const char *user; /* or "" */
        const char *container_id;
        const char *detail;    /* a reason or a sentence, or "" */
        double duration_s;     /* where it has one, else 0 */
        enum exec_cause cause; /* POOL_EXEC_ENDED */
        bool has_open_streams; /* ... and what it left in the background could still write */
};

/* How the last carrel of a user ended, or why he got none. */
struct pool_past {
        char user[USER_ID_MAX + 1];
        enum pool_event_kind kind; /* POOL_ENSURE_FAILED, POOL_RETIRED or POOL_LOST */
        int64_t wall_ms;
        char detail[256]; /* a reason or a sentence */
};

/* Whether carrel-init runs the execs as an agent. */
enum pool_agent {
        POOL_AGENT_NONE,     /* the engine's own exec does: the fake engine's containers have no process */
        POOL_AGENT_OPTIONAL, /* the engine's own exec does, when no agent calls home in time */
        POOL_AGENT_REQUIRED  /* a container whose agent does not call home is no carrel */
};

/* What is asked of the kernel after a start. */
enum pool_hardening {
        POOL_HARDENING_TRUSTED, /* nothing: there is no process (the fake engine), or nothing that is known of one
                                   (Kata) */
        POOL_HARDENING_MONITOR, /* gVisor: of the process that holds the container, and is all that the host sees of it
                                 */
        POOL_HARDENING_WHOLE    /* everything, of the container's own process 1 */
};

/* Whose a user's files are on the host's disk. */
struct pool_owner {
        uint32_t uid, gid;
};

struct pool_options {
        const char *pool;            /* its name, in the labels */
        const char *prefix;          /* of container names */
        const char *users_dir;       /* absolute; every ancestor root-owned */
        const char *runtime_dir;     /* of the ledger */
        const char *init_path;       /* carrel-init on the host, absolute */
        struct carrel_spec defaults; /* complete: no field unset; limits are also the ceilings */
        const char *dns;             /* addresses separated by commas; may be "" */
        const char *dns_setting;     /* as it was set: of this is the hash, so that other resolvers of the host make no
                                        other carrel ("auto"); NULL or "": dns itself */
        const char *runtime;         /* or "" */
        const char *cgroup_parent;   /* or "" */
        uint64_t tmp_bytes, shm_bytes;
        struct pool_owner owner; /* of new users' directories; and who runs inside, where the engine maps no ids */
        uint32_t nofile;
        unsigned max_carrels;
        unsigned max_concurrent_starts;
        unsigned max_queued_starts;
        double ensure_timeout_s; /* a waiter's deadline */
        enum pool_hardening hardening;
        enum pool_agent agent;
        unsigned max_execs;        /* of one carrel, that run */
        unsigned max_queued_execs; /* of one carrel, that wait for one of those to end */
        double exec_wait_s;        /* for so long */
};

/* Borrows loop, engine, netpolicy, execs and observer for its life; copies options. */
__attribute__((warn_unused_result)) int pool_new(struct pool **ret_pool, struct ev_loop *loop, struct engine *engine,
                                                 struct netpolicy *netpolicy, struct execs *execs,
                                                 const struct pool_options *options,
                                                 const struct flow_observer *observer, struct fault *why);
/* Ends waiters with FAULT_CANCELLED and forgets; containers stay as they are. */
struct pool *pool_free(struct pool *pool);

/* Whether pool_new and pool_reconfigure would take these options (no text NULL), before anything is changed. */
int pool_check(const struct pool_options *options, struct fault *why);

/* Settings that may change while running (SIGHUP): defaults, limits of admission, dns. */
int pool_reconfigure(struct pool *pool, const struct pool_options *options, struct fault *why);

/* Listeners are called in the order they were added. Returns 0 or -ENOMEM; remove with the same pair. */
int pool_listen(struct pool *pool, void (*on_event)(void *arg, const struct pool_event *event), void *arg);
void pool_unlisten(struct pool *pool, void (*on_event)(void *arg, const struct pool_event *event), void *arg);
/* Lets the daemon announce what it learns elsewhere (policy changes). */
void pool_announce(struct pool *pool, const struct pool_event *event);

/* ---- the main road ---- */

typedef void (*pool_on_ensured)(void *arg, const struct pool_ensured *ensured, const struct fault *why);

/* Answers from inside the call when it knows the answer already (a READY carrel that matches; an error): then
 * *ret_wait is NULL and on_ensured has run. Otherwise *ret_wait is the handle until on_ensured has run. */
void pool_ensure(struct pool *pool, const char *user, const struct carrel_spec *spec, enum on_conflict on_conflict,
                 pool_on_ensured on_ensured, void *arg, struct pool_wait **ret_wait);

typedef void (*pool_on_done)(void *arg, const struct fault *why);

/* Removes the user's container; his files stay. FAULT_NOT_FOUND when he has none. reason is for the log ("idle",
 * "admin"); copied. The same answering rule as pool_ensure. on_done may be NULL with ret_wait NULL. */
void pool_retire(struct pool *pool, const char *user, const char *reason, pool_on_done on_done, void *arg,
                 struct pool_wait **ret_wait);

/* The waiter leaves: its callback never runs; others are not touched, and the flow goes on. NULL is fine. */
struct pool_wait *pool_leave(struct pool_wait *wait);

/* Marks activity, and with lease_s > 0 keeps the carrel from idleness for that long from now (at most 86400; a
 * shorter lease replaces a longer one). 0 or -ENOENT. */
int pool_touch(struct pool *pool, const char *user, uint64_t lease_s, struct fault *why);

/* Runs a program in the user's READY carrel and holds it busy; call pool_ensure first. Same contract as exec_start. */
int pool_exec(struct pool *pool, const char *user, const struct exec_request *request, const struct exec_sink *sink,
              void *arg, struct exec **ret_exec, struct fault *why);
/* Cancels (exec_cancel) and lets go of the carrel. */
struct exec *pool_exec_cancel(struct pool *pool, struct exec *exec);
/* The user an exec belongs to, or NULL. */
const char *pool_exec_user(const struct pool *pool, const char *exec_id);

/* ---- looking ---- */

/* What is known of a user's last carrel, kept for some 1,000 users until carreld ends. NULL: nothing. Valid until the
 * loop goes on. */
const struct pool_past *pool_recall(const struct pool *pool, const char *user);

/* false: no such carrel. visit runs at most once. */
bool pool_inspect(const struct pool *pool, const char *user, void (*visit)(void *arg, const struct carrel_view *view),
                  void *arg);
/* In the order of user ids (strcmp), those behind `after` ("" from the start), at most limit; looking is no activity.
 * visit returning false stops. */
void pool_each(const struct pool *pool, const char *after, size_t limit,
               bool (*visit)(void *arg, const struct carrel_view *view), void *arg);

struct pool_stats {
        unsigned by_state[CARREL_STATES];
        unsigned starts_in_flight;
        unsigned starts_queued;
        unsigned waiters;
        unsigned execs;
        uint64_t ensures[OUTCOMES];
        uint64_t ensure_failures;
        bool is_engine_available;
        bool is_policy_in_force;
        bool has_reconciled;
};
void pool_stats(const struct pool *pool, struct pool_stats *ret_stats);

/* ---- for the reaper: what the engine holds, held against what we know ---- */

enum survey_claim {
        CLAIM_OURS,      /* the container of a carrel we hold in READY */
        CLAIM_IN_FLOW,   /* its user has a flow running: nobody else's business */
        CLAIM_ADOPTABLE, /* running, and its labels and spec hash match what we would make; no carrel is held */
        CLAIM_ORPHAN     /* has our product and pool label, and nobody holds it */
};

struct survey_container {
        char id[CONTAINER_ID_BYTES];
        char user[USER_ID_MAX + 1]; /* as labelled; may be outside the grammar when the label lies: then "" */
        enum survey_claim claim;
        bool is_running;
};

struct survey {
        const struct survey_container *containers;
        size_t n_containers;
        const char *const *missing; /* users whose READY carrel the engine does not list; NULL-terminated */
};

typedef void (*pool_on_survey)(void *arg, const struct survey *survey, const struct fault *why);

/* Lists the engine's containers of this pool and compares. One survey at a time (-EBUSY). Never calls back from
 * inside. A carrel that became ready after the list was asked for is never reported missing. */
int pool_survey(struct pool *pool, pool_on_survey on_survey, void *arg);
/* Removes a container nobody holds; refuses (-EBUSY) one that is held by now. */
int pool_discard(struct pool *pool, const char *container_id, pool_on_done on_done, void *arg);
/* Takes a running container that CLAIM_ADOPTABLE named: inspected and verified again, plugged if it has no link.
 * on_done with a fault: not adopted (the caller discards it). */
int pool_adopt(struct pool *pool, const char *container_id, pool_on_done on_done, void *arg);
/* The engine says it is not there. */
void pool_mark_lost(struct pool *pool, const char *user, const char *reason);
/* Start-up reconciliation failed for now, and will be tried again: what ensures are told meanwhile. */
void pool_set_waiting(struct pool *pool, const struct fault *why);
/* Start-up reconciliation is over: ensures were refused (FAULT_ENGINE_UNAVAILABLE, retry) until now. */
void pool_set_reconciled(struct pool *pool);
