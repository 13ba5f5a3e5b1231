/* What a program wrote to one stream, up to a cap. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "str.h"

struct exec_output {
        struct buffer kept;
        uint64_t cap_bytes;
        bool is_truncated; /* bytes were dropped: over the cap, or no memory for them */
};

/* Keeps what fits; the rest is dropped and flagged. */
void exec_output_append(struct exec_output *output, const void *bytes, size_t length);
