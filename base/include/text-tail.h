/* Bytes that come in pieces, as text: a character that two pieces cut in two is put together again. */
#pragma once

#include <stddef.h>

enum { TEXT_TAIL_BYTES = 3 };

/* The beginning of a character whose rest is still to come. Zero-initialise. */
struct text_tail {
        char bytes[TEXT_TAIL_BYTES];
        size_t length;
};

typedef int (*text_tail_visit)(void *arg, const char *bytes, size_t length);

/* Calls visit at most once, with the complete characters so far (bytes other than UTF-8 are passed on unchanged).
 * Returns the answer of visit, 0 when nothing is complete yet, or -ENOMEM. */
int text_tail_feed(struct text_tail *tail, const void *bytes, size_t length, text_tail_visit visit, void *arg);
/* No more will come: passes on what is left, if anything is. */
int text_tail_end(struct text_tail *tail, text_tail_visit visit, void *arg);
