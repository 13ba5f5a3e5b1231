/* UTF-8 as RFC 3629 has it: no overlong form, no surrogate, nothing above U+10FFFF. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The length in bytes (1 to 4) of the character at text, 0 when it is none, -1 when length ends in the middle of what
 * may still become one. length is at least 1. */
int utf8_step(const void *text, size_t length);

/* Whether all of it is UTF-8 without a NUL, so that it can be a JSON text in a C string. */
bool utf8_is_text(const void *bytes, size_t length);

/* How many bytes at the end are the beginning of a character that is not all there: 0 to 3. */
size_t utf8_unfinished(const void *bytes, size_t length);

/* Replaces what is not UTF-8 in a C string with '?'. */
void utf8_mend(char *text);
