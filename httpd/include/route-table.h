/* Routes as a table: method, path template, handler. Matching is pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "fault.h"

struct query_parameter;
struct request;

enum route_flags {
        ROUTE_ADMIN = 1,
        ROUTE_BODY = 2,
        ROUTE_SPOOL = 4, /* the body goes to request->spool and is bounded by route->spool_limit */
        ROUTE_SHARED = 8 /* a long request: it counts for the user that the path's parameter names */
};

enum { ROUTE_ALLOW_BYTES = 64, ROUTE_PARAMETER_BYTES = 256 };

struct route {
        const char *method;
        const char *path; /* segments; {path} stands for the rest of a path, any other {name} for one segment */
        void (*handle)(struct request *request);
        unsigned flags;
        const struct query_parameter *query; /* the parameters of its query; NULL: it takes no query */
        const char *label;                   /* for metrics */
        unsigned spool_limit;                /* of ROUTE_SPOOL: an index of httpd_options.spool_limits */
};

/* The reader of a {name} of a path. */
struct route_parameter {
        const char *name; /* with its braces */
        /* Decodes and checks text, which is still percent-encoded. Returns 0 or the fault's negative errno. */
        int (*read)(const char *text, size_t length, char ret_value[static ROUTE_PARAMETER_BYTES], struct fault *why);
};

struct route_table {
        const struct route *routes;               /* ends with a NULL method */
        const struct route_parameter *parameters; /* every {name} of the routes but {path}; ends with a NULL name */
        const char *unknown_path;                 /* the message for a path that fits no route */
};

struct route_match {
        const struct route *route;
        char parameter[ROUTE_PARAMETER_BYTES]; /* decoded; "" when the path has none */
        const char *rest;                      /* in the path, still encoded: what {path} stands for, or NULL */
        char allow[ROUTE_ALLOW_BYTES];         /* on FAULT_METHOD_NOT_ALLOWED: the methods that the path takes */
};

/* path is the raw one, without the query. HEAD finds the route of GET. Returns FAULT_NOT_FOUND,
 * FAULT_METHOD_NOT_ALLOWED (with ret_match->allow), or the fault of the parameter. */
__attribute__((warn_unused_result)) int route_find(const struct route_table *table, const char *method,
                                                   const char *path, struct route_match *ret_match, struct fault *why);
