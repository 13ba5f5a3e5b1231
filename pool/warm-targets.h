/* The setting `warm`: how many warm carrels of which image. Pure. */
#pragma once

#include "pool.h"

enum { WARM_TARGETS_MAX = 16 };

struct warm_target {
        char image[POOL_IMAGE_BYTES];
        unsigned count; /* at least 1 */
};

struct warm_targets {
        struct warm_target at[WARM_TARGETS_MAX];
        size_t n;
        unsigned total;
};

/* Parses "4" (of the default image) or "debian:12:4, node:2": a count after the last colon of each image. NULL, ""
 * and "0" are none. All together may not exceed max_carrels. 0, or -EINVAL with *why. */
int warm_targets_parse(const char *text, const char *default_image, unsigned max_carrels,
                       struct warm_targets *ret_targets, struct fault *why);
