/* UTF-8 as RFC 3629 has it: no overlong form, no surrogate, nothing above U+10FFFF. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length in bytes (1 to 4) of the character at text. 0: it is not UTF-8. -1: text ends inside a character that may
 * still become valid. length must be at least 1. */
int utf8_step(const void *text, size_t length);

/* Whether all bytes are UTF-8 without a NUL, so that they can be JSON text in a C string. */
bool utf8_is_text(const void *bytes, size_t length);

/* The number of bytes at the end that begin an incomplete character: 0 to 3. */
size_t utf8_unfinished(const void *bytes, size_t length);

/* Checks a text that comes in pieces, and counts the bytes that JSON's escapes add. Zero-initialise. */
struct utf8_scan {
        char tail[4]; /* of an incomplete character */
        size_t n_tail;
        bool is_broken;     /* it is not UTF-8, or has a NUL */
        uint64_t n_escapes; /* bytes that JSON adds, as json_escape writes them */
};
void utf8_scan(struct utf8_scan *scan, const void *bytes, size_t length);
/* Whether all of it so far is text and no character is incomplete. */
bool utf8_scan_is_text(const struct utf8_scan *scan);

enum { JSON_ESCAPE_MAX = 6 };
/* Escapes bytes for a JSON string (RFC 8259, section 7), as many as fit into size, which is at least JSON_ESCAPE_MAX.
 * The bytes must be UTF-8 without a NUL. All of them fit into length plus the n_escapes of a scan. Returns the number
 * of bytes written, *ret_taken the number of bytes escaped; the rest of target up to size may change. */
size_t json_escape(char *target, size_t size, const char *bytes, size_t length, size_t *ret_taken);

/* Replaces each byte of a C string that is not UTF-8 with '?'. */
void utf8_mend(char *text);
