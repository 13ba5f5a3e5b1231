/* Runs one short-lived program beside the loop: no shell, no PATH, no SIGCHLD, and the program inherits nothing that is
 * not in the plan. A pidfd reports its end, so this works in a process with other children and signal handlers. The
 * start is a vfork(2): its cost does not grow with the daemon's memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct child;
struct ev_loop;

/* A descriptor that the program gets as the number `as` (3 or more). Borrowed during child_start. */
struct child_fd {
        int fd;
        int as;
};

/* The groups that the program enters may be frozen (cgroup v1). A child that is frozen before its exec never becomes
 * the program, and the parent, which is blocked until then, would wait for ever. Such a child is taken out of the
 * groups and killed. */
struct child_freezer {
        int state_fd;   /* freezer.state of the groups, open for reading */
        int release_fd; /* `tasks` of a group that is not frozen, open for writing */
};

enum child_streams {
        CHILD_COLLECT, /* stdout and stderr are read through pipes */
        CHILD_DISCARD  /* both are /dev/null: for a program whose children live on with its descriptors */
};

struct child_result {
        int wait_status; /* of wait(2), for WIFEXITED etc. */
        bool is_late;    /* killed at its deadline */
        const char *out; /* its output, NUL-terminated, never NULL; empty when on_output got it */
        const char *errors;
        size_t out_length;
        size_t errors_length;
        bool is_truncated; /* a stream was longer than output_max; this is its beginning */
};

struct child_plan {
        const char *path;        /* absolute */
        const char *const *argv; /* NULL-terminated, argv[0] included */
        const char *const *envp; /* NULL-terminated; NULL: an empty environment */
        const char *cwd;         /* NULL: "/" */
        const struct child_fd *fds;
        size_t n_fds;
        int stdin_fd; /* borrowed during child_start; -1: /dev/null */
        /* Opened for streams that are /dev/null; NULL: /dev/null itself. For a program that changes the owner of its
         * streams, because the device belongs to the whole host. */
        const char *null_path;
        /* `tasks` files of cgroup v1, opened for writing; borrowed. The program's process writes itself into these
         * groups, so it is a member from its first instruction on. */
        const int *cgroup_fds;
        size_t n_cgroup_fds;
        const struct child_freezer *freezer; /* NULL: they cannot be frozen; borrowed; unused if shares_cgroup */
        /* Other programs run in those groups, which may be frozen or out of CPU time. The child is then forked, and
         * child_start does not wait for its exec: a program that cannot be run is an exit code of 127. */
        bool shares_cgroup;
        int mount_namespace_fd; /* entered before the program is opened; -1: stay in this one */
        /* NULL, or called in the child in that namespace. System calls only, because the memory may be the parent's.
         * Returns 0, or a negative errno with which the start fails. */
        int (*prepare)(const void *arg);
        const void *prepare_arg;
        enum child_streams streams;
        size_t output_max; /* bytes to keep of each stream; the rest is read and dropped */
        double deadline_s; /* SIGKILL is sent then; 0: never */
        bool dies_with_us; /* SIGKILL when this process ends, even by kill -9 (PR_SET_PDEATHSIG) */
        /* Gets the output; fd is 1 or 2. It may call child_cancel. NULL: the output is collected. */
        void (*on_output)(void *arg, int fd, const char *bytes, size_t length);
        /* Called once, when the program has ended and its own output has been read. Other processes that hold its pipes
         * are not waited for. Never called from inside child_start. The child frees itself afterwards; result is valid
         * during the call. */
        void (*done)(void *arg, const struct child_result *result);
        void *arg;
};

/* Starts the program. plan is not needed afterwards. Returns 0 or a negative errno. It may be the program's (-ENOENT,
 * -EACCES: there is no such program), a shortage (-EAGAIN, -ENOMEM, -EMFILE), or -EBUSY: its groups are frozen.
 * *ret_child may then be untouched. */
__attribute__((warn_unused_result)) int child_start(struct child **ret_child, struct ev_loop *loop,
                                                    const struct child_plan *plan);

/* Kills the program; no callback runs after this. If it cannot die yet (frozen, or waiting for a disk), the loop reaps
 * it later. NULL is fine; returns NULL. */
struct child *child_cancel(struct child *child);

/* Kills the program, if it has not ended; done runs as for its own end. Also from inside on_output, which may run after
 * the end, when the pid may be another's. */
void child_kill(struct child *child);

/* Its pid in our pid namespace. Only before done or child_cancel. */
int child_pid(const struct child *child);

/* Backpressure: while paused, its output is not read and its end is not reported. */
void child_pause(struct child *child, bool is_paused);
