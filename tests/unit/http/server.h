/* A scripted HTTP server on a unix socket and on the test's own loop: it takes a request, says what the script says in
 * pieces of the script's size, and notes what it was sent. */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "list.h"
#include "str.h"

struct script {
        const char *answer; /* NULL: says nothing */
        size_t repeat;      /* `answer` is followed by this many 'x' */
        size_t piece_bytes; /* of one turn of the loop; 0: as much as the socket takes */
        bool keeps_open;    /* after the answer; else the connection is closed */
        bool expects_more;  /* after the request come bytes until the end: say the answer, read them, then say again */
};

struct server {
        struct ev_loop *loop;
        char path[64];
        ev_io listener;
        struct list connections;
        struct script script; /* of every request, unless choose is set */
        struct script (*choose)(void *arg, const char *request);
        void *choose_arg;
        unsigned accepted;
        struct buffer request;       /* the last whole request, header and body */
        struct buffer more;          /* what came after it */
        bool has_more_before_answer; /* some of it before the answer was said */
        bool has_seen_end;           /* of the sending direction */
};

void server_init(struct server *server, struct ev_loop *loop);
void server_release(struct server *server);
