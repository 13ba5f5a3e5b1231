/* One accepted connection: whose it is, and the deadline of what it does now. Made and freed by libmicrohttpd's
 * connection notifications. */
#pragma once

#include <stdbool.h>

#include "fault.h"
#include "httpd-inside.h"

struct exchange;

enum connection_phase {
        CONNECTION_IDLE,    /* between requests: idle_deadline_s */
        CONNECTION_READING, /* from a request's first byte to its last: read_deadline_s, however busily it trickles */
        CONNECTION_WORKING, /* the pool has its own deadlines, and a stream has none until it has ended */
        CONNECTION_WRITING  /* the client must take its answer: idle_deadline_s */
};

struct connection {
        struct httpd *httpd;
        struct exchange *exchange; /* the one in progress, or NULL; not owned */
        int fd;                    /* libmicrohttpd's */
        bool is_cut;               /* by connection_cut: what still comes is no request */
        bool is_admin;
        struct sharer *user; /* that it is counted for, or NULL */
        struct seat seat;    /* without one it is about to be closed */
        enum connection_phase phase;
        ev_timer deadline;
        char *target;           /* of the request line, as it came; NULL before the first request */
        const char *target_end; /* of the same in libmicrohttpd's memory, where the rest of the head lies: head.h */
};

/* NULL when out of memory or descriptors. One without a seat gets an error, and is cut. */
struct connection *connection_new(struct httpd *httpd, int fd);
struct connection *connection_free(struct connection *connection);

/* Counts it for the user until connection_vacate: what is done for one user must leave connections to the others.
 * FAULT_QUEUE_FULL: he has his part. */
__attribute__((warn_unused_result)) int connection_occupy(struct connection *connection, const char *user,
                                                          struct fault *why);
/* Idempotent. */
void connection_vacate(struct connection *connection);

void connection_enter(struct connection *connection, enum connection_phase phase);

/* For long answers: the socket takes CONNECTION_WIDE_BYTES at once, so that its reader is woken less often. */
enum { CONNECTION_WIDE_BYTES = 256 << 10 };
void connection_widen(struct connection *connection);

/* Ends the connection from outside of libmicrohttpd, which cannot answer a request it has not read yet. why, unless
 * NULL, is written first; only for a connection that has no answer under way. */
void connection_cut(struct connection *connection, unsigned status, const struct fault *why);
