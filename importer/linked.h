/* The digests of files that have several names, so that each is read once. Zero-initialise; release with
 * linked_release. */
#pragma once

#include <nettle/sha2.h>
#include <stdint.h>
#include <sys/types.h>

struct linked {
        void *tree; /* a tree of tsearch(3) */
};

/* The digest of the inode; NULL when it is not known yet. Borrowed. */
const uint8_t *linked_find(const struct linked *linked, ino_t inode);
/* Stores the digest of the inode. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int linked_add(struct linked *linked, ino_t inode,
                                                   const uint8_t digest[static SHA256_DIGEST_SIZE]);
void linked_release(struct linked *linked);
