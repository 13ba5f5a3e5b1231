/* One import: a confined child unpacks, this process weighs the result and puts it into the store. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "assemble.h"
#include "store.h"

struct import {
        int archive_fd; /* any file or pipe */
        enum image_format format;
        const char *reference; /* resolved, and no id */
        uint64_t max_bytes;    /* of the archive, and of what it unpacks to */
        uint64_t max_entries;
};

/* *ret_image is not held. Nothing stays in the store after a failure. */
__attribute__((warn_unused_result)) int import_run(struct store *store, const struct import *import,
                                                   struct stored_image *ret_image, bool *ret_is_new, struct fault *why);
