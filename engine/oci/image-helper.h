/* Runs carrel-image beside the loop: it does the writing in the image store, for the engine that keeps its images
 * there. */
#pragma once

#include "child.h"
#include "engine.h"

struct image_helper {
        const char *program;   /* carrel-image, absolute */
        const char *directory; /* the store */
        uint64_t max_bytes;
        uint64_t max_entries;
};

/* Imports source->fd; done is called as child.h says. 0 or a negative errno. */
__attribute__((warn_unused_result)) int image_helper_import(const struct image_helper *helper, struct ev_loop *loop,
                                                            const struct image_source *source,
                                                            void (*done)(void *arg, const struct child_result *result),
                                                            void *arg, struct child **ret_child);
/* verb is "remove" or "host", with a reference; or "clear", with NULL. */
__attribute__((warn_unused_result)) int image_helper_run(const struct image_helper *helper, struct ev_loop *loop,
                                                         const char *verb, const char *reference,
                                                         void (*done)(void *arg, const struct child_result *result),
                                                         void *arg, struct child **ret_child);

/* Reads the result. import and host fill ret_image, which may be NULL. Returns 0, or a negative errno with why: the
 * helper's own fault, FAULT_DEADLINE, or FAULT_INTERNAL when its report cannot be parsed. */
__attribute__((warn_unused_result)) int image_helper_result(const struct child_result *result,
                                                            struct image_info *ret_image, struct fault *why);
