/* Inside the embedded engine only: what its files share. */
#pragma once

#include <ev.h>

#include "child.h"
#include "engine.h"
#include "list.h"
#include "oci-container.h"
#include "oci-root.h"
#include "oci.h"
#include "profile.h"

/* Below the state directory: the state of the runtimes. */
#define OCI_RUNTIME_ROOT "runtime"
/* In a container's directory: its record. */
#define OCI_RECORD "state.json"

struct oci_runtime {
        char path[256];
        char name[16]; /* "crun", "runc", else the file's name */
        char version[64];
        char program[256]; /* the file to execute: path, or a copy of it */
        int copy_fd;       /* of that copy; -1: none */
        bool is_crun;
        bool has_machines;            /* neither crun nor runc: a container may have a virtual machine */
        const char *const *arguments; /* options before each command; NULL-terminated */
};

enum { OCI_RUNTIME_ARGS_MAX = 16 };

struct oci {
        struct engine engine;
        struct ev_loop *loop;
        char *state_dir;
        char *users_dir;
        uint64_t image_max_bytes, image_max_entries; /* of an import */
        struct child *housekeeper;                   /* of the image store, at the start */
        char *image_helper;
        char *runtime_wanted;
        char *runtime_args[OCI_RUNTIME_ARGS_MAX + 1]; /* the operator's options; they point into the first */
        int state_fd; /* of state_dir; its flock(2) is held while names and id ranges are chosen */
        struct image_store *images;
        struct oci_runtime runtime;
        enum oci_userns userns; /* the setting */
        bool has_looked;
        struct fault unavailable; /* FAULT_NONE: it is available, and stays so */
        bool makes_cgroups;       /* makes cgroups and the runtime enters them (oci-cgroup-v1.c) */
        bool has_userns;
        char userns_detail[192]; /* for `about` */
        bool has_ipv6;
        uint32_t userns_base;
        char *seccomp_bpf;      /* base64, for crun */
        int mount_namespace_fd; /* where runtimes run */
        int null_fd;            /* /dev/null by a read-only mount of its own */
        struct list containers;
        struct oci_container *ids; /* the same by id */
        bool has_index;            /* every record has been read once, so that each has the link of its name */
        struct list calls;
        unsigned n_execs; /* so far; numbers their names */
        /* watch */
        engine_on_event on_event;
        void *on_event_arg;
        struct label watched;
        ev_timer resync;
};

/* ---- oci-call.c: what the calls of all operations share ---- */

struct oci_call;
typedef void (*oci_act)(struct oci_call *call);

struct oci_call {
        struct engine_call base;
        struct list node;
        struct oci *oci;
        struct oci_container *container; /* its n_calls counts this call; NULL: none */
        ev_timer timer;                  /* for the answer, or the next try */
        oci_act on_timer;                /* runs when the timer fires */
        struct child *child;             /* a runtime */
        int log_fd;                      /* of the runtime's error messages; -1 */
        unsigned n_tries;                /* so far, of a remove */
        double deadline_at;              /* ev_now's time */
        engine_done done;
        void *arg;
        bool is_busy; /* inside a callback: a cancel frees later */
        bool is_cancelled;
        const char *what; /* "start a container" */
        struct fault why; /* of the deferred answer; FAULT_NONE: success */
        struct engine_reply reply;
        char id[ENGINE_ID_BYTES];
        char name[ENGINE_NAME_BYTES]; /* or id, of an inspect */
        struct label label;           /* of a list; owned */
        struct container_info *infos; /* of the reply; owned */
        struct image_info image;
        enum container_status wanted; /* of a pause */
        struct exec_status exec;      /* of an inspect */
        void *extra;                  /* an exec's */
        void (*free_extra)(struct oci_call *call);
};

int oci_call_new(struct oci_call **ret_call, struct oci *oci, const char *what, engine_done done, void *arg);
void oci_call_free(struct oci_call *call);
/* In the loop's next iteration, calls done with call->reply, or with call->why if it is set. */
void oci_call_answer(struct oci_call *call);
/* The same at once; only from a callback of the loop. */
void oci_call_answer_now(struct oci_call *call);
/* Runs act after delay_s. */
void oci_call_later(struct oci_call *call, oci_act act, double delay_s);
/* Call these around a callback that may cancel the call. leave returns false if it did; the call is then gone. */
void oci_call_enter(struct oci_call *call);
bool oci_call_leave(struct oci_call *call);
/* Marks the container as in use by the call, so that it is not removed before the call ends. */
void oci_call_hold(struct oci_call *call, struct oci_container *container);

/* ---- oci-runtime.c ---- */

/* Finds the runtime and its version. why says what to install. */
int oci_runtime_find(struct oci *oci, struct fault *why);
void oci_runtime_release(struct oci_runtime *runtime);
/* Splits and stores the operator's options for the runtime, which blanks separate. 0, -ENOMEM, or -E2BIG: more than
 * OCI_RUNTIME_ARGS_MAX. */
int oci_runtime_split_args(struct oci *oci, const char *text);
/* A command of the runtime, without its global options. child_done gets its result. on_output: as in child.h, or NULL.
 * stdin_fd -1: none. fds: beyond those that the runtime itself needs. */
struct oci_command {
        const char *const *words;    /* NULL-terminated */
        const struct oci_root *root; /* borrowed; NULL: it makes no container */
        const char *cgroup; /* the container's cgroup, in which the runtime starts; NULL: it starts in carreld's */
        bool shares_cgroup; /* programs run in that cgroup already (struct child_plan) */
        bool has_streams;   /* its output is that of the program; else /dev/null */
        bool dies_with_us;
        int stdin_fd;
        const struct child_fd *fds;
        size_t n_fds;
        double deadline_s;
        void (*on_output)(void *arg, int fd, const char *bytes, size_t length);
        void (*done)(void *arg, const struct child_result *result);
};
int oci_runtime_run(struct oci_call *call, const struct oci_command *command);
/* Ends an operation that was to run a program for the call. r < 0: the program could not be run, and that is the
 * answer. If there was nothing to run, the answer is call->why or success. */
void oci_runtime_begun(struct oci_call *call, const char *program, int r);
/* The runtime's error message as one line, or "". */
void oci_runtime_complaint(const struct oci_call *call, char *ret_text, size_t size);
/* Makes a fault of a runtime that failed. Its message selects the kind. */
void oci_runtime_blame(struct oci_call *call, const struct child_result *result, struct fault *ret_why);

/* ---- oci-mounts.c ---- */

/* Makes the mount namespace in which runtimes run: a slave copy of carreld's, so that it follows later mounts. Where
 * cgroup2 is mounted beside cgroup v1, it has no cgroup2 (crun refuses that mixture). */
int oci_mounts_prepare(struct oci *oci, struct fault *why);
void oci_mounts_release(struct oci *oci);
/* Whether containers can have roots of their own (oci-root.h) in the file system of the images. */
int oci_mounts_try_root(const struct oci *oci, struct fault *why);

/* ---- oci-userns.c ---- */

/* A child enters a namespace with system calls only, and the caller uses it while the child is there. Both return 0
 * (use: the caller's result) or a negative errno. */
struct oci_holding {
        int (*enter)(const void *arg);
        int (*use)(pid_t holder, const void *arg);
        const void *arg;
};
int oci_hold(const struct oci_holding *holding);

/* The runtime inherits the container's user namespace as this descriptor; config.json names it by this path. */
enum { OCI_USERNS_FD = 5 };
#define OCI_USERNS_PATH "/proc/self/fd/5"

/* Makes a user namespace that maps ids from 0 on to PROFILE_USERNS_IDS host ids from base on. Its maker is the host id
 * base. Returns a descriptor, which the caller closes, or a negative errno. */
int oci_userns_new(uint32_t base);
/* Makes one and tests whether the kernel can map the owners of a mount of this directory with it. 0 or a negative
 * errno. */
int oci_userns_try(uint32_t base, const char *directory);
/* How many user namespaces a user may have: the sysctl user.max_user_namespaces; UINT64_MAX when not known. */
uint64_t oci_userns_most(void);
/* Whether this error of oci_userns_try may be temporary, and so does not prove that user namespaces are impossible.
 * Pure. */
bool oci_userns_is_shortage(int error, uint64_t most);

/* ---- oci-config.c ---- */

/* config.json of the bundle; malloc'd, NULL when out of memory. */
char *oci_config_encode(const struct oci *oci, const struct oci_container *container, const struct container_spec *spec,
                        const struct stored_image *image);
/* The container's environment: the image's, overridden by the spec's. malloc'd, NULL-terminated; NULL: out of memory.
 */
char **oci_config_environment(char *const *image, const char *const *spec);
/* The process of an exec, with the same hardening; malloc'd. */
char *oci_config_encode_exec(const struct oci_container *container, const struct exec_command *command);

/* ---- oci-store.c: the records on disk ---- */

int oci_store_open(struct oci *oci, struct fault *why);
/* Reads records that are not known yet and removes directories without one. Call it under the lock: another process may
 * be about to write a record there. A negative errno: there may be containers that were not seen. */
int oci_store_scan(struct oci *oci);
/* The same; takes the lock for that time. */
void oci_store_look(struct oci *oci);
int oci_store_lock(struct oci *oci);
void oci_store_unlock(struct oci *oci);
/* Writes text as a file in the container's directory. The file appears whole or not at all, and is on disk when this
 * returns. */
int oci_store_write(struct oci *oci, const char *id, const char *file, const char *text);
/* A path below the container's directory. */
int oci_store_path(const struct oci *oci, const char *id, const char *file, char *ret_path, size_t size);
int oci_store_make(struct oci *oci, const char *id);
/* Pins the image until the container's directory is removed, whether carreld lives or not. */
int oci_store_pin_image(const struct oci *oci, const struct oci_container *container, int hold_fd);
/* Removes the directory, with the record last, and the runtime's state of the container. */
int oci_store_remove(struct oci *oci, const char *id);
/* Adds a container that has its id. The engine owns it afterwards. 0 or -ENOMEM. */
int oci_store_add(struct oci *oci, struct oci_container *container);
/* One that this process has read, by its id or its name, or NULL. */
struct oci_container *oci_store_find(struct oci *oci, const char *id_or_name);
/* The same, after a look at what other processes have made or renamed. Only from a callback of the loop: the info of
 * any container may change. */
struct oci_container *oci_store_seek(struct oci *oci, const char *id_or_name);
/* Makes sure that every record has the link of its name. Under the lock. 0, or the negative errno of a scan. */
int oci_store_index(struct oci *oci);
/* Whether the record of that container has that name, read from disk under the lock: 1, or 0, also when there is no
 * valid record; or a negative errno. */
int oci_store_has_name(struct oci *oci, const char *id, const char *name);
/* Makes a fault of a record that could not be read or written. Returns r. */
int oci_store_blame(int r, struct fault *why);

/* ---- oci-names.c: which container has a name. All but oci_names_read are called under the lock. ---- */

int oci_names_open(struct oci *oci);
/* 0; -EINVAL: not a name; -ENOENT; -EBADMSG: there is something else; or another negative errno. The container's record
 * may have another name. */
int oci_names_read(const struct oci *oci, const char *name, char ret_id[static OCI_ID_BYTES]);
/* Gives the name to a container whose record will have it next. It may have it already. -EEXIST: the record of another
 * has it. */
int oci_names_take(struct oci *oci, const char *name, const char *id);
/* Takes the name back, if it is that container's. */
void oci_names_drop(struct oci *oci, const char *name, const char *id);
/* Removes the links that a killed process has left. */
void oci_names_sweep(struct oci *oci);

/* ---- oci-cgroup.c ---- */

/* Called with the cgroup's path in each mounted hierarchy; returns false to stop. */
typedef bool (*oci_cgroup_visit)(void *arg, const char *path);
/* type: "cgroup" (v1), "cgroup2", or NULL: both. 0, or a negative errno when the hierarchies cannot be read; then
 * nothing was visited. */
int oci_cgroup_each(const char *cgroup, const char *type, oci_cgroup_visit visit, void *arg);
/* Reads a small kernel file in that directory, NUL-terminated. Returns its length; 0 when it does not exist. */
size_t oci_cgroup_read(const char *directory, const char *name, char *ret_text, size_t size);

/* Kills every process in the cgroup, in every hierarchy, and removes it. 0: it is gone. -EAGAIN: call again later.
 * Another negative errno: it cannot be removed. */
int oci_cgroup_clear(const char *cgroup);
bool oci_cgroup_exists(const char *cgroup);
/* Finds out whether this cgroup or one above it is frozen; no container is started there. "", or that cgroup's
 * directory, for a person. */
void oci_cgroup_find_frozen(const char *cgroup, char *ret_path, size_t size);
/* How many processes the kernel's OOM killer has killed there; 0 when not known. */
uint64_t oci_cgroup_oom_kills(const char *cgroup);
bool oci_cgroup_holds(int pid, const char *id);

/* ---- oci-cgroup-v1.c: on cgroup v1, carreld makes the cgroups ---- */

enum { OCI_HIERARCHIES_MAX = 24, OCI_CPU_PERIOD_US = 100000 };

/* Whether the controllers of this host are in cgroup v1. */
bool oci_cgroup_is_v1(void);
/* Makes the cgroup in every hierarchy of v1, with the spec's limits and the profile's devices. After a failure,
 * oci_cgroup_clear removes what was made. */
int oci_cgroup_make(const char *cgroup, const struct container_spec *spec, struct fault *why);
/* Files that a thread writes to in order to enter a cgroup (struct child_plan). Close them after a failure of
 * oci_cgroup_open, too. */
struct cgroup_fds {
        int fds[OCI_HIERARCHIES_MAX];
        size_t n;
        struct child_freezer freezer; /* -1: no freezer is mounted */
        int err;
};
#define CGROUP_FDS_NONE                                                                                                \
        {                                                                                                              \
                .freezer = { -1, -1 }                                                                                  \
        }
int oci_cgroup_open(const char *cgroup, struct cgroup_fds *ret_fds);
void oci_cgroup_close(struct cgroup_fds *fds);
/* Pauses or resumes by the freezer. After a negative errno the state is unchanged, or not known. */
int oci_cgroup_pause(const char *cgroup, bool is_paused);

/* ---- oci-life.c: the life of a container's process 1 ---- */

/* Opens the process that the runtime's pid file names, if it lives and is in the container's cgroup. */
int oci_life_attach(struct oci_container *container);
void oci_life_tell(struct oci_container *container, enum engine_event_kind kind);

/* ---- operations ---- */

int oci_claim(struct engine *engine, const char *id, const char *name, const struct label *labels, size_t n_labels,
              engine_done done, void *arg, struct engine_call **ret_call);
int oci_create(struct engine *engine, const struct container_spec *spec, engine_done done, void *arg,
               struct engine_call **ret_call);
int oci_start(struct engine *engine, const char *id, engine_done done, void *arg, struct engine_call **ret_call);
int oci_remove(struct engine *engine, const char *id, engine_done done, void *arg, struct engine_call **ret_call);
int oci_pause(struct engine *engine, const char *id, bool is_paused, engine_done done, void *arg,
              struct engine_call **ret_call);
int oci_exec(struct engine *engine, const char *id, const struct exec_command *command,
             const struct exec_events *events, engine_done done, void *arg, struct engine_call **ret_call);
void oci_image_prepare(struct oci *oci);
int oci_image_build(struct engine *engine, int context_fd, const char *reference, engine_done done, void *arg,
                    struct engine_call **ret_call);
int oci_image_inspect(struct engine *engine, const char *reference, engine_done done, void *arg,
                      struct engine_call **ret_call);
int oci_image_list(struct engine *engine, engine_done done, void *arg, struct engine_call **ret_call);
int oci_image_load(struct engine *engine, const struct image_source *source, engine_done done, void *arg,
                   struct engine_call **ret_call);
int oci_image_remove(struct engine *engine, const char *reference, engine_done done, void *arg,
                     struct engine_call **ret_call);
int oci_exec_inspect(struct engine *engine, const char *engine_exec_id, engine_done done, void *arg,
                     struct engine_call **ret_call);
