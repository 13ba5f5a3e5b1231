/* A large request body on its way into an unlinked temporary file, so that memory stays bounded whatever is sent. A
 * route asks for one with ROUTE_SPOOL; its handler finds it as request->spool. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

/* What all of them together may take. Zero bounds: none. */
struct spool_quota {
        uint64_t max_bytes;
        unsigned max_spools;
        uint64_t bytes; /* now */
        unsigned n_spools;
};

struct spool {
        struct spool_quota *quota;
        int fd; /* at its beginning once the body is whole */
        uint64_t length;
        uint64_t max_bytes;
        const char *setting; /* that says so */
        uint64_t credit;     /* bytes until the next spool_earns */
};

/* A file without a name in directory. Borrows quota for its life. FAULT_QUEUE_FULL when there are too many, or the
 * fault that this is not possible. max_bytes and setting are the caller's to fill, before the first byte. */
__attribute__((warn_unused_result)) int spool_new(struct spool **ret_spool, struct spool_quota *quota,
                                                  const char *directory, struct fault *why);
struct spool *spool_free(struct spool *spool);

/* Whether so many bytes more may come now: FAULT_REQUEST_TOO_LARGE beyond max_bytes, FAULT_RESOURCE_EXHAUSTED when all
 * together would take too much. */
__attribute__((warn_unused_result)) int spool_may_take(const struct spool *spool, uint64_t length, struct fault *why);

/* The same faults, and FAULT_RESOURCE_EXHAUSTED when the disk is full. */
__attribute__((warn_unused_result)) int spool_write(struct spool *spool, const char *bytes, uint64_t length,
                                                    struct fault *why);

/* Whether enough has come since the last time to give the peer a new deadline: a sender that trickles has none. */
bool spool_earns(struct spool *spool);

/* The body is whole. */
__attribute__((warn_unused_result)) int spool_finish(struct spool *spool, struct fault *why);
