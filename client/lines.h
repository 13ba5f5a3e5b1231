/* Splits a byte stream into lines (NDJSON), with a bound on a line's length. */
#pragma once

#include <stddef.h>

#include "str.h"

/* Zero-initialise and set limit_bytes; release with lines_free. */
struct lines {
        struct buffer pending; /* the beginning of a line whose end has not come */
        size_t limit_bytes;    /* of one line, without its newline */
};

/* line is not NUL-terminated and lives during the call. A negative answer ends the splitting. */
typedef int (*lines_visit)(void *arg, const char *line, size_t length);

/* Calls visit for each whole, non-empty line. Returns 0, -EMSGSIZE (a line over the limit), -ENOMEM, or what visit
 * answered; after a failure the object is only good for lines_free. */
int lines_feed(struct lines *lines, const void *bytes, size_t length, lines_visit visit, void *arg);

/* The stream has ended: 0, or -EPROTO when it ended inside a line. */
int lines_end(const struct lines *lines);

void lines_free(struct lines *lines);
