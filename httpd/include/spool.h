/* A large request body. A short one stays in memory, so that it needs nothing of a disk that may be full; a longer one
 * goes to an unlinked temporary file, so that memory is bounded whatever clients send. A route asks for one with
 * ROUTE_SPOOL; its handler finds it whole in request->spool. */
#pragma once

#include <stdint.h>

#include "str.h"

struct sharer;
struct spool_quota;

enum { SPOOL_MEMORY_BYTES = 512 << 10, SPOOLS_MEMORY_BYTES = 32 << 20 };

/* How long one body may be. */
struct spool_limit {
        uint64_t max_bytes;
        const char *setting; /* named in the message for a body that is longer */
};

struct spool {
        struct buffer head; /* the whole body while fd is -1 */
        int fd;             /* at the body's first byte */
        uint64_t length;
        /* Of spool.c. */
        const struct spool_limit *limit;
        struct spool_quota *quota;
        struct sharer *user; /* NULL: the operator's own */
};
