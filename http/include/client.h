/* HTTP/1.1 client calls over a unix socket, on the event loop. client.c is the only file that touches libcurl
 * (multi interface with ev_io and ev_timer, libcurl-multi(3)). Knows nothing of JSON or of engines. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "fault.h"

struct ev_loop;
struct http_client;
struct http_call;

struct http_client_options {
        const char *socket_path;  /* unix socket; borrowed during http_client_new only */
        const char *authority;    /* the Host of requests, e.g. "docker" */
        unsigned max_connections; /* open at once; further calls wait inside their deadline; 0: 64 */
};

struct http_request {
        const char *method;       /* "GET", "PUT", ... */
        const char *path;         /* "/v1.41/containers/json?...", already escaped */
        const char *content_type; /* of the body; NULL: none is sent */
        const void *body;         /* copied */
        size_t body_length;
        int body_fd;               /* a regular file to send instead of `body` (image load); -1 or 0: none; borrowed */
        const char *accept;        /* Accept header; NULL: none */
        double deadline_s;         /* for the whole call, connect included; 0: none (event streams) */
        double idle_deadline_s;    /* no byte for this long ends the call; 0: none */
        size_t max_response_bytes; /* buffered bodies beyond are a fault; 0: 16 MiB. Not for streams */
        /* Bytes sent after the response's header has come, as an engine wants them that has taken the connection
         * over (Docker's exec stdin); then the sending direction is shut down. Copied. NULL: a plain call. */
        const void *after_header;
        size_t after_header_length;
        bool is_hijacked;             /* shut the sending direction down after after_header, even if that is empty */
        void (*on_header)(void *arg); /* the header of a 2xx answer has come. NULL: not wanted */
        /* Streams: called for every piece of a 2xx body instead of buffering it. NULL: buffered. */
        void (*on_data)(void *arg, const void *bytes, size_t length);
};

struct http_response {
        int status;       /* 100..599 */
        const char *body; /* NUL-terminated; "" for a 2xx stream. Valid during the callback */
        size_t body_length;
};

/* Exactly one of response and why is not NULL. Any HTTP status is a response. why->kind is
 * FAULT_ENGINE_UNAVAILABLE (cannot connect, connection lost, garbage) or FAULT_DEADLINE. */
typedef void (*http_done)(void *arg, const struct http_response *response, const struct fault *why);

__attribute__((warn_unused_result)) int http_client_new(struct http_client **ret_client, struct ev_loop *loop,
                                                        const struct http_client_options *options);
/* Cancels every call (their callbacks never run). NULL is fine; returns NULL. */
struct http_client *http_client_free(struct http_client *client);

/* done runs exactly once, never from inside http_send, unless the call is cancelled first. The handle is valid
 * until done has run. Returns 0, -ENOMEM or -EINVAL. */
__attribute__((warn_unused_result)) int http_send(struct http_client *client, const struct http_request *request,
                                                  http_done done, void *arg, struct http_call **ret_call);

/* The value of a header of the answer, from on_header on; NULL: it has none. Valid until the next call. */
const char *http_header(struct http_call *call, const char *name);

/* After this none of the callbacks runs; may be called from inside on_header and on_data. NULL is fine. Returns NULL.
 */
struct http_call *http_cancel(struct http_call *call);

/* Backpressure for streams: while paused no on_data comes and the peer is not read. */
void http_pause(struct http_call *call, bool is_paused);
