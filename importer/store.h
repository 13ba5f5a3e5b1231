/* The write side of the image store (images/include/image-store.h is the read side and has its layout). Every change is
 * a rename, made under one lock; what an interrupted run left in tmp/ is removed by the next. */
#pragma once

#include <stdbool.h>

#include "fault.h"
#include "image-store.h"

struct store;

/* Makes the directories that are missing (0755 on the way, the store's own 0711), which must be ours and unwritable by
 * others. */
__attribute__((warn_unused_result)) int store_open(struct store **ret_store, const char *directory, struct fault *why);
struct store *store_close(struct store *store);
void auto_store(struct store **store);

/* Removes what dead runs have left: unfinished imports, and images that have no name and no user. No image is removed
 * when one of the names cannot be read. Fails when something could not be removed; the rest then is. */
int store_clear(struct store *store, struct fault *why);

/* A directory for one import, locked as long as it is open. */
struct workplace {
        char name[32]; /* in tmp/ */
        int fd;        /* -1: none */
};
__attribute__((warn_unused_result)) int store_begin(struct store *store, struct workplace *ret_workplace,
                                                    struct fault *why);
/* Removes it, whatever is in it. */
void store_abandon(struct store *store, struct workplace *workplace);

/* The tree `rootfs` in the workplace becomes the image that *image describes (its id included), and reference its
 * name. *ret_is_new: there was no such image yet. The workplace is used up. */
__attribute__((warn_unused_result)) int store_commit(struct store *store, struct workplace *workplace,
                                                     const struct stored_image *image, const char *reference,
                                                     bool *ret_is_new, struct fault *why);

/* Removes a name, and with the last one the image; an id removes all of its names. FAULT_IMAGE_MISSING,
 * FAULT_IMAGE_IN_USE, FAULT_REQUEST_INVALID. */
__attribute__((warn_unused_result)) int store_remove(struct store *store, const char *reference, struct fault *why);
