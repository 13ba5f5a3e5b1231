/* The request target (RFC 3986): percent decoding. Pure. */
#pragma once

#include <stddef.h>

/* Decodes the %XX of text[length] into target[size], which may be text itself, and adds a NUL. A decoded NUL stays
 * inside, so check *ret_length. 0, -EINVAL (a bad escape) or -ENAMETOOLONG. */
__attribute__((warn_unused_result)) int url_decode(const char *text, size_t length, char *target, size_t size,
                                                   size_t *ret_length);
