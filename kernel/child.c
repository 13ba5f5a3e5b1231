#include "child.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scope.h"
#include "str.h"

enum {
        STACK_BYTES = 64 * 1024,
        READ_BYTES = 64 * 1024,
        CANCEL_WAIT_MS = 50,
        FROZEN_WAIT_MS = 50,
        FREEZER_STATE_BYTES = 16,
        DRAIN_BYTES =
                1024 *
                1024 /* at least the capacity of a pipe (pipe-max-size); more than that was written after the end */
};

struct stream {
        struct child *child;
        ev_io watcher;
        int fd; /* our end; -1: closed */
        int number;
        size_t drained_bytes; /* read since the end of the program */
        struct buffer kept;
};

struct child {
        struct ev_loop *loop;
        ev_io on_exit;
        ev_timer deadline;
        int pid;
        int pidfd;
        int wait_status;
        size_t output_max;
        bool has_ended;
        bool is_late;
        bool is_truncated;
        bool is_paused;
        bool is_busy;      /* in on_output: a cancel frees later */
        bool is_cancelled; /* cancelled while busy; or a cancelled child that has not died yet */
        struct stream out;
        struct stream errors;
        void (*on_output)(void *arg, int fd, const char *bytes, size_t length);
        void (*done)(void *arg, const struct child_result *result);
        void *arg;
};

/* ---- in the child, which shares the parent's memory until exec: system calls only ---- */

/* Its stack is heap memory that it leaves without returning, which AddressSanitizer would take for an error. */
#define IN_CHILD __attribute__((no_sanitize("address")))

struct launch {
        const struct child_plan *plan;
        int streams[3];
        int first_free; /* above every target number */
        pid_t parent;
        sigset_t mask;
        _Atomic pid_t self; /* the parent reads these: the memory is shared */
        int err;
};

/* No handler of the parent may run in the child, and an ignored signal would stay ignored in the program. */
IN_CHILD static void reset_signals(const sigset_t *mask)
{
        struct sigaction action = { .sa_handler = SIG_DFL };

        for (int number = 1; number < NSIG; number++)
                (void)sigaction(number, &action, NULL); /* fails for SIGKILL, SIGSTOP and libc's own signals */
        (void)sigprocmask(SIG_SETMASK, mask, NULL);
}

/* First all are moved above the targets, then each to its own number: sources and targets may overlap. */
IN_CHILD static int place(int *fds, const int *targets, size_t count, int first_free)
{
        for (size_t i = 0; i < count; i++) {
                fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, first_free);
                if (fds[i] < 0)
                        return -errno;
        }
        for (size_t i = 0; i < count; i++)
                if (dup2(fds[i], targets[i]) < 0)
                        return -errno;
        return 0;
}

enum { FDS_MAX = 16 };

IN_CHILD static int arrange_descriptors(const struct launch *launch)
{
        const struct child_plan *plan = launch->plan;
        int fds[FDS_MAX + 3] = { launch->streams[0], launch->streams[1], launch->streams[2] };
        int targets[FDS_MAX + 3] = { 0, 1, 2 };

        if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0 && errno != ENOSYS)
                return -errno;
        for (size_t i = 0; i < plan->n_fds; i++) {
                fds[i + 3] = plan->fds[i].fd;
                targets[i + 3] = plan->fds[i].as;
        }
        return place(fds, targets, plan->n_fds + 3, launch->first_free);
}

/* "0" is the writing process (cgroups(7)). */
IN_CHILD static int enter_cgroups(const struct child_plan *plan)
{
        for (size_t i = 0; i < plan->n_cgroup_fds; i++)
                if (write(plan->cgroup_fds[i], "0", 1) < 0)
                        return -errno;
        return 0;
}

IN_CHILD static int become(const struct launch *launch)
{
        static const char *const NOTHING[] = { NULL };
        const struct child_plan *plan = launch->plan;
        int r;

        if (plan->dies_with_us &&
            (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != launch->parent)) /* the parent may have died before */
                return -ECHILD;
        if (plan->mount_namespace_fd >= 0 && setns(plan->mount_namespace_fd, CLONE_NEWNS) < 0)
                return -errno;
        if (plan->prepare != NULL && (r = plan->prepare(plan->prepare_arg)) < 0)
                return r;
        /* Entered last, before steps that need no CPU time: the parent waits for this child, and the group may have
         * almost none. */
        r = enter_cgroups(plan);
        if (r < 0)
                return r;
        if (chdir(plan->cwd != NULL ? plan->cwd : "/") < 0)
                return -errno;
        r = arrange_descriptors(launch);
        if (r < 0)
                return r;
        reset_signals(&launch->mask);
        (void)execve(plan->path, (char *const *)plan->argv, (char *const *)(plan->envp != NULL ? plan->envp : NOTHING));
        return -errno;
}

IN_CHILD static int run_child(void *arg)
{
        struct launch *launch = arg;

        launch->self = getpid();
        launch->err = -become(launch);
        _exit(127);
}

/* ---- a child that is frozen before exec ---- */

/* The parent is blocked until the child has become the program and cannot be woken, so another thread watches the
 * child. */
struct guard {
        struct launch *launch;
        pthread_t thread;
        int end_fd; /* an eventfd: the child has become the program or has ended; -1: there is no thread */
        bool has_killed;
};

static bool is_frozen(int state_fd)
{
        static const char THAWED[] = "THAWED";
        char state[FREEZER_STATE_BYTES] = "";

        return pread(state_fd, state, sizeof state - 1, 0) > 0 && strncmp(state, THAWED, strlen(THAWED)) != 0;
}

/* A process that leaves a frozen group is thawed (freezer_attach in kernel/cgroup/legacy_freezer.c). It is a child that
 * has not been waited for, so its pid is still its own. */
static bool free_and_kill(const struct launch *launch)
{
        char pid[16];
        int length = snprintf(pid, sizeof pid, "%d", (int)launch->self);

        (void)kill(launch->self, SIGKILL);
        return write(launch->plan->freezer->release_fd, pid, (size_t)length) == length;
}

static void *stand_guard(void *arg)
{
        struct guard *guard = arg;
        struct pollfd end = { .fd = guard->end_fd, .events = POLLIN };

        while (poll(&end, 1, FROZEN_WAIT_MS) <= 0)
                if (guard->launch->self > 0 && is_frozen(guard->launch->plan->freezer->state_fd))
                        guard->has_killed = free_and_kill(guard->launch) || guard->has_killed;
        return NULL;
}

static int guard_begin(struct guard *guard)
{
        const struct child_plan *plan = guard->launch->plan;
        int r;

        if (plan->freezer == NULL || plan->shares_cgroup)
                return 0;
        guard->end_fd = eventfd(0, EFD_CLOEXEC);
        if (guard->end_fd < 0)
                return -errno;
        r = pthread_create(&guard->thread, NULL, stand_guard, guard);
        if (r != 0)
                close(TAKE_FD(guard->end_fd));
        return -r;
}

static void guard_end(struct guard *guard)
{
        if (guard->end_fd < 0)
                return;
        (void)eventfd_write(guard->end_fd, 1);
        (void)pthread_join(guard->thread, NULL);
        close(TAKE_FD(guard->end_fd));
}

/* ---- the start ---- */

static int highest_number(const struct child_plan *plan)
{
        int highest = 2;

        for (size_t i = 0; i < plan->n_fds; i++)
                if (plan->fds[i].as > highest)
                        highest = plan->fds[i].as;
        return highest;
}

static void reap_now(int pidfd)
{
        siginfo_t info;

        while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 && errno == EINTR)
                ;
}

/* With CLONE_VFORK the parent is blocked until the child has become the program, so the child may use its stack and
 * memory. Without it the child has copies of both. */
static int launch_program(struct launch *launch, int *ret_pid, int *ret_pidfd)
{
        AUTO(auto_free) char *stack = malloc(STACK_BYTES);
        int sharing = launch->plan->shares_cgroup ? 0 : CLONE_VM | CLONE_VFORK;
        struct guard guard = { .launch = launch, .end_fd = -1 };
        sigset_t all;
        int pidfd = -1;
        int pid = -1;
        int r;

        if (stack == NULL)
                return -ENOMEM;
        (void)sigfillset(&all);
        (void)sigprocmask(SIG_SETMASK, &all, &launch->mask);
        r = guard_begin(&guard);
        if (r == 0) {
                pid = clone(run_child, stack + STACK_BYTES, sharing | CLONE_PIDFD | SIGCHLD, launch, &pidfd);
                r = pid < 0 ? -errno : 0;
        }
        guard_end(&guard);
        (void)sigprocmask(SIG_SETMASK, &launch->mask, NULL);
        if (r < 0)
                return r;
        if (launch->err == 0 && guard.has_killed)
                launch->err = EBUSY;
        if (launch->err != 0) {
                reap_now(pidfd);
                close(pidfd);
                return -launch->err;
        }
        *ret_pid = pid;
        *ret_pidfd = pidfd;
        return 0;
}

static int open_pipe(struct stream *stream, int *ret_end)
{
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        stream->fd = ends[0];
        *ret_end = ends[1];
        return fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int launch_with_streams(struct child *child, const struct child_plan *plan)
{
        AUTO(auto_close)
        int nothing = open(plan->null_path != NULL ? plan->null_path : "/dev/null", O_RDWR | O_CLOEXEC);
        AUTO(auto_close) int out = -1;
        AUTO(auto_close) int errors = -1;
        struct launch launch = { .plan = plan, .first_free = highest_number(plan) + 1, .parent = getpid() };
        int r;

        if (nothing < 0)
                return -errno;
        if (plan->streams == CHILD_COLLECT &&
            ((r = open_pipe(&child->out, &out)) < 0 || (r = open_pipe(&child->errors, &errors)) < 0))
                return r;
        launch.streams[0] = plan->stdin_fd >= 0 ? plan->stdin_fd : nothing;
        launch.streams[1] = out >= 0 ? out : nothing;
        launch.streams[2] = errors >= 0 ? errors : nothing;
        return launch_program(&launch, &child->pid, &child->pidfd);
}

/* ---- the end ---- */

static void close_stream(struct stream *stream)
{
        if (stream->fd < 0)
                return;
        ev_io_stop(stream->child->loop, &stream->watcher);
        close(stream->fd);
        stream->fd = -1;
}

static void detach(struct child *child)
{
        ev_io_stop(child->loop, &child->on_exit);
        ev_timer_stop(child->loop, &child->deadline);
        close_stream(&child->out);
        close_stream(&child->errors);
}

static void release(struct child *child)
{
        detach(child);
        if (child->pidfd >= 0)
                close(child->pidfd);
        buffer_free(&child->out.kept);
        buffer_free(&child->errors.kept);
        free(child);
}

static const char *text_of(const struct buffer *kept)
{
        return kept->data != NULL ? kept->data : "";
}

/* Unlinks the child before it calls done. */
static void finish(struct child *child)
{
        const struct child_result result = {
                .wait_status = child->wait_status,
                .is_late = child->is_late,
                .out = text_of(&child->out.kept),
                .errors = text_of(&child->errors.kept),
                .out_length = child->out.kept.length,
                .errors_length = child->errors.kept.length,
                .is_truncated = child->is_truncated,
        };

        detach(child);
        child->is_busy = true; /* a cancel inside done must not free the child twice */
        child->done(child->arg, &result);
        release(child);
}

/* Returns false when a callback has cancelled the child, which is then gone. */
static bool take(struct stream *stream, const char *bytes, size_t length)
{
        struct child *child = stream->child;
        size_t room = child->output_max - stream->kept.length;

        if (child->on_output == NULL) {
                if (buffer_append(&stream->kept, bytes, length < room ? length : room) < 0 || length > room)
                        child->is_truncated = true;
                return true;
        }
        child->is_busy = true;
        child->on_output(child->arg, stream->number, bytes, length);
        child->is_busy = false;
        if (!child->is_cancelled)
                return true;
        if (child->has_ended)
                release(child);
        return false;
}

/* Reads once. 1: there may be more; 0: not now or never; -1: the child is gone. */
static int read_stream(struct stream *stream)
{
        char bytes[READ_BYTES];
        ssize_t n;

        if (stream->fd < 0)
                return 0;
        n = read(stream->fd, bytes, sizeof bytes);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return errno == EINTR;
        if (n <= 0) {
                close_stream(stream);
                return 0;
        }
        stream->drained_bytes += (size_t)n;
        return take(stream, bytes, (size_t)n) ? 1 : -1;
}

/* The program's own output is in the pipe when it has ended. Output that other processes go on writing is not waited
 * for. */
static int drain(struct stream *stream)
{
        int r = 1;

        while (r > 0 && !stream->child->is_paused && stream->drained_bytes < DRAIN_BYTES)
                r = read_stream(stream);
        return r;
}

static void settle(struct child *child)
{
        if (!child->has_ended || child->is_paused)
                return;
        if (drain(&child->out) < 0 || child->is_paused || drain(&child->errors) < 0 || child->is_paused)
                return;
        finish(child);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct stream *stream = watcher->data;

        (void)read_stream(stream);
}

/* ECHILD if other code of the process called waitpid(-1): the exit status is then unknown, which is no success. */
static int wait_status_of(int pidfd)
{
        siginfo_t info = { 0 };
        int r;

        while ((r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED)) < 0 && errno == EINTR)
                ;
        if (r < 0)
                return W_EXITCODE(127, 0);
        return info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0) : W_EXITCODE(0, info.si_status);
}

static void on_exit_event(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct child *child = watcher->data;

        if (child->is_cancelled) {
                reap_now(child->pidfd);
                release(child);
                return;
        }
        if (!child->has_ended) { /* otherwise child_pause has fed this event */
                child->wait_status = wait_status_of(child->pidfd);
                child->has_ended = true;
                child->out.drained_bytes = child->errors.drained_bytes = 0;
                ev_io_stop(loop, &child->on_exit);
                ev_timer_stop(loop, &child->deadline);
        }
        settle(child);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct child *child = timer->data;

        child->is_late = true;
        child_kill(child);
}

/* ---- the interface ---- */

static void watch_stream(struct child *child, struct stream *stream)
{
        if (stream->fd < 0)
                return;
        ev_io_init(&stream->watcher, on_readable, stream->fd, EV_READ);
        stream->watcher.data = stream;
        ev_io_start(child->loop, &stream->watcher);
}

static void watch(struct child *child, double deadline_s)
{
        watch_stream(child, &child->out);
        watch_stream(child, &child->errors);
        ev_io_set(&child->on_exit, child->pidfd, EV_READ);
        ev_io_start(child->loop, &child->on_exit);
        if (deadline_s > 0) {
                ev_timer_set(&child->deadline, deadline_s, 0.0);
                ev_timer_start(child->loop, &child->deadline);
        }
}

int child_start(struct child **ret_child, struct ev_loop *loop, const struct child_plan *plan)
{
        struct child *child;
        int r;

        if (plan->n_fds > FDS_MAX)
                return -E2BIG;
        child = calloc(1, sizeof *child);
        if (child == NULL)
                return -ENOMEM;
        child->loop = loop;
        child->output_max = plan->output_max;
        child->on_output = plan->on_output;
        child->done = plan->done;
        child->arg = plan->arg;
        child->pidfd = -1;
        child->out = (struct stream){ .child = child, .fd = -1, .number = STDOUT_FILENO };
        child->errors = (struct stream){ .child = child, .fd = -1, .number = STDERR_FILENO };
        ev_init(&child->on_exit, on_exit_event);
        ev_init(&child->deadline, on_deadline);
        child->on_exit.data = child->deadline.data = child;
        r = launch_with_streams(child, plan);
        if (r < 0) {
                release(child);
                return r;
        }
        watch(child, plan->deadline_s);
        *ret_child = child;
        return 0;
}

/* A process dies in well under a millisecond. But one that waits for a disk or is frozen cannot die yet, and the loop
 * must not wait for it. */
static bool has_died(int pidfd)
{
        struct pollfd poller = { .fd = pidfd, .events = POLLIN };

        return poll(&poller, 1, CANCEL_WAIT_MS) > 0;
}

struct child *child_cancel(struct child *child)
{
        if (child == NULL || child->is_cancelled)
                return NULL;
        if (!child->has_ended) {
                child_kill(child);
                child->has_ended = has_died(child->pidfd);
                if (child->has_ended)
                        reap_now(child->pidfd);
        }
        child->is_cancelled = true;
        detach(child);
        if (!child->has_ended)
                ev_io_start(child->loop, &child->on_exit);
        else if (!child->is_busy)
                release(child);
        return NULL;
}

void child_kill(struct child *child)
{
        (void)syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0); /* ESRCH: it has ended */
}

int child_pid(const struct child *child)
{
        return child->pid;
}

static void pause_stream(struct stream *stream, bool is_paused)
{
        if (stream->fd < 0)
                return;
        if (is_paused)
                ev_io_stop(stream->child->loop, &stream->watcher);
        else
                ev_io_start(stream->child->loop, &stream->watcher);
}

void child_pause(struct child *child, bool is_paused)
{
        if (child->is_cancelled || child->is_paused == is_paused)
                return;
        child->is_paused = is_paused;
        pause_stream(&child->out, is_paused);
        pause_stream(&child->errors, is_paused);
        /* Not finished inside the caller, which may not expect done. */
        if (!is_paused && child->has_ended)
                ev_feed_event(child->loop, &child->on_exit, EV_CUSTOM);
}
