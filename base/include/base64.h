/* Base64 of RFC 4648, section 4: standard alphabet, padded. */
#pragma once

#include <stddef.h>

/* A malloc'd, NUL-terminated string; NULL when out of memory. */
char *base64_encode(const void *bytes, size_t length);

/* Writes 4 bytes for every 3, the last of them padded, without a NUL. Returns how many. */
size_t base64_encode_to(char *target, const void *bytes, size_t length);

/* Strict: only what base64_encode would have written. *ret_bytes is malloc'd and NUL-terminated.
 * 0, -EINVAL or -ENOMEM. */
__attribute__((warn_unused_result)) int base64_decode(const char *text, char **ret_bytes, size_t *ret_length);
