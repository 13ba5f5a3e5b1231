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
        HELPER_FDS_MAX = 4, /* descriptors of one message */
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

/* The descriptors that came with a message (SCM_RIGHTS, unix(7)), close-on-exec. The receiver owns them. */
struct helper_fds {
        int fds[HELPER_FDS_MAX];
        size_t n;
};

/* Closes all of them. Those at -1 were taken. For AUTO, too. */
void helper_fds_close(struct helper_fds *fds);

/* Whether a message is long enough for a head, and has this magic and version. */
bool helper_is_head(const struct helper_head *head, size_t length, uint32_t magic, uint16_t version);

/* Neither call waits.
 * receive: 1 with a message; 0: the other end has closed; -EAGAIN: there is no message; -EMSGSIZE: it was longer than
 * HELPER_MESSAGE_MAX and is lost; -EBADMSG: it came with descriptors, or with more than HELPER_FDS_MAX, or the process
 * may open no more, and it is lost with all of them; else a negative errno.
 * send: 0; -EAGAIN: the socket is full and nothing was sent; else a negative errno. */
int helper_receive(int fd, struct helper_message *ret_message, size_t *ret_length);
int helper_send(int fd, const void *message, size_t length);

/* The same with descriptors. The caller of receive checks their number. Those that send gets stay the caller's, who may
 * close them at once: the message has references of its own. */
int helper_receive_fds(int fd, struct helper_message *ret_message, size_t *ret_length, struct helper_fds *ret_fds);
int helper_send_fds(int fd, const void *message, size_t length, const int *fds, size_t n_fds);

/* For main of a helper program: the socket that carreld names as the only argument. 0 or -EINVAL. */
int helper_find_socket(int argc, char **argv, int *ret_fd);
