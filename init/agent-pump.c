#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

static void close_end(int *fd)
{
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

void pump_close(struct pump *pump)
{
        close_end(&pump->from);
        close_end(&pump->to);
        free(pump->bytes);
        pump->bytes = NULL;
        pump->start = pump->length = 0;
        pump->is_open = false;
        pump->is_done = true;
}

static bool make_patient(int fd)
{
        return fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

bool pump_open(struct pump *pump, int from, int to, size_t capacity)
{
        *pump = (struct pump){
                .from = from, .to = to, .is_open = true, .capacity = capacity, .bytes = malloc(capacity)
        };
        if (pump->bytes != NULL && make_patient(from) && make_patient(to))
                return true;
        pump_close(pump);
        return false;
}

static void close_gap(struct pump *pump)
{
        if (pump->start > 0)
                memmove(pump->bytes, pump->bytes + pump->start, pump->length);
        pump->start = 0;
}

bool pump_put(struct pump *pump, const void *bytes, size_t length)
{
        if (pump->is_done)
                return true; /* the program has closed it and does not want the bytes */
        close_gap(pump);
        if (!pump->is_open || length > pump->capacity - pump->length)
                return false;
        memcpy(pump->bytes + pump->length, bytes, length);
        pump->length += length;
        return true;
}

void pump_fill(struct pump *pump)
{
        ssize_t length;

        if (pump->is_done || !pump->is_open || pump->from < 0)
                return;
        close_gap(pump);
        if (pump->length == pump->capacity)
                return;
        length = read(pump->from, pump->bytes + pump->length, pump->capacity - pump->length);
        if (length > 0) {
                pump->length += (size_t)length;
        } else if (length == 0 || (errno != EAGAIN && errno != EINTR)) {
                /* A terminal's master fails with EIO when no process has the other side open any more. */
                close_end(&pump->from);
                pump->is_open = false;
        }
}

void pump_drain(struct pump *pump)
{
        ssize_t written = 0;

        while (!pump->is_done && pump->to >= 0 && pump->length > 0) {
                written = write(pump->to, pump->bytes + pump->start, pump->length);
                if (written <= 0)
                        break;
                pump->start += (size_t)written;
                pump->length -= (size_t)written;
        }
        if (written < 0 && errno != EAGAIN && errno != EINTR)
                pump_close(pump); /* the reader has gone */
        else if (!pump->is_open && pump->length == 0)
                pump_close(pump);
}

void pump_move(struct pump *pump)
{
        pump_fill(pump);
        pump_drain(pump);
}

size_t pump_poll(const struct pump *pump, struct pollfd *polls)
{
        size_t count = 0;

        if (pump->is_done)
                return 0;
        if (pump->from >= 0 && pump->is_open && pump->length < pump->capacity)
                polls[count++] = (struct pollfd){ .fd = pump->from, .events = POLLIN };
        if (pump->to >= 0 && pump->length > 0)
                polls[count++] = (struct pollfd){ .fd = pump->to, .events = POLLOUT };
        return count;
}
