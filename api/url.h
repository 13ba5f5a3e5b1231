/* The request target (RFC 3986): percent decoding, path segments, query pairs. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "pool.h"

/* Decodes %XX from text[length] into target[size] and NUL-terminates; a decoded NUL stays inside, so look at
 * *ret_length. 0, -EINVAL (a bad escape) or -ENAMETOOLONG. */
__attribute__((warn_unused_result)) int url_decode(const char *text, size_t length, char *target, size_t size,
                                                   size_t *ret_length);

enum { LIST_LIMIT_DEFAULT = 100, LIST_LIMIT_MAX = 1000 };

/* The query of GET /v1/carrels, GET /v1/execs and GET /v1/execs/{id}/output. */
struct list_query {
        int state; /* enum carrel_state, -1: any */
        size_t limit;
        char after[USER_ID_MAX + 1]; /* "": from the start */
        char user[USER_ID_MAX + 1];  /* "": any */
        bool has_seq;
        uint64_t after_seq; /* of an exec's events */
        bool is_following;
        char reference[256]; /* of an image; "": none */
        char format[16];     /* of its archive; "auto" when it is not told */
};

/* The pairs that a route knows: a bit each. */
enum {
        QUERY_AFTER = 1,
        QUERY_LIMIT = 2,
        QUERY_STATE = 4,
        QUERY_USER = 8,
        QUERY_SEQ = 16,
        QUERY_FOLLOW = 32,
        QUERY_EXEC = 64, /* exec-query.h's */
        QUERY_REFERENCE = 128,
        QUERY_FORMAT = 256,
        QUERY_FILE = 512 /* file-query.h's */
};

/* text is what stands behind the '?', or NULL. An unknown or repeated pair is FAULT_REQUEST_INVALID. */
__attribute__((warn_unused_result)) int url_parse_query(const char *text, unsigned known, struct list_query *ret_query,
                                                        struct fault *why);
