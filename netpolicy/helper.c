#include "helper.h"

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

#include "scope.h"

#define RESPAWN_S 0.5

enum {
        SOCKET_FD = 3, /* in the helper */
        GOODBYE_MS = 500,
};

struct helper {
        struct transport base;
        struct ev_loop *loop;
        char *path;
        int fd;    /* our end of the socketpair; -1: down */
        int pidfd; /* -1: no process */
        ev_io on_message;
        ev_io on_exit;
        ev_timer respawn;
};

static struct helper *helper_of(struct transport *transport)
{
        return (struct helper *)(void *)transport;
}

static void kill_process(const struct helper *helper)
{
        if (helper->pidfd >= 0)
                (void)syscall(SYS_pidfd_send_signal, helper->pidfd, SIGKILL, NULL, 0);
}

/* A default libev loop with a SIGCHLD handler may have reaped it before us: ECHILD is fine. */
static void reap_process(struct helper *helper)
{
        siginfo_t info;

        while (waitid(P_PIDFD, (id_t)helper->pidfd, &info, WEXITED) < 0 && errno == EINTR)
                ;
        close(TAKE_FD(helper->pidfd));
}

static void hang_up(struct helper *helper)
{
        if (helper->fd < 0)
                return;
        ev_io_stop(helper->loop, &helper->on_message);
        close(TAKE_FD(helper->fd));
        netpolicy_on_down(helper->base.netpolicy);
}

/* Signals as at a fresh start, and no descriptor but 0 to 2 and the socket. */
static int spawn(const char *path, int fd, pid_t *ret_pid)
{
        char name[] = "carrel-netd";
        char number[] = "3"; /* SOCKET_FD */
        char *const argv[] = { name, number, NULL };
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
                r = posix_spawn_file_actions_adddup2(&actions, fd, SOCKET_FD);
                if (r == 0)
                        r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
                if (r == 0)
                        r = posix_spawn_file_actions_addclosefrom_np(&actions, SOCKET_FD + 1);
                if (r == 0)
                        r = posix_spawn(ret_pid, path, &actions, &attributes, argv, environment);
                (void)posix_spawnattr_destroy(&attributes);
        }
        (void)posix_spawn_file_actions_destroy(&actions);
        return -r;
}

static int start(struct helper *helper)
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
        r = spawn(helper->path, theirs, &pid);
        if (r < 0)
                return r;
        helper->pidfd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
        if (helper->pidfd < 0) {
                r = -errno;
                (void)kill(pid, SIGKILL);
                (void)waitpid(pid, NULL, 0);
                return r;
        }
        helper->fd = TAKE_FD(ours);
        ev_io_set(&helper->on_message, helper->fd, EV_READ);
        ev_io_start(helper->loop, &helper->on_message);
        ev_io_set(&helper->on_exit, helper->pidfd, EV_READ);
        ev_io_start(helper->loop, &helper->on_exit);
        return 0;
}

/* One message a turn: behind netpolicy_on_reply the helper may be freed. */
static void on_message(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct helper *helper = watcher->data;
        struct protocol_reply reply;
        ssize_t length = recv(helper->fd, &reply, sizeof reply, MSG_DONTWAIT | MSG_TRUNC);

        (void)loop;
        (void)events;
        if (length < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (length > 0 && protocol_check_reply(&reply, (size_t)length) == 0) {
                netpolicy_on_reply(helper->base.netpolicy, &reply);
                return;
        }
        kill_process(helper); /* it hung up, or talks nonsense: on_exit goes on */
        hang_up(helper);
}

static void on_exit_of(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct helper *helper = watcher->data;

        (void)events;
        ev_io_stop(loop, &helper->on_exit);
        reap_process(helper);
        ev_timer_set(&helper->respawn, RESPAWN_S, 0.);
        ev_timer_start(loop, &helper->respawn);
        hang_up(helper);
}

static void on_respawn(struct ev_loop *loop, ev_timer *watcher, int events)
{
        struct helper *helper = watcher->data;

        (void)events;
        if (start(helper) == 0) {
                netpolicy_on_up(helper->base.netpolicy);
                return;
        }
        ev_timer_set(&helper->respawn, RESPAWN_S, 0.);
        ev_timer_start(loop, &helper->respawn);
}

static int send_request(struct transport *transport, const struct protocol_request *request)
{
        const struct helper *helper = helper_of(transport);

        if (helper->fd < 0)
                return -ENOTCONN;
        if (send(helper->fd, request, protocol_request_size(request->verb), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return -errno;
        return 0;
}

static void restart(struct transport *transport)
{
        kill_process(helper_of(transport));
}

/* It leaves by itself when the socket closes; one that does not is killed: a commit is atomic in the kernel. */
static void dismiss(struct helper *helper)
{
        struct pollfd gone = { .fd = helper->pidfd, .events = POLLIN };

        if (helper->fd >= 0)
                close(TAKE_FD(helper->fd));
        if (helper->pidfd < 0)
                return;
        if (poll(&gone, 1, GOODBYE_MS) <= 0)
                kill_process(helper);
        reap_process(helper);
}

static struct transport *helper_free(struct transport *transport)
{
        struct helper *helper = helper_of(transport);

        if (helper == NULL)
                return NULL;
        ev_io_stop(helper->loop, &helper->on_message);
        ev_io_stop(helper->loop, &helper->on_exit);
        ev_timer_stop(helper->loop, &helper->respawn);
        dismiss(helper);
        free(helper->path);
        free(helper);
        return NULL;
}

static const struct transport_ops OPS = { .send = send_request, .restart = restart, .free = helper_free };

int helper_new(struct transport **ret_transport, struct netpolicy *netpolicy, struct ev_loop *loop, const char *path,
               struct fault *why)
{
        struct helper *helper = calloc(1, sizeof *helper);
        int r;

        if (helper == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        *helper = (struct helper){ { &OPS, netpolicy }, loop, strdup(path), -1, -1 };
        ev_io_init(&helper->on_message, on_message, -1, EV_READ);
        ev_io_init(&helper->on_exit, on_exit_of, -1, EV_READ);
        ev_timer_init(&helper->respawn, on_respawn, RESPAWN_S, 0.);
        helper->on_message.data = helper->on_exit.data = helper->respawn.data = helper;
        r = helper->path == NULL ? -ENOMEM : start(helper);
        if (r < 0) {
                (void)helper_free(&helper->base);
                return fault_set(why, FAULT_POLICY_NOT_IN_FORCE, -r, "cannot start %s: %s", path, strerror(-r));
        }
        *ret_transport = &helper->base;
        return 0;
}
