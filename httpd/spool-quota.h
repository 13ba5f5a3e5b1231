/* Filling spools, within what all of them share. */
#pragma once

#include "fault.h"
#include "share.h"
#include "spool.h"

struct spool_quota {
        struct share places, bytes; /* max_uploads, uploads_size */
        struct sharers users;
        uint64_t memory_bytes; /* of bodies in memory; at most SPOOLS_MEMORY_BYTES */
        const char *directory; /* for bodies in files; NULL: there are none. Borrowed */
};

/* Borrows quota and limit for its life. user NULL: the body is the operator's own, and goes to a file from its first
 * byte. FAULT_QUEUE_FULL when there are too many, or the fault of opening the file. */
__attribute__((warn_unused_result)) int spool_new(struct spool **ret_spool, struct spool_quota *quota, const char *user,
                                                  const struct spool_limit *limit, struct fault *why);
struct spool *spool_free(struct spool *spool);

/* Checks that length more bytes may come now: FAULT_REQUEST_TOO_LARGE above the limit, FAULT_QUEUE_FULL when this
 * user's bodies would take too much, FAULT_RESOURCE_EXHAUSTED when all together would. */
__attribute__((warn_unused_result)) int spool_may_take(const struct spool *spool, uint64_t length, struct fault *why);

/* The same faults, and FAULT_STORAGE_FULL when the disk is full. */
__attribute__((warn_unused_result)) int spool_write(struct spool *spool, const char *bytes, uint64_t length,
                                                    struct fault *why);

/* The body is whole. */
__attribute__((warn_unused_result)) int spool_finish(struct spool *spool, struct fault *why);
