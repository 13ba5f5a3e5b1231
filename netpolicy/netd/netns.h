/* Opens an rtnetlink socket inside another network namespace and returns. */
#pragma once

#include "fault.h"

struct nl_sock;

/* Enters the namespace (setns(2)), connects a socket there (a socket stays in the namespace where it was made),
 * disables IPv6, allows low ports and ping sockets, and returns to the host's namespace. Aborts the process if it
 * cannot return, because every later call would change the wrong network. For single-threaded processes only. 0, or a
 * negative errno with why. Free with nl_socket_free. */
__attribute__((warn_unused_result)) int netns_connect(int netns_fd, struct nl_sock **ret_socket, struct fault *why);
