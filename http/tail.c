#include "tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_writable(struct ev_loop *loop, ev_io *writer, int revents)
{
        struct tail *tail = writer->data;

        while (tail->sent < tail->length) {
                ssize_t n = send(tail->fd, tail->bytes + tail->sent, tail->length - tail->sent,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n < 0)
                        break; /* the program may end without reading its input; its output still counts */
                tail->sent += (size_t)n;
        }
        ev_io_stop(loop, writer);
        shutdown(tail->fd, SHUT_WR);
}

int tail_init(struct tail *tail, struct ev_loop *loop, const void *bytes, size_t length, bool is_wanted)
{
        *tail = (struct tail){ .loop = loop, .fd = -1, .is_wanted = is_wanted };
        ev_init(&tail->writer, on_writable);
        tail->writer.data = tail;
        if (length == 0)
                return 0;
        tail->bytes = malloc(length);
        if (tail->bytes == NULL)
                return -ENOMEM;
        memcpy(tail->bytes, bytes, length);
        tail->length = length;
        return 0;
}

int tail_attach(struct tail *tail, int socket_fd)
{
        if (!tail->is_wanted)
                return 0;
        tail_stop(tail);
        tail->fd = fcntl(socket_fd, F_DUPFD_CLOEXEC, 0);
        return tail->fd < 0 ? -errno : 0;
}

void tail_start(struct tail *tail)
{
        if (tail->fd < 0)
                return;
        ev_io_set(&tail->writer, tail->fd, EV_WRITE);
        ev_io_start(tail->loop, &tail->writer);
}

void tail_stop(struct tail *tail)
{
        if (tail->fd < 0)
                return;
        ev_io_stop(tail->loop, &tail->writer);
        close(tail->fd);
        tail->fd = -1;
}

void tail_release(struct tail *tail)
{
        tail_stop(tail);
        free(tail->bytes);
        tail->bytes = NULL;
}
