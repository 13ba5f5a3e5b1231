/* Whether a request's head was what libmicrohttpd made of it. It cuts texts at a NUL, takes a bare LF for a line's end
 * and joins continued lines, and says none of it; a proxy may read the same bytes otherwise (RFC 9112, sections 2.2
 * and 5.2). But it works in place: its texts point into the head as it came, and only delimiters were overwritten. So
 * they must lie side by side, each with the delimiters of its place between them. A library that copied them would have
 * every request refused, which the first test shows. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct seam {
        const char *next; /* where the next field or the head's last CR LF is to begin */
        bool is_broken;
};

/* The request line; target is a copy of the bytes before target_end. */
void seam_line(struct seam *seam, const char *method, const char *target, const char *target_end, const char *version);
/* The next header, in the order in which they came. */
void seam_field(struct seam *seam, const char *name, size_t name_length, const char *value, size_t value_length);
/* Whether all was sound and the head ends there. */
bool seam_ends_at(const struct seam *seam, const char *end);
