/* One accepted connection: its peer, and the deadline of its current phase. Made and freed in libmicrohttpd's
 * connection notifications. */
#pragma once

#include <stdbool.h>

#include "fault.h"
#include "httpd-inside.h"

struct exchange;

enum connection_phase {
        CONNECTION_IDLE,    /* between requests: idle_deadline_s */
        CONNECTION_READING, /* from a request's first byte to its last: read_deadline_s, again after each PROGRESS_BYTES
                             */
        CONNECTION_WORKING, /* no deadline: the handler has its own, and a stream has none until it has ended */
        CONNECTION_WRITING  /* the client must read its answer: idle_deadline_s */
};

struct connection {
        struct httpd *httpd;
        struct exchange *exchange; /* the one in progress, or NULL; not owned */
        int fd;                    /* libmicrohttpd's */
        bool is_cut;               /* by connection_cut: later bytes are not a request */
        bool is_admin;
        bool has_missed;     /* the peer sent bytes or left, and the phase did not ask for it */
        struct sharer *user; /* for whom it counts, or NULL */
        struct seat seat;    /* a connection without a seat is about to be closed */
        enum connection_phase phase;
        ev_timer deadline;
        char *target;           /* of the request line, as received; NULL before the first request */
        const char *target_end; /* of the same in libmicrohttpd's memory, for seam.h */
};

/* NULL when out of memory or descriptors. If there is no seat, the peer gets the reason and the connection is cut. */
struct connection *connection_new(struct httpd *httpd, int fd);
struct connection *connection_free(struct connection *connection);

/* Counts it for the user until connection_vacate, so that one user cannot take all connections. FAULT_QUEUE_FULL: the
 * user has the most that one user may have. */
__attribute__((warn_unused_result)) int connection_occupy(struct connection *connection, const char *user,
                                                          struct fault *why);
/* Idempotent. */
void connection_vacate(struct connection *connection);

void connection_enter(struct connection *connection, enum connection_phase phase);

/* Has an event that came too early reported in the next turn of the loop. */
void connection_await_peer(struct connection *connection);

/* For long answers: enlarges the socket's send buffer, so that its reader is woken less often. */
enum { CONNECTION_WIDE_BYTES = 256 << 10 };
void connection_widen(struct connection *connection);

/* Closes the connection without libmicrohttpd, which cannot answer a request before it has read it. Unless why is NULL,
 * it is sent first; then no answer may be in progress. */
void connection_cut(struct connection *connection, unsigned status, const struct fault *why);
