/* The pool maps users to carrels and is the only owner of a user's state. Each user has at most one flow (ENSURE or
 * RETIRE) at a time and any number of waiters. Every waiter gets exactly one answer by its deadline. A READY carrel is
 * answered from memory: pidfds, engine events and the reaper's periodic sweep keep the state true. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exec.h"
#include "fault.h"
#include "usage.h"

struct attach;
struct engine;
struct engine_event;
struct ev_loop;
struct flow_observer;
struct netpolicy;
struct pool;
struct pool_wait;

enum {
        USER_ID_MAX = 64,
        SPEC_HASH_BYTES = 33,
        POOL_IMAGE_BYTES = 256,
        POOL_PROFILE_BYTES = 33,
        POOL_MOUNTS_BYTES = 256,
        CONTAINER_ID_BYTES = 72
};

/* Accepts [A-Za-z0-9][A-Za-z0-9._-]{0,63}. Anything else is FAULT_USER_ID_INVALID, and *why says what is wrong. */
int user_id_check(const char *id, size_t length, struct fault *why);

enum carrel_policy { POLICY_UNSET, POLICY_INTERNET, POLICY_NONE };
const char *carrel_policy_name(enum carrel_policy policy); /* "", "internet", "none" */

/* The part of a container that a caller may choose. A zero or empty field is unset: a live carrel keeps its value, a
 * new one gets the profile's or the pool's. With a profile, an unset field gets the profile's value in any case, where
 * it has one. A limit above the profile's or else the pool's, a wider policy than the profile's, and another image than
 * the profile's are FAULT_REQUEST_INVALID, as is a profile that the options do not have. */
struct carrel_spec {
        char image[POOL_IMAGE_BYTES];
        enum carrel_policy policy;
        uint64_t memory_bytes;
        uint64_t cpu_millis;
        uint32_t pids;
        char profile[POOL_PROFILE_BYTES]; /* "" in a complete spec: none */
        char mounts[POOL_MOUNTS_BYTES];   /* names of mount sets, sorted, each once, separated by commas */
};

/* In the mounts of a request: no set. A complete spec without a set has "". */
#define POOL_MOUNTS_NONE "-"
/* Makes the canonical text of these names, of which none makes POOL_MOUNTS_NONE. FAULT_REQUEST_INVALID: a name is not
 * one, or there are too many. Whether the sets exist is checked at the ensure. 0 or a negative errno. */
__attribute__((warn_unused_result)) int pool_mounts_join(const char *const *names, size_t n_names,
                                                         char ret_mounts[static POOL_MOUNTS_BYTES], struct fault *why);

/* How an ensure treats a READY carrel with another spec. A carrel is idle when it has no program, no file
 * transfer and no lease, as for the reaper. */
enum on_conflict { CONFLICT_REPLACE_IDLE, CONFLICT_REPLACE, CONFLICT_FAIL };

enum carrel_state {
        CARREL_QUEUED, /* waits until fewer than max_concurrent_starts run */
        CARREL_STARTING,
        CARREL_READY,
        CARREL_RETIRING,
        CARREL_LOST,   /* known dead; removed by the next ensure or sweep */
        CARREL_WARM,   /* waits for a user, who gets it by a claim */
        CARREL_FROZEN, /* nothing in it runs until the next ensure thaws it; has a step while it is frozen or thawed */
        CARREL_STATES
};
const char *carrel_state_name(enum carrel_state state);

enum ensure_outcome { OUTCOME_CREATED, OUTCOME_REUSED, OUTCOME_REPLACED, OUTCOME_CLAIMED, OUTCOME_RESUMED, OUTCOMES };
const char *ensure_outcome_name(enum ensure_outcome outcome);

/* A snapshot of one carrel, valid during the callback. */
struct carrel_view {
        const char *user;         /* of a warm carrel: its name, which begins with a dot */
        const char *container;    /* name */
        const char *container_id; /* "" before it is created */
        const char *spec_hash;
        const struct carrel_spec *spec;
        enum carrel_state state;
        const char *step;        /* of the running flow, or "" */
        uint64_t generation;     /* rises with each container of the user, across restarts of carreld, until a reboot */
        int64_t started_wall_ms; /* 0: not started */
        int64_t idle_ms;         /* 0 while busy */
        int64_t lease_left_ms;   /* 0: none */
        int64_t age_ms;          /* since READY or WARM; of an adopted carrel since its process began */
        unsigned execs;
        const char *tasks_file;          /* for carrel_background */
        const char *sockets_file;        /* for carrel_socket_bytes */
        const struct usage_meter *meter; /* for carrel_usage */
        const struct pool *pool;         /* for carrel_is_frozen */
        bool is_reclaimed;               /* FROZEN: its memory was given back, or that was tried */
        bool has_refused_freeze;         /* a freeze has failed since its last use */
        bool is_warm;                    /* of no user */
        bool has_agent;                  /* the agent runs its execs; else the engine does */
        const char *address;             /* IPv4, or "" */
        const char *interface;           /* on the host, or "" */
        const char *last_fault;          /* message of the last failure, or "" */
        const char *reason;              /* why it is in this state, for `why` */
};

struct exec_ids {
        size_t n;
        char ids[][EXEC_ID_BYTES];
};

/* Counts the threads that run in a READY carrel with no open exec: programs that earlier execs left in the background,
 * and file operations. Reads the kernel's counter, which takes some microseconds. -ENODATA: not known, because an exec
 * is open, the carrel is not READY, or its runtime has a kernel of its own. */
int carrel_background(const struct carrel_view *view, unsigned *ret_tasks);
/* The memory of its sockets, where the kernel counts it apart from the carrel's memory (cgroup v1); else -ENODATA.
 * Reads the kernel's counter, as above. */
int carrel_socket_bytes(const struct carrel_view *view, uint64_t *ret_bytes);
/* Reads what the carrel has used: all numbers are USAGE_UNCOUNTED if its process is not known. Takes some 0.15 ms, so a
 * turn of the loop must not call it for many carrels. Reads a frozen carrel, too, and does not thaw it. */
void carrel_usage(const struct carrel_view *view, struct usage *ret_usage);
/* Whether it is FROZEN, or READY and frozen from outside. For the latter it reads the kernel's state, as above. */
bool carrel_is_frozen(const struct carrel_view *view);

struct pool_ensured {
        struct carrel_view carrel;
        enum ensure_outcome outcome;
        const struct exec_ids *killed; /* execs of the container that was replaced; NULL: none */
};

/* The message of FAULT_CARREL_FROZEN. */
#define CARREL_FROZEN_OUTSIDE                                                                                          \
        "the carrel is frozen from outside, by a pause of its container or by its cgroup's freezer: nothing in it "    \
        "runs until an admin thaws it (carrel thaw, docker unpause)"

enum pool_event_kind {
        POOL_CREATED,
        POOL_REPLACED,
        POOL_REUSED,
        POOL_CLAIMED,
        POOL_CLAIM_FAILED,       /* the ensure goes on with a cold start */
        POOL_WARM_FAILED,        /* a warm carrel could not be made */
        POOL_WARM_IMAGE_MISSING, /* the same, because its image does not exist */
        POOL_WARM_FILLED,        /* after a failure: all warm carrels are there */
        POOL_ENSURE_FAILED,
        POOL_RETIRED,
        POOL_RETIRE_FAILED,
        POOL_LOST,
        POOL_FROZEN,
        POOL_FREEZE_FAILED,
        POOL_THAWED,
        POOL_RECLAIMED, /* memory of a FROZEN carrel */
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
        const char *detail;    /* a reason (one word) or a sentence, or "" */
        double duration_s;     /* of a flow or an exec, else 0 */
        enum exec_cause cause; /* POOL_EXEC_ENDED */
        uint64_t bytes;        /* POOL_RECLAIMED: given back */
        bool has_open_streams; /* POOL_EXEC_ENDED: a background process of it can still write */
};

/* How the user's last carrel ended, or why its start failed. */
struct pool_past {
        char user[USER_ID_MAX + 1];
        enum pool_event_kind kind; /* POOL_ENSURE_FAILED, POOL_RETIRED or POOL_LOST */
        int64_t wall_ms;
        char detail[256]; /* a reason or a sentence */
};

/* Whether carrel-init runs the execs as an agent. */
enum pool_agent {
        POOL_AGENT_NONE,     /* the engine runs execs: the fake engine's containers have no process */
        POOL_AGENT_OPTIONAL, /* the engine runs execs if the agent does not connect in time */
        POOL_AGENT_REQUIRED  /* the start fails if the agent does not connect */
};

/* How much of the hardening is verified in the kernel after a start. */
enum pool_hardening {
        POOL_HARDENING_TRUSTED, /* nothing: the host sees no process (fake engine), or knows nothing of it (Kata) */
        POOL_HARDENING_MONITOR, /* the monitor process, which is all that the host sees of the container (gVisor) */
        POOL_HARDENING_WHOLE    /* everything, on the container's own process 1 */
};

/* The owner of a user's files on the host's disk. */
struct pool_owner {
        uint32_t uid, gid;
};

/* A named set of what an ensure leaves open. */
struct pool_profile {
        const char *name;
        struct carrel_spec spec; /* an unset field is open; a limit may be above the pool's */
        const char *environment; /* for each exec: "NAME=value" lines, each ended by "\n"; NULL or "": none */
        unsigned warm;           /* warm carrels to keep of it */
};

/* Mounts that an ensure can ask for by this name. */
struct pool_mount_set {
        const char *name;
        const char *mounts; /* as in struct pool_options */
};

enum pool_lxcfs { POOL_LXCFS_AUTO, POOL_LXCFS_OFF, POOL_LXCFS_ON };

struct pool_options {
        const char *pool;            /* its name, in the labels */
        const char *prefix;          /* of container names */
        const char *users_dir;       /* absolute; every ancestor root-owned */
        const char *runtime_dir;     /* of the ledger */
        const char *init_path;       /* carrel-init on the host, absolute */
        struct carrel_spec defaults; /* complete: no field unset; limits are also the ceilings */
        const struct pool_profile *profiles;
        size_t n_profiles;
        const char *profile;       /* of a new carrel for which the ensure names none; NULL or "": none */
        const char *dns;           /* addresses separated by commas; may be "" */
        const char *dns_setting;   /* as configured ("auto"). The spec hash covers this text, so a change of the host's
                                      resolvers does not change it; NULL or "": it covers dns */
        const char *runtime;       /* or "" */
        const char *cgroup_parent; /* or "" */
        uint64_t tmp_bytes, shm_bytes;
        struct pool_owner owner; /* of new users' directories; programs inside run as it where the engine maps no ids */
        uint32_t nofile;
        const char *mounts; /* of every carrel, "source:target[:ro|:rw]" separated by commas; NULL or "": none */
        const struct pool_mount_set *mount_sets;
        size_t n_mount_sets;
        enum pool_lxcfs lxcfs; /* AUTO: its files are bound where it runs; ON: no carrel starts without it */
        bool has_images;       /* new users' files are in images (disk.h); pool_use_disk comes too */
        uint64_t disk_bytes;   /* of an image */
        uint64_t disk_files;   /* its inodes */
        const char *warm;      /* warm carrels, as warm_targets_parse takes them; NULL or "": none */
        double warm_max_age_s; /* they are replaced after this; 0: never */
        unsigned max_carrels;
        unsigned max_concurrent_starts;
        unsigned max_queued_starts;
        double ensure_timeout_s; /* a waiter's deadline */
        enum pool_hardening hardening;
        enum pool_agent agent;
        unsigned max_execs;        /* running in one carrel */
        unsigned max_queued_execs; /* waiting in one carrel */
        double exec_timeout_s;     /* timeout_s of requests that have none; 0: none */
        double exec_wait_s;        /* how long an exec may wait */
};

/* Borrows loop, engine, netpolicy, execs and observer until pool_free; copies options. */
__attribute__((warn_unused_result)) int pool_new(struct pool **ret_pool, struct ev_loop *loop, struct engine *engine,
                                                 struct netpolicy *netpolicy, struct execs *execs,
                                                 const struct pool_options *options,
                                                 const struct flow_observer *observer, struct fault *why);
/* Answers all waiters with FAULT_CANCELLED. Containers are left as they are. */
struct pool *pool_free(struct pool *pool);

/* Makes claims possible: carrel-mountd mounts the users' directories. Borrowed until pool_free. */
void pool_use_attach(struct pool *pool, struct attach *attach);

/* Makes images possible, with pool_use_attach: carrel-diskd makes and mounts them. Borrowed until pool_free. */
struct disk;
void pool_use_disk(struct pool *pool, struct disk *disk);

/* Checks options as pool_new and pool_reconfigure do, and changes nothing. No text may be NULL. */
int pool_check(const struct pool_options *options, struct fault *why);

/* Whether the source of each mount is there and may be mounted, on this host now. FAULT_SETTING_INVALID. */
int pool_check_mounts(const struct pool_options *options, struct fault *why);

/* Takes over the options that may change while running (SIGHUP): defaults, profiles, admission, execs, dns, mounts,
 * warm. */
int pool_reconfigure(struct pool *pool, const struct pool_options *options, struct fault *why);

/* Adds a listener; listeners are called in the order of their addition. Returns 0 or -ENOMEM. pool_unlisten takes the
 * same pair. */
int pool_listen(struct pool *pool, void (*on_event)(void *arg, const struct pool_event *event), void *arg);
void pool_unlisten(struct pool *pool, void (*on_event)(void *arg, const struct pool_event *event), void *arg);
/* Passes an event of another room (a policy change) to the listeners. */
void pool_announce(struct pool *pool, const struct pool_event *event);

/* ---- the main road ---- */

typedef void (*pool_on_ensured)(void *arg, const struct pool_ensured *ensured, const struct fault *why);

/* Makes sure that the user has a carrel with this spec. A READY carrel that matches and an immediate error are answered
 * before pool_ensure returns, and *ret_wait is NULL. Otherwise *ret_wait is the handle until on_ensured has run. */
void pool_ensure(struct pool *pool, const char *user, const struct carrel_spec *spec, enum on_conflict on_conflict,
                 pool_on_ensured on_ensured, void *arg, struct pool_wait **ret_wait);

typedef void (*pool_on_done)(void *arg, const struct fault *why);

/* Removes the user's container; the user's files stay. FAULT_NOT_FOUND: there is no carrel. reason ("idle", "admin") is
 * for the log, copied. Answers as pool_ensure does. on_done may be NULL; then ret_wait is NULL too. */
void pool_retire(struct pool *pool, const char *user, const char *reason, pool_on_done on_done, void *arg,
                 struct pool_wait **ret_wait);

/* Freezes the user's READY carrel: nothing in it runs, and it keeps its memory, until an ensure or pool_thaw. Done at
 * once if it is frozen. FAULT_CARREL_BUSY: it is not READY, or an exec, a file operation or a lease uses it;
 * FAULT_REQUEST_INVALID: its runtime has a kernel of its own; FAULT_CARREL_FROZEN: somebody else has frozen it;
 * FAULT_DEADLINE: not all of its processes could be frozen, and it is thawed again. reason ("idle", "asked") is for the
 * log, copied. Answers as pool_retire does. */
void pool_freeze(struct pool *pool, const char *user, const char *reason, pool_on_done on_done, void *arg,
                 struct pool_wait **ret_wait);
/* Begins to give the memory of a FROZEN carrel back to the host, once until it is thawed, and reports POOL_RECLAIMED at
 * the end. 0; -EAGAIN: two run already, try again later; -ENOENT: it is not frozen; another negative errno: the host
 * cannot. */
int pool_reclaim(struct pool *pool, const char *user);
/* Thaws it, whoever has frozen it: also a container that the engine has paused. This counts as use. Done at once if it
 * runs. FAULT_CARREL_FROZEN: a control group above its own is frozen. Answers as pool_retire does. */
void pool_thaw(struct pool *pool, const char *user, pool_on_done on_done, void *arg, struct pool_wait **ret_wait);

/* The waiter leaves: its callback never runs. The flow and the other waiters go on. NULL is fine; returns NULL. */
struct pool_wait *pool_leave(struct pool_wait *wait);

/* Marks activity. lease_s > 0 also sets a lease that long from now, at most 86400 s: until it ends the carrel is not
 * idle. A new lease replaces the old one, also a longer one. 0 or -ENOENT. */
int pool_touch(struct pool *pool, const char *user, uint64_t lease_s, struct fault *why);

/* Starts a program in the user's READY carrel (pool_ensure thaws it), which is in use until the exec ends. Call
 * pool_ensure first. Otherwise as exec_start. A request without timeout_s gets the pool's exec_timeout_s. */
int pool_exec(struct pool *pool, const char *user, const struct exec_request *request, const struct exec_sink *sink,
              void *arg, struct exec **ret_exec, struct fault *why);
/* Cancels the exec (exec_cancel) and ends its use of the carrel. Returns NULL. */
struct exec *pool_exec_cancel(struct pool *pool, struct exec *exec);
/* The user an exec belongs to, or NULL. */
const char *pool_exec_user(const struct pool *pool, const char *exec_id);

/* ---- a user's files ---- */

/* users_dir (O_PATH); the pool's. Names that begin with a dot are no users. */
int pool_users_fd(const struct pool *pool);
/* Moves the directory of a user who has no carrel to a new name in another directory of the same file system, in one
 * step. FAULT_NOT_FOUND: the user has no files. FAULT_SPEC_CONFLICT: there is a carrel. FAULT_INTERNAL: it is no
 * directory of a user, as at an ensure. */
__attribute__((warn_unused_result)) int pool_move_files(struct pool *pool, const char *user, int to_fd,
                                                        const char *name, struct fault *why);

/* Opens that directory for reading, and finds the owner of the files. FAULT_NOT_FOUND; FAULT_INTERNAL: as above. */
__attribute__((warn_unused_result)) int pool_open_files(const struct pool *pool, const char *user,
                                                        struct pool_owner *ret_owner, int *ret_fd, struct fault *why);
/* Whether pool_put_files would refuse because of images: to ask before a long copy. FAULT_REQUEST_INVALID. */
__attribute__((warn_unused_result)) int pool_check_put(const struct pool *pool, const char *user, bool is_replacing,
                                                       struct fault *why);
/* Makes the directory `name` in from_fd that of a user who has no carrel, in one step. If the user has files,
 * is_replacing exchanges them for it; else FAULT_NAME_TAKEN. FAULT_CARREL_BUSY: there is a carrel. */
__attribute__((warn_unused_result)) int pool_put_files(struct pool *pool, const char *user, int from_fd,
                                                       const char *name, bool is_replacing, struct fault *why);
/* Until pool_release no ensure is answered for this user (it waits), and nobody thaws, removes or adopts the carrel:
 * with pool_freeze no program writes to the files. FAULT_CARREL_BUSY: the user is held, or the carrel is neither READY
 * nor FROZEN. FAULT_ENGINE_UNAVAILABLE. */
__attribute__((warn_unused_result)) int pool_hold(struct pool *pool, const char *user, struct fault *why);
void pool_release(struct pool *pool, const char *user);

/* ---- looking ---- */

/* How the user's last carrel ended; NULL: not known. Kept for some 1,000 users until carreld ends. Valid until the
 * loop goes on. */
const struct pool_past *pool_recall(const struct pool *pool, const char *user);

/* Calls visit once with the user's carrel. False: the user has no carrel. */
bool pool_inspect(const struct pool *pool, const char *user, void (*visit)(void *arg, const struct carrel_view *view),
                  void *arg);
/* Calls visit for at most limit carrels in strcmp order of user ids, beginning after `after` (""; the first). Ends when
 * visit returns false. This does not count as activity. */
void pool_each(const struct pool *pool, const char *after, size_t limit,
               bool (*visit)(void *arg, const struct carrel_view *view), void *arg);

struct pool_warm_stats {
        unsigned wanted; /* by the setting */
        unsigned ready;  /* of those; a surplus does not count */
        uint64_t failures, claim_failures;
        char detail[256]; /* why some cannot be made or claimed: a sentence. "": they can */
};

struct pool_stats {
        unsigned by_state[CARREL_STATES];
        unsigned starts_in_flight;
        unsigned starts_queued;
        unsigned waiters;
        unsigned execs;
        uint64_t ensures[OUTCOMES];
        uint64_t ensure_failures;
        struct pool_warm_stats warm;
        bool is_engine_available;
        bool is_policy_in_force;
        bool has_reconciled;
        const char *lxcfs; /* "off", "absent", "ended" or "running" */
};
void pool_stats(const struct pool *pool, struct pool_stats *ret_stats);

/* ---- for the reaper: comparing the engine's containers with the pool's carrels ---- */

enum survey_claim {
        CLAIM_OURS,      /* the container of a READY carrel */
        CLAIM_IN_FLOW,   /* its user has a flow running, which deals with it */
        CLAIM_ADOPTABLE, /* running; labels and spec hash match what we would make; its user has no carrel */
        CLAIM_ORPHAN     /* has our product and pool labels, and is no carrel's container */
};

struct survey_container {
        char id[CONTAINER_ID_BYTES];
        char user[USER_ID_MAX + 1]; /* of the label; "" when that is no user id */
        enum survey_claim claim;
        bool is_running;
};

struct survey {
        const struct survey_container *containers;
        size_t n_containers;
        const char *const *missing; /* users whose READY carrel the engine does not list; NULL-terminated */
};

typedef void (*pool_on_survey)(void *arg, const struct survey *survey, const struct fault *why);

/* Lists the engine's containers of this pool and compares them with the carrels. One survey at a time (-EBUSY). Never
 * calls back before it returns. A carrel that became READY after the request for the list is not reported missing. */
int pool_survey(struct pool *pool, pool_on_survey on_survey, void *arg);
/* Removes an orphan; -EBUSY if the container belongs to a carrel by now. */
int pool_discard(struct pool *pool, const char *container_id, pool_on_done on_done, void *arg);
/* Makes a CLAIM_ADOPTABLE container its user's carrel: inspects and verifies it again, and plugs it if it has no link.
 * on_done with a fault: it was not adopted, and the caller discards it. */
int pool_adopt(struct pool *pool, const char *container_id, pool_on_done on_done, void *arg);
/* READY -> LOST: the engine does not list the container. */
void pool_mark_lost(struct pool *pool, const char *user, const char *reason);
/* A try of start-up reconciliation failed. Until the next one succeeds, ensures are refused with this reason. */
void pool_set_waiting(struct pool *pool, const struct fault *why);
/* Start-up reconciliation is done. Until then ensures are refused with FAULT_ENGINE_UNAVAILABLE. */
void pool_set_reconciled(struct pool *pool);
