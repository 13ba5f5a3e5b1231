/* The setting `warm` and that of the profiles: how many warm carrels of which image and profile. Pure. */
#pragma once

#include "pool.h"

enum { WARM_TARGETS_MAX = 48, WARM_IMAGES_MAX = 16 };

struct warm_target {
        char image[POOL_IMAGE_BYTES];
        char profile[POOL_PROFILE_BYTES]; /* "": none */
        unsigned count;                   /* at least 1 */
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

/* The targets of the options: those of `warm`, which are what an ensure gets that names no profile, and those of each
 * profile. 0, or -EINVAL with *why. */
int warm_targets_of(const struct pool_options *options, struct warm_targets *ret_targets, struct fault *why);

/* The spec of a target's carrels. 0, or a negative errno with *why. */
int warm_target_spec(const struct pool_options *options, const struct warm_target *target, struct carrel_spec *ret_spec,
                     struct fault *why);
