/* The query of an exec over a WebSocket. Pure, and fuzzed (tests/fuzz/fuzz_parse.c). */
#pragma once

#include "exec.h"
#include "fault.h"

/* Zero-initialise; release with exec_query_release. */
struct exec_query {
        struct exec_request request; /* points into what follows; always streaming */
        char *text;                  /* all decoded values, each with its NUL */
        const char **argv;
        const char **environment;
};

/* argv (once for each argument, at least one), cwd, env (NAME=VALUE, repeated), rows, cols, stdin (0 or 1, default 1),
 * timeout_s, tty (0 or 1). Percent-encoded; a '+' is a '+'. text is what stands behind the '?', or NULL.
 * FAULT_REQUEST_INVALID names the parameter; *ret_query is untouched then. */
__attribute__((warn_unused_result)) int exec_query_parse(const char *text, struct exec_query *ret_query,
                                                         struct fault *why);
void exec_query_release(struct exec_query *query);
