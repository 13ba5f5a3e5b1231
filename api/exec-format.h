/* How the output of an exec goes to its client while it runs: a table for each format that Accept can ask for. */
#pragma once

#include <stdint.h>

#include "parse.h"
#include "request.h"
#include "text-tail.h"

struct exec_work;

struct exec_format {
        const char *content_type; /* as Accept names it */
        bool is_pulled;           /* bytes go from the program's pipe to the client's socket (exec_read) */
        /* Each returns 0, or a negative errno: the stream is cut then. */
        int (*begin)(struct exec_work *work, const char *exec_id);
        int (*push)(struct exec_work *work, int stream, const void *bytes, size_t length);
        /* One of the two, the last call. */
        void (*end)(struct exec_work *work, const struct exec_result *result);
        void (*fail)(struct exec_work *work, const struct fault *why);
};

/* One exec of one request. */
struct exec_work {
        struct request *request;
        struct exec_body body;
        const struct exec_format *format; /* NULL: buffered */
        char exec_id[EXEC_ID_BYTES];
        struct exec *exec;         /* NULL: not started, or over */
        uint64_t seq;              /* NDJSON: of the next line */
        struct text_tail tails[2]; /* NDJSON: of stdout, stderr */
};

/* The one that the request's Accept names, frames if it names both; NULL: none. */
const struct exec_format *exec_format_of(const struct request *request);

extern const struct exec_format EXEC_NDJSON, EXEC_FRAMES;
