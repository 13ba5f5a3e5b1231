/* UTF-8 as RFC 3629 has it: no overlong form, no surrogate, nothing above U+10FFFF. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length in bytes (1 to 4) of the character at text, 0 if it is not one, -1 when length ends in the middle of what
 * may still become one. length is at least 1. */
int utf8_step(const void *text, size_t length);

/* Whether all of it is UTF-8 without a NUL, so that it can be a JSON text in a C string. */
bool utf8_is_text(const void *bytes, size_t length);

/* How many bytes at the end are the beginning of a character that is not all there: 0 to 3. */
size_t utf8_unfinished(const void *bytes, size_t length);

/* The same of a text that comes in pieces, and how much longer JSON would make it. Zero-initialise. */
struct utf8_scan {
        char tail[4]; /* of a character that is not all there */
        size_t n_tail;
        bool is_broken;     /* no UTF-8, or it has a NUL */
        uint64_t n_escapes; /* bytes that JSON adds, as json_escape writes them */
};
void utf8_scan(struct utf8_scan *scan, const void *bytes, size_t length);
/* Whether all of it so far is text, with no character left unfinished. */
bool utf8_scan_is_text(const struct utf8_scan *scan);

enum { JSON_ESCAPE_MAX = 6 };
/* Writes what stands for the bytes in a JSON string (RFC 8259, section 7), which are UTF-8 without a NUL, as far as
 * they fit, JSON_ESCAPE_MAX bytes at least. Returns how many bytes were written; *ret_taken is how many they stand for.
 */
size_t json_escape(char *target, size_t size, const char *bytes, size_t length, size_t *ret_taken);

/* Replaces what is not UTF-8 in a C string with '?'. */
void utf8_mend(char *text);
