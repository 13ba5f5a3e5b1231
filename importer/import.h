/* An import: a confined child unpacks, and this process checks the result and puts it into the store. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "assemble.h"
#include "store.h"

struct import {
        int archive_fd; /* any file or pipe */
        enum image_format format;
        const char *reference; /* resolved; not an id */
        uint64_t max_bytes;    /* of the archive, and of what it unpacks to */
        uint64_t max_entries;
};

/* Runs the import. *ret_image is not held. After a failure nothing stays in the store. */
__attribute__((warn_unused_result)) int import_run(struct store *store, const struct import *import,
                                                   struct stored_image *ret_image, bool *ret_is_new, struct fault *why);
