/* The engine's images, for the API: list, inspect, load, remove. Each operation calls back once, and never before the
 * function that began it returns. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"

struct image_work;
struct pool;

enum { IMAGE_LOADS_MAX = 2 };

/* Valid during the callback. */
struct pool_image {
        const char *id;
        const char *reference;   /* "": it has none */
        uint64_t bytes;          /* 0: not known */
        int64_t created_wall_ms; /* 0: not known */
};

/* why is NULL on success. A removal has no images. */
typedef void (*pool_on_images)(void *arg, const struct pool_image *images, size_t count, const struct fault *why);

/* Each returns 0, or a negative errno with *why; then on_images never runs. *ret_work is the handle until on_images has
 * run. */
__attribute__((warn_unused_result)) int pool_images_list(struct pool *pool, pool_on_images on_images, void *arg,
                                                         struct image_work **ret_work, struct fault *why);
__attribute__((warn_unused_result)) int pool_images_inspect(struct pool *pool, const char *reference,
                                                            pool_on_images on_images, void *arg,
                                                            struct image_work **ret_work, struct fault *why);
/* fd: a regular file with an archive, borrowed until on_images has run. format: "auto", "docker", "oci" or "rootfs".
 * FAULT_QUEUE_FULL: IMAGE_LOADS_MAX loads run already. */
__attribute__((warn_unused_result)) int pool_images_load(struct pool *pool, int fd, const char *reference,
                                                         const char *format, pool_on_images on_images, void *arg,
                                                         struct image_work **ret_work, struct fault *why);
__attribute__((warn_unused_result)) int pool_images_remove(struct pool *pool, const char *reference,
                                                           pool_on_images on_images, void *arg,
                                                           struct image_work **ret_work, struct fault *why);

/* Cancels the operation; on_images never runs. NULL is fine; returns NULL. */
struct image_work *pool_images_leave(struct image_work *work);
