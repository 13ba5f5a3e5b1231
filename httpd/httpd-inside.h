/* The server, for the files of this folder. */
#pragma once

#include <ev.h>
#include <microhttpd.h>
#include <stdbool.h>

#include "httpd.h"
#include "list.h"
#include "seats.h"
#include "share.h"
#include "spool-quota.h"

struct peers;

enum {
        DRAIN_MAX_BYTES = 8 << 20, /* of an oversized body, so that a simple client gets to read its 413 */
        PROGRESS_BYTES = 4 << 10,  /* of a body: with each of them read_deadline_s starts again */
        HEADER_MAX_BYTES = 16 << 10,
        /* Memory of libmicrohttpd. It answers 431 itself above it; between HEADER_MAX_BYTES and this we do.
         * libmicrohttpd clears all of it for each request, and above 32 KiB maps it for each connection. */
        CONNECTION_MEMORY_BYTES = 32 << 10
};

struct httpd {
        struct ev_loop *loop;
        struct httpd_app app;
        struct httpd_options options;
        struct MHD_Daemon *http;
        struct peers *peers;
        struct seats seats;
        ev_io readable; /* libmicrohttpd's epoll descriptor */
        ev_timer next_turn;
        bool is_stopping; /* no handler is called any more */
        struct spool_quota spools;
        struct share user_requests; /* connections that work for a user */
        struct sharers users;
        struct list exchanges;
};

/* Gives libmicrohttpd a turn soon. On an external loop nothing wakes it for a resumed connection, and MHD_get_timeout
 * of 0.9.75 does not count one. */
void httpd_wake(struct httpd *httpd);
