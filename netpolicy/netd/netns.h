/* A rtnetlink socket inside another network namespace, without staying there. */
#pragma once

#include "fault.h"

struct nl_sock;

/* Enters the namespace (setns(2)), connects a socket there (a socket belongs for ever to the namespace it was made
 * in), turns IPv6 off and low ports and ping sockets on in it, and returns home. Cannot return anywhere but home: it
 * aborts the process instead, because everything after would touch the wrong network. Single-threaded processes only.
 * 0, or a negative errno with why. Free with nl_socket_free. */
__attribute__((warn_unused_result)) int netns_connect(int netns_fd, struct nl_sock **ret_socket, struct fault *why);
