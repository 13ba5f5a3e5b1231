/* One request, from its headers to the end of its answer. A handler answers at once, or lets the connection wait and
 * answers from a callback; if the client goes first, what the handler waits for is dropped by `release`. */
#pragma once

#include "connection.h"
#include "httpd-inside.h"
#include "routes.h"
#include "spool.h"

enum request_state {
        REQUEST_READING,
        REQUEST_WORKING,  /* its handler has run */
        REQUEST_ANSWERED, /* `response` is there */
        REQUEST_SENDING   /* libmicrohttpd has it */
};

struct request {
        struct list node; /* in server->requests */
        struct api_server *server;
        struct connection *connection;
        struct MHD_Connection *http;
        const struct route *route; /* NULL until it is found */
        enum request_state state;
        bool is_suspended;
        bool is_gone;                          /* the client has left, or the answer could not be made */
        char *query;                           /* in connection->target, or NULL */
        char parameter[ROUTE_PARAMETER_BYTES]; /* the {user}, {id} or {image} of the path */
        const char *rest;                      /* in connection->target: the {path} of the path, or NULL */
        const char *method;                    /* libmicrohttpd's, valid as long as the request */
        struct buffer body;
        struct spool *spool;     /* instead of body, of a ROUTE_SPOOL; else NULL */
        uint64_t received_bytes; /* of the body, kept or not */
        uint64_t timed_bytes;    /* of them when the deadline was set last */
        struct fault refusal;    /* of the spool: what still comes is drained, up to API_DRAIN_MAX_BYTES */
        uint64_t drained_bytes;
        struct pool_wait *wait; /* what a handler waits for, or NULL */
        /* Of carrel-first.h; without an on_failed what goes wrong is the answer. */
        void (*on_ready)(struct request *request, const struct pool_ensured *ensured);
        void (*on_failed)(struct request *request, const struct fault *why);
        struct stream *stream;       /* the answer's, or NULL */
        void *work;                  /* the handler's own */
        void (*release)(void *work); /* called once when the request ends; NULL: nothing to do */
        struct MHD_Response *response;
        unsigned status;
};

/* libmicrohttpd's access handler; *context is the request. */
enum MHD_Result request_on_access(void *server, struct MHD_Connection *http, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_length, void **context);
/* libmicrohttpd's completion notification: the request is over, whichever way. */
void request_on_completed(void *server, struct MHD_Connection *http, void **context,
                          enum MHD_RequestTerminationCode code);

/* Hands over the answer (takes response; NULL: none could be made, the connection is closed). Only the first counts. */
void request_answer(struct request *request, unsigned status, struct MHD_Response *response);

/* Lets the connection rest until request_resume. */
void request_suspend(struct request *request);
void request_resume(struct request *request);

/* Lets go of everything the request waits for: none of it calls back any more. */
void request_drop(struct request *request);

/* The peer of a suspended request has gone: drops what it waits for, and has libmicrohttpd close the connection. */
void request_abandon(struct request *request);
