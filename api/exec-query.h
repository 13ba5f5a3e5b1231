/* The query of an exec over a WebSocket. Pure, and fuzzed (tests/fuzz/fuzz_parse.c). */
#pragma once

#include "exec.h"
#include "query.h"

/* Zero-initialise; release with exec_query_release. */
struct exec_query {
        struct exec_request request; /* points into the members below and into the query's text; always streaming */
        const char **argv;
        const char **environment;
        size_t n_argv, n_environment;
        const char *profile; /* of its carrel; NULL: any */
        bool is_by_message;  /* the first message has the request; `request` is empty */
};

extern const struct query_parameter EXEC_QUERY[];

/* Parses either request=message alone, or: argv (at least once), cwd, env (NAME=VALUE, may be repeated), drain_s,
 * profile, rows, cols, stdin (0 or 1, default 1), timeout_s, tty (0 or 1). text is as for query_parse; the request's
 * strings are parts of it. *ret_query is untouched on failure. */
__attribute__((warn_unused_result)) int exec_query_parse(char *text, struct exec_query *ret_query, struct fault *why);
void exec_query_release(struct exec_query *query);
