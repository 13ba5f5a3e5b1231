/* The load of many clients from one thread: each connection sends a request, reads its answer, and sends the next. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "samples.h"

enum { LOAD_CONNECTIONS_MAX = 512, LOAD_ANSWER_BYTES = 4096 };

struct load {
        const char *socket_path;
        const char *request; /* all of its bytes */
        unsigned connections;
        size_t requests;  /* of all connections */
        bool is_new_each; /* a new connection for each request */
};

/* The latencies, and the requests of a second. 0, -EPROTO (no answer with a length, or a status other than 200),
 * -EMSGSIZE or an errno. samples are opened even on failure. */
int load_run(const struct load *load, struct samples *ret_samples, double *ret_per_s);

/* One request and its answer, head and body. Returns the number of bytes, or the same errors. */
int load_ask(const struct load *load, char answer[static LOAD_ANSWER_BYTES]);
