/* The queries of lists, of an exec's output, and of loading an image. Pure, and fuzzed (tests/fuzz/fuzz_parse.c). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobs.h"
#include "pool.h"
#include "query.h"

enum { LIST_LIMIT_DEFAULT = 100, LIST_LIMIT_MAX = 1000 };

struct list_query {
        int state;      /* enum carrel_state, -1: any */
        int exec_state; /* enum job_state, JOB_STATES: any */
        size_t limit;
        char after[USER_ID_MAX + 1]; /* "": from the start */
        char user[USER_ID_MAX + 1];  /* "": any */
        bool has_all;                /* warm carrels, too */
        bool has_usage;              /* with what each has used */
        bool has_seq;
        uint64_t after_seq; /* of an exec's events */
        bool is_following;
        char reference[256]; /* of an image; "": none */
        char format[16];     /* of its archive; default "auto" */
};

extern const struct query_parameter CARREL_LIST_QUERY[]; /* after, all, limit, state, usage */
extern const struct query_parameter USAGE_LIST_QUERY[];  /* after, limit */
extern const struct query_parameter EXEC_LIST_QUERY[];   /* state, user */
extern const struct query_parameter EXEC_OUTPUT_QUERY[]; /* after, follow */
extern const struct query_parameter IMAGE_LOAD_QUERY[];  /* format, reference */

/* query_parse with one of these tables; *ret_query is untouched on failure. */
__attribute__((warn_unused_result)) int list_query_parse(char *text, const struct query_parameter *table,
                                                         struct list_query *ret_query, struct fault *why);
