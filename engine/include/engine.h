/* Container engines as one table of operations. The pool never asks which engine it has.
 *
 * Every operation that talks to the engine returns at once, with 0 or a negative errno. Later it calls `done` exactly
 * once, never from inside the operation, unless the call is cancelled through its handle first. Every call has a
 * deadline (ENGINE_DEADLINE_S unless said otherwise). It ends with FAULT_DEADLINE or FAULT_ENGINE_UNAVAILABLE: after
 * these two the outcome is unknown and nothing may be assumed.
 *
 * Facts are from Docker Engine API v1.41 (docker 20.10), or from the source that an implementation names. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "image-reference.h"

struct ev_loop;
struct engine;
/* The first member of every implementation's call. Only implementations use it. */
struct engine_call {
        void (*cancel)(struct engine_call *call);                /* frees it; its done never runs */
        void (*pause)(struct engine_call *call, bool is_paused); /* NULL: the call has no output */
};

enum { ENGINE_ID_BYTES = 72, ENGINE_NAME_BYTES = 128 };
#define ENGINE_DEADLINE_S 10.0

struct label {
        const char *key;
        const char *value;
};

struct bind_mount {
        const char *source; /* absolute host path */
        const char *target; /* absolute path inside */
        bool is_read_only;
        bool is_recursive; /* with the mounts below the source; is_read_only then holds for them too */
};

struct tmpfs_mount {
        const char *target;
        const char *options; /* "rw,nosuid,nodev,size=536870912,mode=1777" */
        uint64_t inodes;     /* 0: the kernel's default. Docker and Podman ignore it (profile_inodes) */
};

/* The pool's request for a container, in no engine's own terms. All pointers are borrowed for the call. A caller can
 * ask for nothing else: the rest of the hardening is constant (profile.h, seccomp.c). */
struct container_spec {
        const char *name;
        const char *image;
        const char *const *argv;        /* entrypoint and arguments, NULL-terminated */
        const char *const *environment; /* "K=V", NULL-terminated; may be NULL */
        const char *working_dir;
        const char *hostname;
        uint32_t uid, gid; /* of the programs inside; never 0 */
        /* Owner of the files in writable binds, on disk; never 0. Where the engine maps ids (engine_about), uid:gid own
         * them inside; elsewhere both pairs are equal. */
        uint32_t owner_uid, owner_gid;
        const struct label *labels;
        size_t n_labels;
        const struct bind_mount *binds;
        size_t n_binds;
        const struct tmpfs_mount *tmpfs;
        size_t n_tmpfs;
        const char *const *dns; /* resolver addresses, NULL-terminated; never NULL or empty */
        uint64_t memory_bytes;  /* for memory, and for memory and swap together */
        uint64_t cpu_millis;    /* 1000: one CPU */
        uint32_t pids;
        uint32_t nofile;
        uint64_t shm_bytes;
        const char *runtime;       /* "" or NULL: the engine's default */
        const char *cgroup_parent; /* "" or NULL: the engine's default */
};

enum container_status {
        CONTAINER_CREATED,
        CONTAINER_RUNNING,
        CONTAINER_PAUSED,
        CONTAINER_REMOVING,
        CONTAINER_DEAD, /* exited or dead */
        CONTAINER_UNKNOWN
};

/* A container as the engine reports it. */
struct container_info {
        char id[ENGINE_ID_BYTES];
        char name[ENGINE_NAME_BYTES]; /* without the leading slash Docker gives */
        enum container_status status;
        int pid; /* of the container's init, in the host; 0: not running, or not known (lists) */
        int exit_code;
        bool is_oom_killed;      /* the engine's report; may be false after an OOM kill (docker 20.10) */
        int64_t started_wall_ms; /* 0: never started, or not known */
        struct label *labels;    /* owned together with the container_info */
        size_t n_labels;
};

/* The label's value, or NULL. */
const char *container_label(const struct container_info *info, const char *key);

struct image_info {
        char id[ENGINE_ID_BYTES + 8]; /* "sha256:..." */
        char reference[256];
        uint64_t bytes;          /* 0: not known */
        int64_t created_wall_ms; /* 0: not known */
};

/* An archive to import as an image. */
struct image_source {
        int fd;                   /* a regular file, at its beginning; borrowed until done */
        const char *reference;    /* the name it gets; copied */
        enum image_format format; /* IMAGE_AUTO: the engine detects it, as far as it can */
};

struct engine_about {
        char kind[16]; /* "docker", "fake" */
        char version[64];
        char api_version[16]; /* as negotiated */
        bool is_available;    /* the breaker: false while pings fail */
        /* Each container has a user namespace, with host ids that no other container has. The pool verifies that. */
        bool has_user_namespaces;
        bool can_relabel; /* whether claim replaces the labels */
        char detail[256]; /* for a person: why it is unavailable, or what it cannot do; or "" */
};

struct exec_status {
        bool is_running;
        int exit_code; /* valid when not running */
        int pid;       /* in the host; 0 when unknown */
};

/* The result of a call, valid during the callback only. Each operation says which member it sets. */
struct engine_reply {
        const char *id;
        const struct container_info *containers;
        size_t n_containers;
        const struct image_info *image;
        const struct image_info *images;
        size_t n_images;
        const struct exec_status *exec;
};

/* why is NULL on success; then reply is not NULL. Beside the two kinds above, a fault may be FAULT_NOT_FOUND (no such
 * container or exec), FAULT_NAME_TAKEN (create, claim: the name exists), FAULT_IMAGE_MISSING, FAULT_IMAGE_IN_USE,
 * FAULT_IMAGE_REFUSED (the archive is malformed) or FAULT_ENGINE_REFUSED (any other refusal, with the engine's
 * message). */
typedef void (*engine_done)(void *arg, const struct engine_reply *reply, const struct fault *why);

struct exec_command {
        const char *const *argv;        /* NULL-terminated */
        const char *const *environment; /* "K=V"; NULL-terminated; may be NULL */
        const char *working_dir;        /* NULL: the container's */
        const void *input;              /* all of stdin; copied; NULL with length 0: stdin is empty */
        size_t input_length;
};

/* Callbacks of a running exec. */
struct exec_events {
        /* The engine has answered the start. From now on is_running of exec_inspect describes the program. Between
         * create and start it is false, with no exit code (docker 20.10). */
        void (*on_started)(void *arg, const char *engine_exec_id);
        void (*on_output)(void *arg, int stream /* 1 or 2 */, const void *bytes, size_t length);
};

enum engine_event_kind {
        ENGINE_RESYNC, /* the stream was (re)connected; events may have been missed: list again */
        ENGINE_LOST,   /* the stream broke; the engine may be down */
        ENGINE_CONTAINER_STARTED,
        ENGINE_CONTAINER_DIED, /* init ended; id and exit_code are set */
        ENGINE_CONTAINER_REMOVED,
        ENGINE_CONTAINER_OOM,
        ENGINE_EXEC_DIED /* exec_id and exit_code are set */
};

struct engine_event {
        enum engine_event_kind kind;
        const char *id;      /* container; "" for RESYNC and LOST */
        const char *exec_id; /* ENGINE_EXEC_DIED */
        int exit_code;
};

typedef void (*engine_on_event)(void *arg, const struct engine_event *event);

struct engine_ops {
        const char *kind;
        struct engine *(*free)(struct engine *engine); /* cancels everything; returns NULL */
        void (*about)(const struct engine *engine, struct engine_about *ret_about);

        /* Creates a container and does not start it. reply->id is its id. */
        int (*create)(struct engine *engine, const struct container_spec *spec, engine_done done, void *arg,
                      struct engine_call **ret_call);
        int (*start)(struct engine *engine, const char *id, engine_done done, void *arg, struct engine_call **ret_call);
        /* id: an id or exact name. reply->containers[0] has labels and pid. */
        int (*inspect)(struct engine *engine, const char *id, engine_done done, void *arg,
                       struct engine_call **ret_call);
        /* Every container with label key=value, in any state; pid is 0 in a list. */
        int (*list)(struct engine *engine, const char *label, const char *value, engine_done done, void *arg,
                    struct engine_call **ret_call);
        /* Gives a container another name and, where the engine can change them (engine_about.can_relabel), these labels
         * in place of its own; elsewhere they are ignored. Name and labels are copied. The change is whole: a crash
         * leaves the old name and labels or the new ones. FAULT_NAME_TAKEN: another container has the name.
         * FAULT_NOT_FOUND: there is no such container. */
        int (*claim)(struct engine *engine, const char *id, const char *name, const struct label *labels,
                     size_t n_labels, engine_done done, void *arg, struct engine_call **ret_call);
        /* Kills and removes the container and its anonymous volumes. It is done only when the container is gone and its
         * name is free (an answer "removal in progress" is polled to 404). A container that is gone already is a
         * success. */
        int (*remove)(struct engine *engine, const char *id, engine_done done, void *arg,
                      struct engine_call **ret_call);
        int (*pause)(struct engine *engine, const char *id, bool is_paused, engine_done done, void *arg,
                     struct engine_call **ret_call);

        /* Runs a program inside, without a deadline of its own. It is done at the end of the program's output, with
         * reply->exec from an inspect. is_running is then true if the program closed its output and still runs. A
         * missing program or working directory is exit code 127 or 126, as the engine reports it. */
        int (*exec)(struct engine *engine, const char *id, const struct exec_command *command,
                    const struct exec_events *events, engine_done done, void *arg, struct engine_call **ret_call);
        int (*exec_inspect)(struct engine *engine, const char *engine_exec_id, engine_done done, void *arg,
                            struct engine_call **ret_call);

        /* reply->image. */
        int (*image_inspect)(struct engine *engine, const char *reference, engine_done done, void *arg,
                             struct engine_call **ret_call);
        /* reply->images: every image that has a name, once for each name. */
        int (*image_list)(struct engine *engine, engine_done done, void *arg, struct engine_call **ret_call);
        /* Imports an archive as an image with this name: reply->image. This may take minutes. */
        int (*image_load)(struct engine *engine, const struct image_source *source, engine_done done, void *arg,
                          struct engine_call **ret_call);
        /* Removes the name; with its last name the image is removed. */
        int (*image_remove)(struct engine *engine, const char *reference, engine_done done, void *arg,
                            struct engine_call **ret_call);
        /* Builds an image named reference from a tar with a Dockerfile. */
        int (*image_build)(struct engine *engine, int context_fd, const char *reference, engine_done done, void *arg,
                           struct engine_call **ret_call);

        /* Reports events of containers with label key=value as long as the engine lives. It reconnects by itself, after
         * 0.1 s, doubling to 2 s. RESYNC is the first event of each connection; events of the second before it may come
         * twice. There can be one watcher. */
        int (*watch)(struct engine *engine, const char *label, const char *value, engine_on_event on_event, void *arg);
};

/* The first member of every implementation. */
struct engine {
        const struct engine_ops *ops;
};

/* Cancels a call: its done, on_started and on_output never run after this. The engine may still carry the operation
 * out. NULL is fine. Returns NULL. */
struct engine_call *engine_cancel(struct engine_call *call);
/* Pauses or resumes the output of an exec. */
void engine_pause_output(struct engine_call *call, bool is_paused);
