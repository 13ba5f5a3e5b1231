/* Text from outside made fit for a terminal: no control character, no escape sequence, no invisible direction mark,
 * so that a user id or an engine's message can neither move the cursor nor pretend to be another line. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "str.h"

/* Appends `text` without ANSI escape sequences (ECMA-48: CSI, OSC, DCS and the two-byte ones). Control characters
 * (C0, DEL, C1), line and paragraph separators become a space; zero-width and bidirectional formatting characters
 * are dropped; malformed UTF-8 becomes U+FFFD. 0 or -ENOMEM. */
int text_clean(struct buffer *buffer, const char *text);

/* The same for a stream that comes in pieces, whose lines and tabs stay: a carriage return begins a new line. Zero-
 * initialise. An incomplete character waits for the next piece. */
struct text_filter {
        enum { FILTER_TEXT, FILTER_ESCAPE, FILTER_CSI, FILTER_STRING, FILTER_STRING_ESCAPE } state;
        bool has_return;
        char tail[4];
        size_t n_tail;
};
int text_filter(struct text_filter *filter, const char *bytes, size_t length, struct buffer *clean);

/* How many terminal columns UTF-8 text takes: 0 for combining marks, 2 for East Asian wide characters and emoji
 * (Unicode Standard Annex 11, the large blocks), else 1. */
size_t text_columns(const char *text);

/* How many bytes of text fit into `columns`. */
size_t text_fit(const char *text, size_t columns);

/* Appends JSON as it is, except that what JSON may hold raw and text_clean drops (DEL, C1 controls,
 * separators, invisible and direction marks) is written as \uXXXX. */
int text_append_json(struct buffer *buffer, const char *json);
