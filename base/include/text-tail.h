/* Joins UTF-8 characters that are split between two pieces of a text. */
#pragma once

#include <stddef.h>

enum { TEXT_TAIL_BYTES = 3 };

/* The beginning of a character whose rest has not come yet. Zero-initialise. */
struct text_tail {
        char bytes[TEXT_TAIL_BYTES];
        size_t length;
};

typedef int (*text_tail_visit)(void *arg, const char *bytes, size_t length);

/* Calls visit at most once, with the complete characters so far (bytes other than UTF-8 are passed on unchanged).
 * Returns the answer of visit, 0 when nothing is complete yet, or -ENOMEM. */
int text_tail_feed(struct text_tail *tail, const void *bytes, size_t length, text_tail_visit visit, void *arg);
/* The text has ended: passes the remaining bytes on, if there are any. */
int text_tail_end(struct text_tail *tail, text_tail_visit visit, void *arg);
