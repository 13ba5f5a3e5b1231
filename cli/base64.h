/* Base64 with padding (RFC 4648, section 4), for bytes that JSON cannot hold. */
#pragma once

#include <stddef.h>

#include "strings.h"

int base64_encode(struct buffer *buffer, const void *bytes, size_t length); /* 0 or -ENOMEM */

/* Strict: no space, no missing padding. 0, -EINVAL or -ENOMEM; what was appended stays. */
int base64_decode(struct buffer *buffer, const char *text);
