/* Sends raw bytes after the response's header. An engine that hijacks a connection (Docker's exec) reads stdin raw from
 * the socket. libcurl does not support that, so the bytes are written to the socket itself. Then the sending direction
 * is shut down, which is EOF for the program. */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

struct tail {
        struct ev_loop *loop;
        ev_io writer;
        int fd; /* a duplicate of libcurl's socket, so that each can be closed at any time; -1: not attached */
        char *bytes;
        size_t length;
        size_t sent;
        bool is_wanted;
};

/* Copies bytes. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int tail_init(struct tail *tail, struct ev_loop *loop, const void *bytes,
                                                  size_t length, bool is_wanted);
/* Duplicates the socket of the call's new connection. Returns 0 or a negative errno (fcntl(2)). */
__attribute__((warn_unused_result)) int tail_attach(struct tail *tail, int socket_fd);
/* Sends, now that the header has come. A peer that stops reading ends the sending, not the call. */
void tail_start(struct tail *tail);
/* May be called more than once. */
void tail_stop(struct tail *tail);
void tail_release(struct tail *tail);
