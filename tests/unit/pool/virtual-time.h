/* A clock that moves only when the loop has nothing else to do: the test program defines clock_gettime and epoll_wait,
 * and libev and base/clock.c, which call them through the C library, get these. So a 20 s deadline costs no time, and
 * a schedule of seeded chance is the same on every machine. */
#pragma once

#include <stdint.h>

/* Nanoseconds since the program started, as all its clocks tell. */
int64_t virtual_time_ns(void);
double virtual_time_s(void);
