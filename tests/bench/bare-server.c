#include "bare-server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVENTS_MAX = 64, BACKLOG = 128, REQUEST_MAX_BYTES = 4096, FDS_MAX = 1024 };

struct bare {
        int listen_fd, epoll_fd;
        size_t request_bytes;
        const void *answer;
        size_t answer_bytes;
        size_t received[FDS_MAX]; /* of the current request, by descriptor */
};

static int listen_at(const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

        if (fd < 0)
                return -errno;
        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
        if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, BACKLOG) == 0)
                return fd;
        r = -errno;
        close(fd);
        return r;
}

static void watch(const struct bare *bare, int fd)
{
        struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

        if (fd < 0 || fd >= FDS_MAX || epoll_ctl(bare->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
                _exit(1);
}

static void serve(struct bare *bare, int fd)
{
        char request[REQUEST_MAX_BYTES];
        ssize_t got = recv(fd, request, sizeof request, 0);

        if (got <= 0) {
                bare->received[fd] = 0;
                close(fd);
                return;
        }
        bare->received[fd] += (size_t)got;
        if (bare->received[fd] < bare->request_bytes)
                return;
        bare->received[fd] -= bare->request_bytes;
        (void)send(fd, bare->answer, bare->answer_bytes, MSG_NOSIGNAL);
}

static _Noreturn void run(struct bare *bare)
{
        struct epoll_event events[EVENTS_MAX];

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        bare->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        watch(bare, bare->listen_fd);
        for (;;) {
                int n = epoll_wait(bare->epoll_fd, events, EVENTS_MAX, -1);

                for (int i = 0; i < n; i++)
                        if (events[i].data.fd == bare->listen_fd)
                                watch(bare, accept4(bare->listen_fd, NULL, NULL, SOCK_CLOEXEC));
                        else
                                serve(bare, events[i].data.fd);
        }
}

int bare_server_start(struct bare_server *ret_server, size_t request_bytes, const void *answer, size_t answer_bytes)
{
        struct bare bare = { .request_bytes = request_bytes, .answer = answer, .answer_bytes = answer_bytes };
        struct bare_server server = { 0 };

        (void)snprintf(server.path, sizeof server.path, "/tmp/bench-bare-server.%ld", (long)getpid());
        bare.listen_fd = listen_at(server.path);
        if (bare.listen_fd < 0)
                return bare.listen_fd;
        server.pid = fork();
        if (server.pid == 0)
                run(&bare);
        close(bare.listen_fd);
        if (server.pid < 0) {
                unlink(server.path);
                return -EAGAIN;
        }
        *ret_server = server;
        return 0;
}

void bare_server_stop(struct bare_server *server)
{
        (void)kill(server->pid, SIGKILL);
        (void)waitpid(server->pid, NULL, 0);
        unlink(server->path);
}
