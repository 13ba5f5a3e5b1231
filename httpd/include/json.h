/* JSON of RFC 8259, strictly. cJSON alone takes more than it should: control characters in strings and for white space,
 * \u0000 (which then cuts the C string), 01 and "1.", bytes that are not UTF-8, and a thousand levels. */
#pragma once

#include <stddef.h>

#include "fault.h"

struct cJSON;

enum { JSON_DEPTH_MAX = 8, JSON_VALUES_MAX = 8192 };

/* The tree, to be freed with cJSON_Delete; NULL with *why (FAULT_REQUEST_INVALID).
 * Repeated names are the reader's to refuse (parse.c). */
struct cJSON *json_parse(const char *text, size_t length, struct fault *why);

enum { JSON_DIGEST_BYTES = 32 };

/* SHA-256 of what the tree says, whatever way it was written: the order of keys, blanks, escapes and the form of a
 * number do not count. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int json_digest(const struct cJSON *tree,
                                                    unsigned char ret_digest[JSON_DIGEST_BYTES]);
