/* The output of one stream that is kept for the result, up to a cap. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "str.h"
#include "utf8.h"

struct exec_output {
        struct buffer kept;
        uint64_t cap_bytes;
        bool is_truncated;     /* bytes were dropped: over the cap, or out of memory */
        struct utf8_scan scan; /* of the kept bytes */
};

/* Keeps the bytes that fit; drops and flags the rest. */
void exec_output_append(struct exec_output *output, const void *bytes, size_t length);
/* The stream has ended. Removes the bytes of a character that was cut in its middle, so that text stays valid text. */
void exec_output_end(struct exec_output *output);
