/* Text from outside made fit for a terminal: no control character, no escape sequence, no invisible direction mark,
 * so that a user id or an engine's message can neither move the cursor nor pretend to be another line. */
#pragma once

#include <stddef.h>

#include "str.h"

/* Appends `text` without ANSI escape sequences (ECMA-48: CSI, OSC, DCS and the two-byte ones). Control characters
 * (C0, DEL, C1), line and paragraph separators become a space; zero-width and bidirectional formatting characters
 * are dropped; malformed UTF-8 becomes U+FFFD. 0 or -ENOMEM. */
int text_clean(struct buffer *buffer, const char *text);

/* How many terminal columns UTF-8 text takes: 0 for combining marks, 2 for East Asian wide characters and emoji
 * (Unicode Standard Annex 11, the large blocks), else 1. */
size_t text_columns(const char *text);

/* How many bytes of text fit into `columns`. */
size_t text_fit(const char *text, size_t columns);

/* Appends JSON as it is, except that DEL and C1 controls, which JSON may hold raw, are written as \u00XX. */
int text_append_json(struct buffer *buffer, const char *json);
