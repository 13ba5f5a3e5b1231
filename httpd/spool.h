/* A large request body on its way into a carrel or an image store. A short one stays in memory, so that it needs
 * nothing of a disk that may be full; a longer one goes into an unlinked temporary file, so that memory stays bounded
 * whatever is sent. A route asks for one with ROUTE_SPOOL; its handler finds it as request->spool. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"
#include "share.h"
#include "str.h"

enum { SPOOL_MEMORY_BYTES = 512 << 10, SPOOLS_MEMORY_BYTES = 32 << 20 };

/* What all of them share. */
struct spool_quota {
        struct share places, bytes; /* max_uploads, uploads_size */
        struct sharers users;
        uint64_t memory_bytes; /* of bodies that are in memory; at most SPOOLS_MEMORY_BYTES */
        const char *directory; /* for the others; borrowed */
};

struct spool {
        struct spool_quota *quota;
        struct sharer *user; /* NULL: it is the operator's own */
        struct buffer head;  /* all of it, as long as fd is -1 */
        int fd;              /* at its beginning once the body is whole */
        uint64_t length;
        uint64_t max_bytes;
        const char *setting; /* that says so */
};

/* Borrows quota for its life. user NULL: an admin's image, which is in a file from its first byte. FAULT_QUEUE_FULL
 * when there are too many, or the fault that this is not possible. max_bytes and setting are the caller's to fill,
 * before the first byte. */
__attribute__((warn_unused_result)) int spool_new(struct spool **ret_spool, struct spool_quota *quota, const char *user,
                                                  struct fault *why);
struct spool *spool_free(struct spool *spool);

/* Whether so many bytes more may come now: FAULT_REQUEST_TOO_LARGE beyond max_bytes, FAULT_QUEUE_FULL when this user's
 * bodies would take too much, FAULT_RESOURCE_EXHAUSTED when all together would. */
__attribute__((warn_unused_result)) int spool_may_take(const struct spool *spool, uint64_t length, struct fault *why);

/* The same faults, and FAULT_STORAGE_FULL when the disk is full. */
__attribute__((warn_unused_result)) int spool_write(struct spool *spool, const char *bytes, uint64_t length,
                                                    struct fault *why);

/* The body is whole. */
__attribute__((warn_unused_result)) int spool_finish(struct spool *spool, struct fault *why);
