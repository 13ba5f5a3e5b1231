/* The pairs after the '?' of a request target: name=value, percent-encoded (a '+' is a '+'). One reader, and a table
 * of parameters for each route. Pure, and fuzzed (tests/fuzz/fuzz_parse.c). */
#pragma once

#include <stdbool.h>

#include "fault.h"

struct query_parameter {
        const char *name;
        /* value is decoded and whole (there is no NUL in it), and lives as long as the query's text. */
        int (*read)(void *target, const char *value, const char *name, struct fault *why);
        bool is_repeated;
};

/* Hands each pair of text (NULL: none) to its parameter of the table, which ends with a NULL name. Decodes in place: a
 * text is parsed once. A parameter that is not in the table, comes twice or is malformed is FAULT_REQUEST_INVALID. */
__attribute__((warn_unused_result)) int query_parse(char *text, const struct query_parameter *table, void *target,
                                                    struct fault *why);

/* "0" or "1". */
int query_flag(const char *value, const char *name, bool *ret_flag, struct fault *why);
