/* Bounded parsing, and growing byte buffers. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Parses a whole decimal number in [min, max]: no sign, no space, no octal, nothing after it.
 * Returns 0, -EINVAL (not a number) or -ERANGE; *ret_value is untouched on failure. */
__attribute__((warn_unused_result)) int str_parse_u64(const char *text, uint64_t min, uint64_t max,
                                                      uint64_t *ret_value);

/* The same for a decimal fraction such as "1.5" (at most 6 digits after the point). */
__attribute__((warn_unused_result)) int str_parse_decimal(const char *text, double min, double max, double *ret_value);

/* Parses a size in bytes in [min, max]: digits and an optional suffix k, m, g or t, which b or ib may follow
 * (1024-based, either case). */
__attribute__((warn_unused_result)) int str_parse_size(const char *text, uint64_t min, uint64_t max,
                                                       uint64_t *ret_bytes);

enum { STR_U64_BYTES = 21 };
/* Writes the number in decimal, with a NUL. Returns its length. */
size_t str_u64(uint64_t number, char text[static STR_U64_BYTES]);

enum { STR_SIZE_BYTES = 8 };
/* Formats a size for people: "512m", "1.4g"; at most four digits, rounded, in 1024-based units. Returns ret_text. */
const char *str_size(uint64_t bytes, char ret_text[static STR_SIZE_BYTES]);

bool str_equal(const char *a, const char *b); /* NULL equals only NULL */
bool str_has_prefix(const char *text, const char *prefix);

/* Copies text into target[size]. -ENAMETOOLONG: it does not fit, and target is "". */
__attribute__((warn_unused_result)) int str_copy(char *target, size_t size, const char *text);

/* Decodes the UTF-8 sequence at text (RFC 3629: shortest form, no surrogates, at most U+10FFFF).
 * Returns its length in bytes, 1 to 4; 0 if text does not begin with one, and *ret_code is untouched. */
size_t str_decode_utf8(const char *text, uint32_t *ret_code);

/* Whether showing this code point could move the cursor, end the line or reorder the text around it:
 * C0 and C1 controls, DEL, line and paragraph separators, the bidirectional controls. */
bool str_is_unprintable(uint32_t code);

/* The number of single-character edits between a and b, ignoring case; UINT_MAX if one is longer than 63 bytes. For
 * "did you mean". */
unsigned str_distance(const char *a, const char *b);

/* A growing byte buffer with a NUL after its content. Zero-initialise; release with buffer_free. A failed append keeps
 * the content and sets has_failed, so one check at the end is enough. */
struct buffer {
        char *data; /* NULL when nothing was appended */
        size_t length;
        size_t capacity;
        bool has_failed; /* an allocation failed: the content is incomplete */
};

/* Where `extra` bytes can be written after the content; then the caller adds to length, and a NUL unless more follows.
 * NULL: out of memory. */
char *buffer_room(struct buffer *buffer, size_t extra);
int buffer_append(struct buffer *buffer, const void *bytes, size_t length); /* 0 or -ENOMEM */
int buffer_text(struct buffer *buffer, const char *text);
int buffer_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Hands the content over: a malloc'd, NUL-terminated string, "" if empty. NULL: an append failed. */
char *buffer_take(struct buffer *buffer);
void buffer_free(struct buffer *buffer);
/* Drops the first `count` bytes. */
void buffer_consume(struct buffer *buffer, size_t count);
