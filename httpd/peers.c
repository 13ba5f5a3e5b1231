#include "peers.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct peers {
        struct ev_loop *loop;
        ev_io readable;
        int epoll_fd;
        void (*on_event)(void *arg, bool is_gone);
};

enum { EVENTS_MAX = 64 };

static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
        struct peers *peers = watcher->data;
        struct epoll_event events[EVENTS_MAX];
        int n = epoll_wait(peers->epoll_fd, events, EVENTS_MAX, 0);

        (void)loop;
        (void)revents;
        for (int i = 0; i < n; i++)
                peers->on_event(events[i].data.ptr, (events[i].events & (EPOLLHUP | EPOLLERR)) != 0);
}

int peers_new(struct peers **ret_peers, struct ev_loop *loop, void (*on_event)(void *arg, bool is_gone))
{
        struct peers *peers = calloc(1, sizeof *peers);

        if (peers == NULL)
                return -ENOMEM;
        peers->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (peers->epoll_fd < 0) {
                int r = -errno;

                free(peers);
                return r;
        }
        peers->loop = loop;
        peers->on_event = on_event;
        ev_io_init(&peers->readable, on_readable, peers->epoll_fd, EV_READ);
        /* Runs before libmicrohttpd's turn, because bytes that libmicrohttpd has read raise no event here. */
        ev_set_priority(&peers->readable, EV_MAXPRI);
        peers->readable.data = peers;
        ev_io_start(loop, &peers->readable);
        *ret_peers = peers;
        return 0;
}

struct peers *peers_free(struct peers *peers)
{
        if (peers == NULL)
                return NULL;
        ev_io_stop(peers->loop, &peers->readable);
        close(peers->epoll_fd);
        free(peers);
        return NULL;
}

static int control(struct peers *peers, int operation, int fd, void *arg)
{
        struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = arg };

        return epoll_ctl(peers->epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

int peers_add(struct peers *peers, int fd, void *arg)
{
        return control(peers, EPOLL_CTL_ADD, fd, arg);
}

void peers_remove(struct peers *peers, int fd)
{
        (void)epoll_ctl(peers->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void peers_repeat(struct peers *peers, int fd, void *arg)
{
        (void)control(peers, EPOLL_CTL_MOD, fd, arg); /* looks at the socket again */
}
