/* Private to exec and its backends (exec/agent, exec/engine): what every exec has, and the table of a backend. */
#pragma once

#include <ev.h>

#include "cgroup.h"
#include "engine.h"
#include "exec-cause.h"
#include "exec-output.h"
#include "exec.h"
#include "freezer.h"
#include "list.h"
#include "share.h"

struct exec_timing {
        double arrive_s;      /* after the last process has died: how long its output may be on its way */
        double drain_s;       /* after the exit: how long output is read, unless the request says */
        double grace_s;       /* agent: from TERM to KILL; engine: from the kill to an answer without a confirmed end */
        double linger_s;      /* after a cancel or an unconfirmed end: how long the exec is killed again and again */
        double stall_s;       /* after the last process has died: how long its output waits for a slow reader */
        double retry_first_s; /* between two kills; doubles up to retry_max_s */
        double retry_max_s;
};

/* A registered backend. */
struct exec_provider {
        const struct exec_backend *backend;
        void *self; /* its state */
};
enum { EXEC_PROVIDERS_MAX = 2 };

struct execs {
        struct ev_loop *loop;
        struct exec_provider providers[EXEC_PROVIDERS_MAX]; /* in the order of their registration */
        unsigned n_providers;
        struct list running;      /* struct exec */
        struct execs_walk *walks; /* over `running` */
        struct cgroup_mounts mounts;
        struct exec_timing timing;
        struct exec_limits limits;
        struct share outputs; /* bytes of kept output, shared between containers */
        struct sharers sharers;
        void (*on_left_behind)(void *arg, const char *container_id, enum exec_left_behind why);
        void *left_behind_arg;
};

/* Where an exec runs. */
struct exec_place {
        const char *container_id;
        int container_pid;            /* 0: not known */
        struct cgroup_reader *reader; /* of the container's cgroup, which outlives its execs; NULL: the pid finds it */
};

/* A backend runs execs. A member that is NULL is not supported. */
struct exec_backend {
        /* Whether it runs the execs of this container. Of several that do, the one that was registered first does. */
        bool (*serves)(const void *self, const char *container_id);
        /* Contract of exec_start; the exec id is set and not in use, `environment` has all variables,
         * and the container is not frozen. */
        int (*start)(void *self, const char *container_id, int container_pid, const struct exec_request *request,
                     const struct exec_sink *sink, void *arg, struct exec **ret_exec);
        /* Of the container's cgroup; NULL, or of the kind NONE: it cannot be frozen. */
        const struct freezer *(*freezer)(const void *self, const char *container_id);
        void (*on_event)(void *self, const struct engine_event *event);
        /* The container is gone: takes what is still known of its execs. They end after this, by `lost`. */
        void (*on_container_lost)(void *self, const char *container_id);
        /* Frees its state; its execs have been freed before. */
        void (*free_self)(void *self);

        /* Of one exec. The contract is that of the function of exec.h that calls it, which has checked that the user
         * still waits. */
        void (*cancel)(struct exec *exec);
        void (*pause)(struct exec *exec, bool is_paused);
        int (*signal)(struct exec *exec, int signal);
        ssize_t (*read)(struct exec *exec, int *ret_stream, void *bytes, size_t size);
        ssize_t (*write)(struct exec *exec, const void *bytes, size_t length);
        int (*close_input)(struct exec *exec);
        int (*resize)(struct exec *exec, uint16_t rows, uint16_t cols);
        /* The container is gone: answers the user and frees the exec, which is in no list. */
        void (*lost)(struct exec *exec, bool is_oom);
        /* carreld ends: kills what can be killed at once and frees the exec; the sink is not called. */
        void (*free)(struct exec *exec);
};

/* The first member of every backend's exec. */
struct exec {
        const struct exec_backend *backend;
        struct list node; /* in execs->running */
        struct execs *execs;
        char id[EXEC_ID_BYTES];
        char container_id[ENGINE_ID_BYTES];
        char *program, *command;
        struct exec_sink sink;
        void *arg;
        bool is_silent; /* answered or cancelled: the sink is not called any more */
        bool is_streaming;
        bool is_pulled;
        bool is_paused; /* by exec_pause, or because its output waits for exec_read */
        struct exec_output output, errors;
        double drain_s;      /* greater than 0 */
        const char *message; /* of the result, static; or NULL */
        struct exec_usage usage;
        bool is_open;                 /* when reading ended, a process could still write */
        struct sharer *sharer;        /* of execs->outputs; NULL: nothing is kept yet */
        uint64_t kept_bytes;          /* of execs->outputs that this exec holds */
        int64_t since_ms;             /* CLOCK_BOOTTIME of exec_start */
        bool has_cgroup;              /* the container's cgroup is known, and counts */
        struct cgroup_reader *reader; /* NULL: `cgroup` is read */
        struct cgroup cgroup;
        struct cgroup_counters before;
};

/* Adds a backend. self is the backend's from now on, and is freed by execs_free. 0 or -ENOSPC. */
int execs_register(struct execs *execs, const struct exec_backend *backend, void *self);
/* The state of this registered backend; NULL: it was not registered. */
void *execs_provider_of(const struct execs *execs, const struct exec_backend *backend);

/* Fills the common part; the exec is in no list yet. 0, or a negative errno. Call exec_release after both. */
int exec_init(struct exec *exec, const struct exec_backend *backend, struct execs *execs,
              const struct exec_place *place, const struct exec_request *request, const struct exec_sink *sink,
              void *arg);
/* Removes the exec from its list, and moves walks past it. */
void exec_leave(struct exec *exec);
/* Calls on_launch. Call it before the program is asked for. */
void exec_note_launch(const struct exec *exec);
/* Frees what the common part owns, but not the struct. */
void exec_release(struct exec *exec);

/* Passes bytes of a stream (1, 2) to the user, or keeps them. The callback may cancel the exec. */
void exec_take_output(struct exec *exec, int stream, const void *bytes, size_t length);
/* Adds whether the kernel has counted an OOM kill or a refused fork in the container since the exec began. */
void exec_read_counters(const struct exec *exec, struct exec_facts *facts);
/* Answers the user, if he still waits. The exec is silent before the callback runs, so the callback may do anything. */
void exec_report(struct exec *exec, const struct exec_end *end);
void exec_report_fault(struct exec *exec, const struct fault *why);
