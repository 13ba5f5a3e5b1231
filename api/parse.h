/* Parses request bodies. Pure, and fuzzed (tests/fuzz/fuzz_parse.c). An empty body is an empty object. A table has
 * every field with its bounds. An unknown or repeated field, a wrong type, null, or a value out of range is
 * FAULT_REQUEST_INVALID with the field's name. *ret_* is untouched on failure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "pool.h"

struct cJSON;

enum {
        EXEC_ARGV_MAX = 7168, /* with EXEC_ENV_MAX below the 8192 strings that the agent accepts */
        EXEC_ENV_MAX = 256,
        EXEC_CELLS_MAX = 4096, /* of a terminal, in each direction */
        EXEC_OUTPUT_DEFAULT_BYTES = 1 << 20,
        EXEC_OUTPUT_MAX_BYTES = 8 << 20,
        LEASE_MAX_S = 86400,
        REAP_IDLE_MAX_S = 31536000,
        SIGNAL_MAX = 64
};

struct ensure_body {
        struct carrel_spec spec;
        enum on_conflict on_conflict;
};

struct exec_body {
        struct exec_request request; /* points into the members below */
        const char *profile;         /* of its carrel; NULL: any */
        bool is_detached;
        struct cJSON *tree;
        const char **argv;
        char **environment;
        char *input;
};

__attribute__((warn_unused_result)) int parse_ensure(const char *text, size_t length, struct ensure_body *ret_body,
                                                     struct fault *why);
/* Release with exec_body_release. request.is_streaming is left false. */
__attribute__((warn_unused_result)) int parse_exec(const char *text, size_t length, struct exec_body *ret_body,
                                                   struct fault *why);
/* The first message of an exec over a WebSocket. */
__attribute__((warn_unused_result)) int parse_exec_message(const char *text, size_t length, struct exec_body *ret_body,
                                                           struct fault *why);
void exec_body_release(struct exec_body *body);
__attribute__((warn_unused_result)) int parse_touch(const char *text, size_t length, uint64_t *ret_lease_s,
                                                    struct fault *why);
__attribute__((warn_unused_result)) int parse_signal(const char *text, size_t length, int *ret_signal,
                                                     struct fault *why);
__attribute__((warn_unused_result)) int parse_reap(const char *text, size_t length, double *ret_idle_s,
                                                   struct fault *why);
