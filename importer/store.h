/* The write side of the image store (images/include/image-store.h is the read side and has its layout). Every change is
 * a rename under one lock. The next run removes what an interrupted one has left in tmp/. */
#pragma once

#include <stdbool.h>

#include "fault.h"
#include "image-store.h"

struct store;

/* Opens the store. Makes its missing directories (0711, their parents 0755); they must belong to us, and nobody else
 * may write to them. */
__attribute__((warn_unused_result)) int store_open(struct store **ret_store, const char *directory, struct fault *why);
struct store *store_close(struct store *store);
void auto_store(struct store **store);

/* Removes the leftovers of dead runs: unfinished imports, and images without name or user. No image is removed if one
 * of the names cannot be read. If something cannot be removed, it removes the rest and fails. */
int store_clear(struct store *store, struct fault *why);

/* A directory for one import, locked as long as it is open. */
struct workplace {
        char name[32]; /* in tmp/ */
        int fd;        /* -1: none */
};
__attribute__((warn_unused_result)) int store_begin(struct store *store, struct workplace *ret_workplace,
                                                    struct fault *why);
/* Removes the workplace with its content. */
void store_abandon(struct store *store, struct workplace *workplace);

/* Makes the tree `rootfs` in the workplace the image that *image describes (with its id), named reference. *ret_is_new:
 * there was no such image yet. The workplace is used up. */
__attribute__((warn_unused_result)) int store_commit(struct store *store, struct workplace *workplace,
                                                     const struct stored_image *image, const char *reference,
                                                     bool *ret_is_new, struct fault *why);

/* Removes a name, and the image with its last name; an id removes all of its names. FAULT_IMAGE_MISSING,
 * FAULT_IMAGE_IN_USE, FAULT_REQUEST_INVALID. */
__attribute__((warn_unused_result)) int store_remove(struct store *store, const char *reference, struct fault *why);
