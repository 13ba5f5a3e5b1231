/* One request as its handler sees it. A handler answers at once (answer.h), or returns and answers later from a
 * callback. When the client leaves first, `release` cancels what the handler waits for. */
#pragma once

#include <stdbool.h>

#include "route-table.h"
#include "str.h"

struct spool;
struct stream;

struct request {
        const struct route *route;
        const char *method;
        char *query;                           /* still encoded; NULL: the target has none */
        char parameter[ROUTE_PARAMETER_BYTES]; /* of the path, decoded */
        const char *rest;                      /* the {path} of the path, still encoded; or NULL */
        struct buffer body;                    /* of ROUTE_BODY */
        struct spool *spool;                   /* of ROUTE_SPOOL; else NULL */
        struct stream *stream;                 /* the answer's; NULL until stream_new */
        void *work;                            /* the handler's own */
        void (*release)(void *work);           /* called once when the request ends; NULL: nothing to release */
};

/* httpd_app.arg. */
void *request_app(const struct request *request);
/* The application's httpd_app.context_bytes of this request. */
void *request_context(struct request *request);

/* The first header of that name, whatever its case; or NULL. */
const char *request_header(const struct request *request, const char *name);

bool request_is_answered(const struct request *request);

/* Counts the request for a user, like ROUTE_SHARED, when its handler knows the user. FAULT_QUEUE_FULL: the user has
 * too many open. */
__attribute__((warn_unused_result)) int request_occupy(struct request *request, const char *user, struct fault *why);
