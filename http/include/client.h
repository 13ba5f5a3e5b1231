/* HTTP/1.1 client calls over a unix socket, on the event loop. Only this folder uses libcurl (the multi interface with
 * ev_io and ev_timer, libcurl-multi(3)). It knows nothing of JSON or of engines. */
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
        unsigned max_connections; /* open at once; further calls wait, within their deadline; 0: 64 */
};

struct http_request {
        const char *method;       /* "GET", "PUT", ... */
        const char *path;         /* "/v1.41/containers/json?...", already escaped */
        const char *content_type; /* of the body; NULL: the header is not sent */
        const void *body;         /* copied */
        size_t body_length;
        int body_fd; /* a regular file to send instead of `body` (image load), borrowed; -1 or 0: send `body` */
        /* Send the head with "Expect: 100-continue" (RFC 9110, section 10.1.1), and the body when the server agrees or
         * has not answered for a second. Otherwise a server that refuses the head closes the connection during the
         * body, and the client may fail to send before it reads the refusal. */
        bool asks_first;
        const char *accept;        /* Accept header; NULL: it is not sent */
        double deadline_s;         /* of the whole call with its connect; 0: unbounded (event streams) */
        double idle_deadline_s;    /* the call fails when no byte comes for this long; 0: unbounded */
        size_t max_response_bytes; /* a larger buffered body is a fault; 0: 16 MiB. Not for streams */
        /* Bytes to send after the response's header, to an engine that has hijacked the connection (stdin of Docker's
         * exec). Then the sending direction is shut down. Copied. NULL: an ordinary call. */
        const void *after_header;
        size_t after_header_length;
        bool is_hijacked;             /* shut the sending direction down after after_header, even if that is empty */
        void (*on_header)(void *arg); /* called for the header of a 2xx response; may be NULL */
        /* Streams: gets every piece of a 2xx body. NULL: the body is buffered. */
        void (*on_data)(void *arg, const void *bytes, size_t length);
};

struct http_response {
        int status;       /* 100..599 */
        const char *body; /* NUL-terminated, valid during the callback; "" for a 2xx stream */
        size_t body_length;
};

/* Exactly one of response and why is not NULL. Any HTTP status is a response. why->kind is FAULT_ENGINE_UNAVAILABLE
 * (cannot connect, connection lost, malformed answer) or FAULT_DEADLINE. */
typedef void (*http_done)(void *arg, const struct http_response *response, const struct fault *why);

__attribute__((warn_unused_result)) int http_client_new(struct http_client **ret_client, struct ev_loop *loop,
                                                        const struct http_client_options *options);
/* Cancels every call; no callback runs any more. NULL is fine; returns NULL. */
struct http_client *http_client_free(struct http_client *client);

/* Calls done exactly once, never before http_send returns, unless the call is cancelled first. The handle is valid
 * until done has run. Returns 0, -ENOMEM or -EINVAL. */
__attribute__((warn_unused_result)) int http_send(struct http_client *client, const struct http_request *request,
                                                  http_done done, void *arg, struct http_call **ret_call);

/* The value of a response header, from on_header on. NULL: there is no such header. Valid until the next call. */
const char *http_header(struct http_call *call, const char *name);

/* Cancels the call; none of its callbacks runs any more. May be called from inside on_header and on_data. NULL is fine;
 * returns NULL. */
struct http_call *http_cancel(struct http_call *call);

/* Backpressure for streams: a paused call does not read from the peer and does not call on_data. */
void http_pause(struct http_call *call, bool is_paused);
