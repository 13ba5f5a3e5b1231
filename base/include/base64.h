/* Base64 of RFC 4648, section 4: standard alphabet, padded. */
#pragma once

#include <stddef.h>

/* Returns a malloc'd, NUL-terminated string; NULL when out of memory. */
char *base64_encode(const void *bytes, size_t length);

/* Writes 4 bytes for every 3, the last of them padded, without a NUL. Returns how many. */
size_t base64_encode_to(char *target, const void *bytes, size_t length);

/* Strict: accepts only text that base64_encode writes. *ret_bytes is malloc'd and NUL-terminated. 0, -EINVAL or
 * -ENOMEM. */
__attribute__((warn_unused_result)) int base64_decode(const char *text, char **ret_bytes, size_t *ret_length);
