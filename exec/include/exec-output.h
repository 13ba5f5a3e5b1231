/* What a program wrote to one stream, up to a cap. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "str.h"
#include "utf8.h"

struct exec_output {
        struct buffer kept;
        uint64_t cap_bytes;
        bool is_truncated;     /* bytes were dropped: over the cap, or no memory for them */
        struct utf8_scan scan; /* of what is kept */
};

/* Keeps what fits; the rest is dropped and flagged. */
void exec_output_append(struct exec_output *output, const void *bytes, size_t length);
/* No more comes. What was cut in the middle of a character loses that character's bytes, so that text stays text. */
void exec_output_end(struct exec_output *output);
