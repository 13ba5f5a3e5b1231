/* The request target (RFC 3986): percent decoding. Pure. */
#pragma once

#include <stddef.h>

/* Decodes %XX from text[length] into target[size], which may be text itself, and NUL-terminates; a decoded NUL
 * stays inside, so look at *ret_length. 0, -EINVAL (a bad escape) or -ENAMETOOLONG. */
__attribute__((warn_unused_result)) int url_decode(const char *text, size_t length, char *target, size_t size,
                                                   size_t *ret_length);
