#include "virtual-time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { START_S = 1000, STUCK_MS = 20000, TURN_NS = 1000 };

static int64_t now_ns = START_S * 1000000000LL;

int64_t virtual_time_ns(void)
{
        return now_ns;
}

double virtual_time_s(void)
{
        return (double)now_ns / 1e9;
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *ret_time)
{
        (void)id;
        ret_time->tv_sec = now_ns / 1000000000;
        ret_time->tv_nsec = now_ns % 1000000000;
        return 0;
}

/* A loop without a timer waits for a descriptor of the real world, e.g. the end of a process. */
__attribute__((visibility("default"))) int epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
        int count = (int)syscall(SYS_epoll_pwait, fd, events, max, timeout_ms < 0 ? STUCK_MS : 0, NULL, 0);

        if (count == 0 && timeout_ms < 0) {
                (void)fprintf(stderr, "the loop waits for something that never comes\n");
                abort();
        }
        /* A zero timeout takes its time too: libev runs a zero-delay timer only when its clock has moved on. */
        if (count == 0)
                now_ns += timeout_ms > 0 ? (int64_t)timeout_ms * 1000000 : TURN_NS;
        return count;
}
