/* A request from its headers to the end of its answer, with what its handler does not see. */
#pragma once

#include "answer.h"
#include "connection.h"
#include "request.h"

struct MHD_Response;

enum exchange_state {
        EXCHANGE_READING,
        EXCHANGE_WORKING,  /* its handler has been called */
        EXCHANGE_ANSWERED, /* `response` is there */
        EXCHANGE_SENDING   /* libmicrohttpd has the response */
};

struct exchange {
        struct request request;
        struct list node; /* in httpd->exchanges */
        struct httpd *httpd;
        struct connection *connection;
        struct MHD_Connection *http;
        const struct route *route; /* the same as request.route from dispatch on; NULL: not found */
        enum exchange_state state;
        bool is_suspended;
        bool is_gone;            /* the client has left, or no answer could be made */
        bool is_dropped;         /* by exchange_drop */
        uint64_t received_bytes; /* of the body, kept or not */
        uint64_t timed_bytes;    /* received_bytes when the deadline was last set */
        struct fault refusal;    /* of the body: what still comes is drained, up to DRAIN_MAX_BYTES */
        uint64_t drained_bytes;
        struct MHD_Response *response;
        unsigned status;
        /* Of an upgrade. */
        void (*on_upgraded)(struct request *request, int fd, const char *early, size_t early_length);
        struct MHD_UpgradeResponseHandle *upgraded; /* NULL: not yet, or closed */
        /* The application's. */
        _Alignas(max_align_t) char context[];
};

static inline struct exchange *exchange_of(const struct request *request)
{
        return (struct exchange *)(void *)request; /* its first member */
}

/* libmicrohttpd's access handler; *context is the exchange. */
enum MHD_Result exchange_on_access(void *httpd, struct MHD_Connection *http, const char *url, const char *method,
                                   const char *version, const char *upload, size_t *upload_length, void **context);
/* libmicrohttpd's completion notification: the request is over, however it ended. */
void exchange_on_completed(void *httpd, struct MHD_Connection *http, void **context,
                           enum MHD_RequestTerminationCode code);

/* Sets the answer; takes response. NULL: no response could be made, so the connection is closed. */
void exchange_answer(struct exchange *exchange, unsigned status, struct MHD_Response *response);

/* libmicrohttpd leaves the connection alone until exchange_resume. */
void exchange_suspend(struct exchange *exchange);
void exchange_resume(struct exchange *exchange);

/* Cancels everything the request waits for: none of it calls back afterwards. */
void exchange_drop(struct exchange *exchange);

/* The client of a suspended request has left: drops the request, and has libmicrohttpd close the connection. */
void exchange_abandon(struct exchange *exchange);

/* stream.c: the response that reads from a stream, of size bytes or ANSWER_SIZE_UNKNOWN; NULL: out of memory. */
struct MHD_Response *stream_response(struct stream *stream, int64_t size);
