/* The query of a request target: pairs of name=value, percent-encoded ('+' means '+'). Each route has a table of its
 * parameters. Pure, and fuzzed (tests/fuzz/fuzz_parse.c). */
#pragma once

#include <stdbool.h>

#include "fault.h"

struct query_parameter {
        const char *name;
        /* value is decoded, has no NUL inside, and is valid as long as the query's text. */
        int (*read)(void *target, const char *value, const char *name, struct fault *why);
        bool is_repeated;
};

/* Calls the reader of each pair's parameter. text may be NULL; the table ends with a NULL name. Decodes in place, so a
 * text can be parsed once only. An unknown, repeated or malformed parameter is FAULT_REQUEST_INVALID. */
__attribute__((warn_unused_result)) int query_parse(char *text, const struct query_parameter *table, void *target,
                                                    struct fault *why);

/* "0" or "1". */
int query_flag(const char *value, const char *name, bool *ret_flag, struct fault *why);
