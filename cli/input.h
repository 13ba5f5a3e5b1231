/* A program's stdin, read whole. */
#pragma once

#include "str.h"

/* Reads fd to its end; a terminal, or a descriptor that is not open, has none. Returns 0, -EFBIG (more than
 * limit_bytes) or a negative errno. */
int input_read(int fd, size_t limit_bytes, struct buffer *ret_bytes);
