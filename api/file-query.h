/* Paths and queries of the file routes. Pure, and fuzzed (tests/fuzz/fuzz_parse.c). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "query.h"

enum { FILE_PATH_BYTES = 4096 };

struct file_query {
        bool is_listing, is_recursive, is_making_parents;
        int mode;                   /* -1: not given */
        char path[FILE_PATH_BYTES]; /* decoded; "" when not given */
};

extern const struct query_parameter ARCHIVE_QUERY[];     /* path */
extern const struct query_parameter FILE_GET_QUERY[];    /* list */
extern const struct query_parameter FILE_PUT_QUERY[];    /* mode, parents */
extern const struct query_parameter FILE_REMOVE_QUERY[]; /* recursive */

/* query_parse with one of these tables. */
__attribute__((warn_unused_result)) int file_query_parse(char *text, const struct query_parameter *table,
                                                         struct file_query *ret_query, struct fault *why);
/* Decodes the part of a target after "files/": a path relative to /workspace, or absolute if it begins with '/'. An
 * empty one is ".". */
__attribute__((warn_unused_result)) int file_path_decode(const char *rest, char ret_path[static FILE_PATH_BYTES],
                                                         struct fault *why);

/* Parses a Range header (RFC 9110, section 14.2) with one range in bytes. first -1: the last `last` bytes; last -1: up
 * to the end. false: no range that we support, so the whole file is sent. header may be NULL. */
bool file_range_parse(const char *header, int64_t *ret_first, int64_t *ret_last);
