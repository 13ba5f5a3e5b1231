#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "helper-link.h"
#include "scope.h"

enum { GOODBYE_MS = 500 };

struct process_link {
        struct helper_link base;
        struct ev_loop *loop;
        const struct helper_kind *kind;
        char *path;
        int fd;            /* our end of the socketpair; -1: down */
        int pidfd;         /* -1: no process */
        double delay_s;    /* before the last start */
        bool has_answered; /* this process has sent a good message */
        ev_io on_message;
        ev_io on_exit;
        ev_timer start_again;
        ev_timer silence;
};

static struct process_link *link_of(struct helper_link *link)
{
        return (struct process_link *)(void *)link;
}

static void kill_process(const struct process_link *link)
{
        if (link->pidfd >= 0)
                (void)syscall(SYS_pidfd_send_signal, link->pidfd, SIGKILL, NULL, 0);
}

/* A default libev loop with a SIGCHLD handler may have reaped it before us: ECHILD is fine. */
static void reap_process(struct process_link *link)
{
        siginfo_t info;

        while (waitid(P_PIDFD, (id_t)link->pidfd, &info, WEXITED) < 0 && errno == EINTR)
                ;
        close(TAKE_FD(link->pidfd));
}

static void hang_up(struct process_link *link)
{
        if (link->fd < 0)
                return;
        ev_io_stop(link->loop, &link->on_message);
        ev_timer_stop(link->loop, &link->silence);
        close(TAKE_FD(link->fd));
        helper_on_down(link->base.helper);
}

/* Signals as at a fresh start, and no descriptor but 0 to 2 and the socket. */
static int spawn(const struct process_link *link, int fd, pid_t *ret_pid)
{
        char number[] = { '0' + HELPER_FD, '\0' };
        char *const argv[] = { (char *)link->kind->name, number, NULL };
        char *const environment[] = { NULL };
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none;
        sigset_t all;
        int r = posix_spawn_file_actions_init(&actions);

        if (r != 0)
                return -r;
        r = posix_spawnattr_init(&attributes);
        if (r == 0) {
                (void)sigemptyset(&none);
                (void)sigfillset(&all);
                (void)posix_spawnattr_setsigmask(&attributes, &none);
                (void)posix_spawnattr_setsigdefault(&attributes, &all);
                (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
                r = posix_spawn_file_actions_adddup2(&actions, fd, HELPER_FD);
                if (r == 0)
                        r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
                if (r == 0)
                        r = posix_spawn_file_actions_addclosefrom_np(&actions, HELPER_FD + 1);
                if (r == 0)
                        r = posix_spawn(ret_pid, link->path, &actions, &attributes, argv, environment);
                (void)posix_spawnattr_destroy(&attributes);
        }
        (void)posix_spawn_file_actions_destroy(&actions);
        return -r;
}

static void watch(struct process_link *link)
{
        ev_io_set(&link->on_message, link->fd, EV_READ);
        ev_io_start(link->loop, &link->on_message);
        ev_io_set(&link->on_exit, link->pidfd, EV_READ);
        ev_io_start(link->loop, &link->on_exit);
        ev_timer_again(link->loop, &link->silence); /* a repeat of 0 leaves it stopped */
}

static int start(struct process_link *link)
{
        AUTO(auto_close) int ours = -1;
        AUTO(auto_close) int theirs = -1;
        int pair[2];
        pid_t pid = 0;
        int r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        ours = pair[0];
        theirs = pair[1];
        r = spawn(link, theirs, &pid);
        if (r < 0)
                return r;
        link->pidfd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
        if (link->pidfd < 0) {
                r = -errno;
                (void)kill(pid, SIGKILL);
                (void)waitpid(pid, NULL, 0);
                return r;
        }
        link->fd = TAKE_FD(ours);
        link->has_answered = false;
        watch(link);
        return 0;
}

double helper_next_delay(const struct helper_kind *kind, double last_s, bool has_answered)
{
        double next_s = has_answered || last_s <= 0 ? kind->restart_least_s : 2 * last_s;

        return next_s < kind->restart_most_s ? next_s : kind->restart_most_s;
}

static void start_later(struct process_link *link)
{
        link->delay_s = helper_next_delay(link->kind, link->delay_s, link->has_answered);
        link->has_answered = false;
        ev_timer_set(&link->start_again, link->delay_s, 0.);
        ev_timer_start(link->loop, &link->start_again);
}

/* One message a turn: after helper_on_message the link may be gone. So what is true of a good message is set before. */
static void on_message(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct process_link *link = watcher->data;
        bool had_answered = link->has_answered;
        AUTO(helper_fds_close) struct helper_fds fds = { .n = 0 };
        struct helper_message message;
        size_t length = 0;
        int r = link->kind->sends_fds ? helper_receive_fds(link->fd, &message, &length, &fds)
                                      : helper_receive(link->fd, &message, &length);

        (void)events;
        if (r == -EAGAIN)
                return;
        link->has_answered = true;
        ev_timer_again(loop, &link->silence);
        if (r > 0 && helper_on_message(link->base.helper, &message, length, &fds) == 0)
                return;
        link->has_answered = had_answered;
        kill_process(link); /* it closed the socket, or sent a malformed message: on_exit_of goes on */
        hang_up(link);
}

static void on_exit_of(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct process_link *link = watcher->data;

        (void)events;
        ev_io_stop(loop, &link->on_exit);
        reap_process(link);
        start_later(link);
        hang_up(link);
}

static void on_start_again(struct ev_loop *loop, ev_timer *watcher, int events)
{
        struct process_link *link = watcher->data;

        (void)loop;
        (void)events;
        if (start(link) < 0)
                start_later(link);
        else
                helper_on_up(link->base.helper);
}

/* When we ourselves have stood still for so long, its messages are waiting and this timer is due at the same turn. */
static void on_silence(struct ev_loop *loop, ev_timer *watcher, int events)
{
        const struct process_link *link = watcher->data;

        (void)loop;
        (void)events;
        if (!ev_is_pending(&link->on_message))
                kill_process(link);
}

static int process_send(struct helper_link *base, const struct helper_head *request, size_t length, const int *fds,
                        size_t n_fds)
{
        const struct process_link *link = link_of(base);

        return link->fd < 0 ? -ENOTCONN : helper_send_fds(link->fd, request, length, fds, n_fds);
}

static void process_restart(struct helper_link *base)
{
        kill_process(link_of(base));
}

static void dismiss(struct process_link *link)
{
        struct pollfd gone = { .fd = link->pidfd, .events = POLLIN };

        if (link->fd >= 0)
                close(TAKE_FD(link->fd));
        if (link->pidfd < 0)
                return;
        if (poll(&gone, 1, GOODBYE_MS) <= 0)
                kill_process(link);
        reap_process(link);
}

static struct helper_link *process_free(struct helper_link *base)
{
        struct process_link *link = link_of(base);

        if (link == NULL)
                return NULL;
        ev_io_stop(link->loop, &link->on_message);
        ev_io_stop(link->loop, &link->on_exit);
        ev_timer_stop(link->loop, &link->start_again);
        ev_timer_stop(link->loop, &link->silence);
        dismiss(link);
        free(link->path);
        free(link);
        return NULL;
}

static const struct helper_link_ops OPS = { .send = process_send, .restart = process_restart, .free = process_free };

int helper_process_new(struct helper_link **ret_link, struct helper *helper, struct ev_loop *loop,
                       const struct helper_kind *kind, const char *path)
{
        struct process_link *link = calloc(1, sizeof *link);
        int r;

        if (link == NULL)
                return -ENOMEM;
        *link = (struct process_link){
                .base = { &OPS, helper }, .loop = loop, .kind = kind, .path = strdup(path), .fd = -1, .pidfd = -1
        };
        ev_io_init(&link->on_message, on_message, -1, EV_READ);
        ev_io_init(&link->on_exit, on_exit_of, -1, EV_READ);
        ev_timer_init(&link->start_again, on_start_again, 0., 0.);
        ev_timer_init(&link->silence, on_silence, 0., kind->silence_most_s);
        link->on_message.data = link->on_exit.data = link->start_again.data = link->silence.data = link;
        r = link->path == NULL ? -ENOMEM : start(link);
        if (r < 0) {
                (void)process_free(&link->base);
                return r;
        }
        *ret_link = &link->base;
        return 0;
}
