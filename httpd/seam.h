/* Checks that libmicrohttpd read a request's head as any other reader would. libmicrohttpd cuts texts at a NUL, accepts
 * a bare LF as a line's end and joins continued lines, all without a notice; a proxy may read the same bytes
 * differently (RFC 9112, sections 2.2 and 5.2). But it parses in place: its texts point into the received head, and
 * only delimiters were overwritten. So in a good head the texts are adjacent, with exactly the expected delimiters
 * between them. If libmicrohttpd ever copied the texts, every request would be refused, and the first test would show
 * it. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct seam {
        const char *next; /* where the next field, or the head's last CR LF, must begin */
        bool is_broken;
};

/* The request line; target is a copy of the bytes before target_end. */
void seam_line(struct seam *seam, const char *method, const char *target, const char *target_end, const char *version);
/* The next header, in the order of the head. */
void seam_field(struct seam *seam, const char *name, size_t name_length, const char *value, size_t value_length);
/* Whether everything was adjacent and the head ends there. */
bool seam_ends_at(const struct seam *seam, const char *end);
