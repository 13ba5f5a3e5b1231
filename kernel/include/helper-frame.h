/* The messages between carreld and one of its helper processes: a head and a body of fixed layout, over a
 * SOCK_SEQPACKET socketpair (unix(7): the kernel keeps the boundaries, and neither loses nor reorders messages). Both
 * ends use this. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        HELPER_FD = 3, /* the helper's end of the socketpair */
        HELPER_MESSAGE_MAX = 4096,
};

/* The first member of every message. */
struct helper_head {
        uint32_t magic;   /* one for each helper program */
        uint16_t version; /* guards against two ends from different builds */
        uint16_t verb;
        uint64_t number; /* of a request; its reply has the same. 0: a report that no request asked for */
};

/* Room for any message that may arrive. */
struct helper_message {
        union {
                struct helper_head head;
                _Alignas(16) unsigned char bytes[HELPER_MESSAGE_MAX];
        };
};

/* Whether a message is long enough for a head, and has this magic and version. */
bool helper_is_head(const struct helper_head *head, size_t length, uint32_t magic, uint16_t version);

/* Neither call waits.
 * receive: 1 with a message; 0: the other end has closed; -EAGAIN: there is no message; -EMSGSIZE: it was longer than
 * HELPER_MESSAGE_MAX and is lost; else a negative errno.
 * send: 0; -EAGAIN: the socket is full and nothing was sent; else a negative errno. */
int helper_receive(int fd, struct helper_message *ret_message, size_t *ret_length);
int helper_send(int fd, const void *message, size_t length);

/* For main of a helper program: the socket that carreld names as the only argument. 0 or -EINVAL. */
int helper_find_socket(int argc, char **argv, int *ret_fd);
