/* Strict JSON (RFC 8259). cJSON alone accepts too much: control characters in strings and as white space, \u0000 (which
 * cuts the C string), 01 and "1.", bytes that are not UTF-8, and a thousand levels. */
#pragma once

#include <stddef.h>

#include "fault.h"

struct cJSON;

enum { JSON_DEPTH_MAX = 8, JSON_VALUES_MAX = 8192 };

/* The tree, to be freed with cJSON_Delete; NULL with *why (FAULT_REQUEST_INVALID).
 * It does not refuse repeated names; fields_read does. */
struct cJSON *json_parse(const char *text, size_t length, struct fault *why);

enum { JSON_DIGEST_BYTES = 32 };

/* SHA-256 of the tree's values. The order of keys, white space, escapes and the spelling of a number do not change it.
 * 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int json_digest(const struct cJSON *tree,
                                                    unsigned char ret_digest[JSON_DIGEST_BYTES]);
