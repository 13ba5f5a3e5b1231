/* The read side of the image store: images unpacked on disk, content-addressed, one copy for all carrels.
 *
 *   <directory>/sha256/<64 hex>/rootfs/       the tree: only root can write to it; no set-id or sticky bits
 *   <directory>/sha256/<64 hex>/image.json    environment, volumes, binds, sizes (docs/images.md)
 *   <directory>/sha256/<64 hex>/pins/<holder> a link to a user of the image
 *   <directory>/refs/<reference>              a file with the id; '/' is escaped
 *   <directory>/tmp/                          unfinished imports
 *
 * Only carrel-image (importer/) writes there, by rename, so that files are always whole. Pins are the exception: their
 * holders make them. An image that is held (flock(2), shared, on its directory) or pinned is not removed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "image-reference.h"

struct image_store;

struct stored_bind {
        char *source; /* absolute host path; a directory */
        char *target; /* absolute path inside; an empty directory of the rootfs */
};

/* One image. Begin with STORED_IMAGE_NONE; release with stored_image_release. */
struct stored_image {
        char id[IMAGE_ID_BYTES];
        char reference[IMAGE_REFERENCE_BYTES]; /* resolved; the id if the request had an id */
        char *rootfs;                          /* absolute path */
        char **environment;                    /* "K=V", NULL-terminated; never NULL */
        bool has_volumes;                      /* its configuration has volumes: the pool refuses it */
        struct stored_bind *binds;             /* to be mounted read-only, nosuid, nodev (image `host`) */
        size_t n_binds;
        uint64_t bytes;          /* of the regular files */
        uint64_t entries;        /* files, directories, links */
        int64_t created_wall_ms; /* when it was imported */
        int hold_fd;             /* while it is open the image is not removed; a container takes it with TAKE_FD */
};

#define STORED_IMAGE_NONE                                                                                              \
        (struct stored_image)                                                                                          \
        {                                                                                                              \
                .hold_fd = -1                                                                                          \
        }

void stored_image_release(struct stored_image *image);

/* directory is copied; it need not exist yet. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int image_store_new(struct image_store **ret_store, const char *directory);
struct image_store *image_store_free(struct image_store *store);
const char *image_store_directory(const struct image_store *store);

/* Finds an image. It reads a few small files: quick enough for the loop. *ret_image is held (hold_fd), and untouched on
 * failure. FAULT_IMAGE_MISSING (with the command that makes one), FAULT_REQUEST_INVALID (no reference), FAULT_INTERNAL
 * (carrel-image did not write this), FAULT_RESOURCE_EXHAUSTED. */
__attribute__((warn_unused_result)) int image_store_find(struct image_store *store, const char *reference,
                                                         struct stored_image *ret_image, struct fault *why);

/* Pins a held image (hold_fd): a lock ends with its process, a container does not. `holder` is a unique file name. The
 * pin counts as long as `path` (absolute) exists, so a pin that is never removed does no harm. An existing pin is left.
 * 0 or a negative errno. */
__attribute__((warn_unused_result)) int image_store_pin(int hold_fd, const char *holder, const char *path);
void image_store_unpin(int hold_fd, const char *holder);
/* Whether any pin of the image (its directory, open) counts, or may count. Pins that do not count are removed. */
bool image_store_is_pinned(int image_fd);

struct stored_reference {
        char reference[IMAGE_REFERENCE_BYTES];
        char id[IMAGE_ID_BYTES];
};

/* Lists every reference, in the order of names; malloc'd, NULL without any. */
__attribute__((warn_unused_result)) int image_store_list(struct image_store *store, struct stored_reference **ret_list,
                                                         size_t *ret_count, struct fault *why);

/* The same for a caller that removes images without a name. It fails when one of the names cannot be read for any
 * reason, so that no image is removed by mistake. */
__attribute__((warn_unused_result)) int image_store_list_whole(struct image_store *store,
                                                               struct stored_reference **ret_list, size_t *ret_count,
                                                               struct fault *why);
/* The id that a resolved reference (not an id) names. -ENOENT; -EBADMSG: carrel-image did not write this file. */
__attribute__((warn_unused_result)) int image_store_read_name(const struct image_store *store, const char *reference,
                                                              char ret_id[static IMAGE_ID_BYTES]);

/* Decodes image.json, which is outside input (fuzzed): fills environment, has_volumes, binds, bytes, entries and
 * created_wall_ms. 0, -EBADMSG or -ENOMEM; *ret_image is then released. */
__attribute__((warn_unused_result)) int stored_image_decode(const char *json, size_t length,
                                                            struct stored_image *ret_image);
/* Encodes image.json; the same image gives the same bytes. malloc'd, NULL when out of memory. */
char *stored_image_encode(const struct stored_image *image);
