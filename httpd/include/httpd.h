/* An HTTP/1.1 server on a listening unix socket: libmicrohttpd with an external epoll descriptor that libev watches.
 * The application provides a table of routes and a few callbacks. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fault.h"
#include "route-table.h"

struct ev_loop;
struct httpd;
struct spool_limit;

enum {
        HTTPD_BODY_MAX_BYTES = 1 << 20 /* of a body that is kept in memory (ROUTE_BODY) */
};

/* The application. It is copied; what it points at is borrowed for the server's life. No callback may be NULL. */
struct httpd_app {
        void *arg; /* request_app returns it */
        struct route_table routes;
        size_t context_bytes; /* of zeroed memory that comes with every request: request_context */
        /* The request ends, or its client has left: cancels what the context waits for. Called once for a request,
         * after request->release. */
        void (*on_drop)(void *context);
        /* A request has ended. route is NULL when none was found, status 0 when it was not answered. */
        void (*on_request)(void *arg, const struct route *route, unsigned status);
        /* A connection was closed to make room. why: "idle" or "refused". */
        void (*on_cut)(void *arg, const char *why);
        /* The server stops: ends the streams that would not end by themselves. */
        void (*on_stop)(void *arg);
};

/* Error messages name the options as they are named here, so carreld's settings have the same names. */
struct httpd_options {
        int listen_fd;                 /* owned by the server from then on, also on failure */
        gid_t admin_gid;               /* members are admins, like root and our own uid; (gid_t)-1: no group */
        unsigned max_connections;      /* > 0; a sixteenth is kept for admins */
        unsigned max_peer_connections; /* > 0; of one uid */
        unsigned least_user_requests;  /* one user may have that many open, even if it is more than a quarter */
        double read_deadline_s;        /* > 0; for a request's head, and for each few KiB of its body */
        double idle_deadline_s;        /* > 0; between requests, and for a client to read its answer */
        const char *spool_dir;         /* for bodies that do not fit into memory; NULL: those are refused */
        unsigned max_uploads;          /* spooled bodies at once; 0: no bound */
        uint64_t uploads_size;         /* bytes of all spooled bodies; 0: no bound */
        uint64_t least_user_upload;    /* one user may have that many bytes, even if it is more than a quarter */
        const struct spool_limit *spool_limits; /* route->spool_limit is an index of it; borrowed */
};

/* Borrows loop, options->spool_dir and options->spool_limits for the server's life; copies the rest. */
__attribute__((warn_unused_result)) int httpd_new(struct httpd **ret_httpd, struct ev_loop *loop,
                                                  const struct httpd_app *app, const struct httpd_options *options,
                                                  struct fault *why);
/* Stops listening. Every open request is answered (FAULT_CANCELLED) or cut. NULL is fine; returns NULL. */
struct httpd *httpd_free(struct httpd *httpd);

struct httpd_stats {
        unsigned connections;
        uint64_t spool_bytes, spool_bytes_max;
};

void httpd_stats(const struct httpd *httpd, struct httpd_stats *ret_stats);
