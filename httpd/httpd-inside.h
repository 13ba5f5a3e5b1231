/* What the files of this room share: the server, its connections and its requests. */
#pragma once

#include <ev.h>
#include <microhttpd.h>
#include <stdbool.h>

#include "list.h"
#include "pool.h"
#include "seats.h"
#include "server.h"
#include "spool.h"
#include "str.h"

struct connection;
struct peers;
struct request;
struct route;
struct stream;

enum {
        API_BODY_MAX_BYTES = 1 << 20,
        API_DRAIN_MAX_BYTES = 8 << 20, /* of a body too large, so that a plain client gets to read its 413 */
        API_PROGRESS_BYTES = 4 << 10,  /* of a body: so many more earn read_deadline_s anew */
        API_HEADER_MAX_BYTES = 16 << 10,
        API_SCRATCH_BYTES = 256 << 10,
        API_CONNECTION_MEMORY_BYTES = 48 << 10 /* of libmicrohttpd; headers between the two get our own 431 */
};

struct api_server {
        struct ev_loop *loop;
        struct pool *pool;
        struct reaper *reaper;
        struct metrics *metrics;
        struct api_info info;
        struct api_options options;
        struct MHD_Daemon *http;
        struct peers *peers;
        struct seats seats;
        ev_io readable;   /* of libmicrohttpd's epoll descriptor */
        ev_timer again;   /* it has more to do than one turn */
        bool is_stopping; /* nothing is begun any more */
        struct spool_quota spools;
        struct share user_requests; /* connections that do something for a user */
        struct sharers users;
        char *scratch; /* API_SCRATCH_BYTES, for what is over before its user returns */
        struct list requests;
        struct list subscribers; /* events.c */
        unsigned n_subscribers;
};

/* libmicrohttpd gets a turn soon. On an external loop it has no wake-up of its own for a resumed connection, and
 * MHD_get_timeout of 0.9.75 does not count one. */
void server_wake(struct api_server *server);
