/* Scope-bound cleanup with an explicit hand-over.
 *
 *   AUTO(fd_close) int fd = open(...);
 *   ...
 *   *ret_fd = TAKE_FD(fd);           // given away: the scope no longer closes it
 *
 * The cleanup functions below accept the "empty" value of their type (-1, NULL). */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO(release) __attribute__((cleanup(release)))

#define TAKE_VALUE(value, empty)                                                                                       \
        __extension__({                                                                                                \
                __typeof__(value) *p_ = &(value);                                                                      \
                __typeof__(value) v_ = *p_;                                                                            \
                *p_ = (empty);                                                                                         \
                v_;                                                                                                    \
        })
#define TAKE(pointer) TAKE_VALUE(pointer, NULL)
#define TAKE_FD(fd) TAKE_VALUE(fd, -1)

static inline void auto_free(void *pointer)
{
        free(*(void **)pointer);
}

static inline void auto_close(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static inline void auto_fclose(FILE **file)
{
        if (*file != NULL)
                fclose(*file);
}
