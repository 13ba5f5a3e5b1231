/* A large request body on its way into an unlinked temporary file, so that memory stays bounded whatever is sent. A
 * route asks for one with ROUTE_SPOOL; its handler finds it as request->spool. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

struct spool {
        int fd; /* at its beginning once the body is whole; a handler may take it with TAKE_FD */
        uint64_t length;
        uint64_t max_bytes;
        uint64_t credit; /* bytes until the next spool_earns */
};

/* A file without a name in directory, or the fault that this is not possible. */
__attribute__((warn_unused_result)) int spool_new(struct spool **ret_spool, const char *directory, uint64_t max_bytes,
                                                  struct fault *why);
struct spool *spool_free(struct spool *spool);

/* FAULT_REQUEST_TOO_LARGE beyond max_bytes, FAULT_RESOURCE_EXHAUSTED when the disk is full. */
__attribute__((warn_unused_result)) int spool_write(struct spool *spool, const char *bytes, uint64_t length,
                                                    struct fault *why);

/* Whether enough has come since the last time to give the peer a new deadline: a sender that trickles has none. */
bool spool_earns(struct spool *spool);

/* The body is whole. */
__attribute__((warn_unused_result)) int spool_finish(struct spool *spool, struct fault *why);
