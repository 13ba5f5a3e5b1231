/* Inside the http room only: what follows a request once its response's header has come. An engine that takes a
 * connection over (Docker's exec) reads its standard input raw from the socket; libcurl has no word for that, so the
 * bytes are written to the socket itself, and then its sending direction is shut down: the program's EOF. */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

struct tail {
        struct ev_loop *loop;
        ev_io writer;
        int fd; /* a duplicate of libcurl's socket, so that neither side depends on when the other closes; -1: none */
        char *bytes;
        size_t length;
        size_t sent;
        bool is_wanted;
};

/* Copies bytes. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int tail_init(struct tail *tail, struct ev_loop *loop, const void *bytes,
                                                  size_t length, bool is_wanted);
/* The call's connection is about to be opened on this socket. Returns 0 or a negative errno (fcntl(2)). */
__attribute__((warn_unused_result)) int tail_attach(struct tail *tail, int socket_fd);
/* The header has come: send. A peer that does not read any more ends the sending, not the call. */
void tail_start(struct tail *tail);
/* May be called more than once. */
void tail_stop(struct tail *tail);
void tail_release(struct tail *tail);
