/* One short-lived program run beside the loop: no shell, no PATH, no SIGCHLD, nothing inherited that was not named.
 * Its end is known by a pidfd, so it works in a process that has other children and other signal habits.
 * The start costs a vfork(2): what it takes does not grow with the daemon's memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct child;
struct ev_loop;

/* A descriptor of ours that the program has under the number `as` (3 or more). Borrowed during child_start. */
struct child_fd {
        int fd;
        int as;
};

/* Somebody may freeze the groups that the program enters (cgroup v1): who is frozen on his way there would never become
 * the program, which we stand still for, and dies of nothing. Such a child is taken out of them and killed. */
struct child_freezer {
        int state_fd;   /* their file freezer.state, open for reading */
        int release_fd; /* a file `tasks` of a group that is not frozen, open for writing */
};

enum child_streams {
        CHILD_COLLECT, /* stdout and stderr go through pipes to us */
        CHILD_DISCARD  /* both are /dev/null: for a program whose own children live on with its descriptors */
};

struct child_result {
        int wait_status; /* as wait(2) has it: WIFEXITED and friends */
        bool is_late;    /* killed at its deadline */
        const char *out; /* what it wrote, NUL-terminated, never NULL; empty when streamed by on_output */
        const char *errors;
        size_t out_length;
        size_t errors_length;
        bool is_truncated; /* a stream was longer than output_max: its beginning is here */
};

struct child_plan {
        const char *path;        /* absolute */
        const char *const *argv; /* NULL-terminated, argv[0] included */
        const char *const *envp; /* NULL-terminated; NULL: an empty environment */
        const char *cwd;         /* NULL: "/" */
        const struct child_fd *fds;
        size_t n_fds;
        int stdin_fd; /* borrowed during child_start; -1: /dev/null */
        /* Opened for the streams that are /dev/null; NULL: /dev/null itself. For a program that changes the owner of
         * its streams: the device is the whole host's. */
        const char *null_path;
        /* Files `tasks` of cgroup v1, opened for writing; borrowed. The program is a member of these groups from its
         * first instruction on: its process writes itself in. */
        const int *cgroup_fds;
        size_t n_cgroup_fds;
        const struct child_freezer *freezer; /* NULL: nobody freezes them; borrowed, and unused if is_company */
        /* Somebody runs in those groups, who may have used up their CPU time or be frozen: then the child is a copy of
         * us that we do not stand still for, and what the program cannot be run for is an exit code of 127. */
        bool shares_cgroup;
        int mount_namespace_fd; /* entered before the program is looked for; -1: ours */
        /* NULL, or called in the child once it is in that namespace: system calls only, as the memory may be ours. 0,
         * or a negative errno, with which the start fails. */
        int (*prepare)(const void *arg);
        const void *prepare_arg;
        enum child_streams streams;
        size_t output_max; /* bytes kept of each stream; the rest is read and dropped */
        double deadline_s; /* then SIGKILL; 0: none */
        bool dies_with_us; /* SIGKILL when this process ends, even by kill -9 (PR_SET_PDEATHSIG) */
        /* NULL: collected. fd is 1 or 2. child_cancel may be called from inside. */
        void (*on_output)(void *arg, int fd, const char *bytes, size_t length);
        /* Once, at the program's end, when what it had written until then has been read; whoever else still holds its
         * pipes is not waited for. Never from inside child_start. The child frees itself afterwards; result is valid
         * during the call. */
        void (*done)(void *arg, const struct child_result *result);
        void *arg;
};

/* Everything in plan is copied or used up. Returns 0 or a negative errno: the program's own (-ENOENT, -EACCES: there is
 * no such program) or what the kernel lacks (-EAGAIN, -ENOMEM, -EMFILE), or -EBUSY: its groups are frozen.
 * *ret_child may then be untouched. */
__attribute__((warn_unused_result)) int child_start(struct child **ret_child, struct ev_loop *loop,
                                                    const struct child_plan *plan);

/* Kills the program and forgets it: no callback runs any more. One that cannot die yet (a frozen one, or one that waits
 * for a disk) is reaped by the loop later. NULL is fine; returns NULL. */
struct child *child_cancel(struct child *child);

/* In our process ids; the child must be alive as an object (not yet done or cancelled). */
int child_pid(const struct child *child);

/* Backpressure: while paused none of its output is read, and its end is not reported. */
void child_pause(struct child *child, bool is_paused);
