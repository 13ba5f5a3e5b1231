/* A server that answers every request with the same bytes: the least that an answer over a unix socket costs. It is a
 * child process with one thread, one epoll descriptor, and two system calls a request. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct bare_server {
        pid_t pid;
        char path[64]; /* of its socket */
};

/* Every request has request_bytes. answer is copied. 0 or a negative errno; then there is nothing to stop. */
int bare_server_start(struct bare_server *ret_server, size_t request_bytes, const void *answer, size_t answer_bytes);
void bare_server_stop(struct bare_server *server);
