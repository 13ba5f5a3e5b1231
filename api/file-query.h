/* Paths and queries of the file routes. Pure, and fuzzed (tests/fuzz/fuzz_parse.c). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "query.h"

enum { FILE_PATH_BYTES = 4096 };

struct file_query {
        bool is_listing, is_recursive, is_making_parents;
        int mode;                   /* -1: not said */
        char path[FILE_PATH_BYTES]; /* decoded; "" when not said */
};

extern const struct query_parameter ARCHIVE_QUERY[];     /* path */
extern const struct query_parameter FILE_GET_QUERY[];    /* list */
extern const struct query_parameter FILE_PUT_QUERY[];    /* mode, parents */
extern const struct query_parameter FILE_REMOVE_QUERY[]; /* recursive */

/* query_parse with one of these tables. */
__attribute__((warn_unused_result)) int file_query_parse(char *text, const struct query_parameter *table,
                                                         struct file_query *ret_query, struct fault *why);
/* The rest of a target after "files/", still encoded, into ret_path: relative to /workspace, or absolute when it
 * begins with a '/'; "." for nothing. */
__attribute__((warn_unused_result)) int file_path_decode(const char *rest, char ret_path[static FILE_PATH_BYTES],
                                                         struct fault *why);

/* A Range header (RFC 9110, section 14.2) with one range in bytes; first -1: the last `last` bytes; last -1: to the
 * end. false: no such header, or an unknown form, so the whole file is sent. */
bool file_range_parse(const char *header, int64_t *ret_first, int64_t *ret_last);
