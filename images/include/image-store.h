/* The read side of the image store: images unpacked on disk, content-addressed, one copy for all carrels.
 *
 *   <directory>/sha256/<64 hex>/rootfs/       the tree: root's, no write, set-id or sticky bit of group or others
 *   <directory>/sha256/<64 hex>/image.json    what belongs to it beside the tree (docs/images.md)
 *   <directory>/sha256/<64 hex>/pins/<holder> a link to what uses it
 *   <directory>/refs/<reference>              a file that holds the id; '/' is escaped
 *   <directory>/tmp/                          imports under way
 *
 * Only carrel-image (importer/) writes there, by rename: what is found is whole; but for the pins, which are their
 * holders' own. An image that is held (flock(2), shared, on its directory) or pinned is not removed. docs/images.md
 * describes it for people. */
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
        char reference[IMAGE_REFERENCE_BYTES]; /* as resolved; the id when it was asked for by its id */
        char *rootfs;                          /* absolute path */
        char **environment;                    /* "K=V", NULL-terminated; never NULL */
        bool has_volumes;                      /* its configuration names volumes: the pool refuses it */
        struct stored_bind *binds;             /* to be mounted read-only, nosuid, nodev (image `host`) */
        size_t n_binds;
        uint64_t bytes;          /* of the regular files */
        uint64_t entries;        /* files, directories, links */
        int64_t created_wall_ms; /* when it was imported */
        int hold_fd;             /* as long as it is open the image is not removed; a container takes it with TAKE_FD */
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

/* Reads a few small files: quick enough for the loop. *ret_image is held (hold_fd) and untouched on failure.
 * FAULT_IMAGE_MISSING (with the command that makes one), FAULT_REQUEST_INVALID (no reference), FAULT_INTERNAL (what is
 * stored is not what carrel-image writes), FAULT_RESOURCE_EXHAUSTED. */
__attribute__((warn_unused_result)) int image_store_find(struct image_store *store, const char *reference,
                                                         struct stored_image *ret_image, struct fault *why);

/* A lock dies with its process, a container does not: whoever holds an image (hold_fd) pins it as well. `holder` is a
 * file name of its own; the pin counts as long as `path` (absolute) is there, so that what nobody takes back is no
 * harm. A pin that is there already is left. 0 or a negative errno. */
__attribute__((warn_unused_result)) int image_store_pin(int hold_fd, const char *holder, const char *path);
void image_store_unpin(int hold_fd, const char *holder);
/* Whether any pin of the image (its directory, open) counts, or may; those that do not are removed. */
bool image_store_is_pinned(int image_fd);

struct stored_reference {
        char reference[IMAGE_REFERENCE_BYTES];
        char id[IMAGE_ID_BYTES];
};

/* Every reference, in the order of their names; malloc'd, NULL without any. */
__attribute__((warn_unused_result)) int image_store_list(struct image_store *store, struct stored_reference **ret_list,
                                                         size_t *ret_count, struct fault *why);

/* The same for whoever takes images away that have no name: fails when one of the names cannot be read, for whatever
 * reason, so that no image is taken for nameless by mistake. */
__attribute__((warn_unused_result)) int image_store_list_whole(struct image_store *store,
                                                               struct stored_reference **ret_list, size_t *ret_count,
                                                               struct fault *why);
/* The image of a resolved reference that is not an id. -ENOENT; -EBADMSG: carrel-image did not write the file. */
__attribute__((warn_unused_result)) int image_store_read_name(const struct image_store *store, const char *reference,
                                                              char ret_id[static IMAGE_ID_BYTES]);

/* image.json, read from outside bytes (fuzzed): fills environment, has_volumes, binds, bytes, entries and
 * created_wall_ms. 0, -EBADMSG or -ENOMEM; *ret_image is then released. */
__attribute__((warn_unused_result)) int stored_image_decode(const char *json, size_t length,
                                                            struct stored_image *ret_image);
/* The same bytes from the same image; malloc'd, NULL when out of memory. */
char *stored_image_encode(const struct stored_image *image);
