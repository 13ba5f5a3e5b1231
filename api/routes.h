/* The routes as a table: method, path template, handler. Matching is pure. */
#pragma once

#include <stdbool.h>

#include "fault.h"
#include "pool.h"

struct query_parameter;
struct request;

enum route_flags {
        ROUTE_ADMIN = 1,
        ROUTE_BODY = 2,
        ROUTE_SPOOL = 4,   /* the body goes into request->spool, however long, up to spool_max_bytes */
        ROUTE_SHARED = 16, /* it may take long, so it counts for its user */
        ROUTE_FILE = 8     /* ... up to file_max_bytes */
};

struct route {
        const char *method;
        const char *path; /* segments; {user}, {id} and {image} stand for one each, {path} for all that is left */
        void (*handle)(struct request *request);
        unsigned flags;
        const struct query_parameter *query; /* what it takes; NULL: none */
        const char *label;                   /* for the metrics */
};

/* Every route, in the order of paths; ends with a NULL method. */
extern const struct route ROUTES[];

enum { ROUTE_ALLOW_BYTES = 64, ROUTE_PARAMETER_BYTES = 256 };

struct route_match {
        const struct route *route;
        char parameter[ROUTE_PARAMETER_BYTES]; /* decoded; "" when the path has none */
        const char *rest;                      /* in the path, still encoded: what {path} stands for, or NULL */
        char allow[ROUTE_ALLOW_BYTES];         /* on FAULT_METHOD_NOT_ALLOWED: what the path takes */
};

/* path is the raw one, without the query. HEAD goes where GET goes. FAULT_NOT_FOUND, FAULT_METHOD_NOT_ALLOWED (with
 * ret_match->allow), FAULT_USER_ID_INVALID. */
__attribute__((warn_unused_result)) int route_find(const char *method, const char *path, struct route_match *ret_match,
                                                   struct fault *why);
