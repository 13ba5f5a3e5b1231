/* A WebSocket to carreld's API: the connection and the handshake; base/include/websocket.h does the rest. */
#pragma once

#include "api-client.h"
#include "str.h"

struct api_socket {
        int fd;
        char exec_id[72];    /* of the program at the other end */
        struct buffer early; /* bytes that came with the handshake */
};

/* Asks for path (with its query, escaped already) and waits until carreld has switched, for deadline_s at most, or
 * until a signal comes to interrupt_fd (or -1). 0, or a negative errno with *ret_error filled. Close fd and free early
 * when done. */
int api_socket_open(const char *socket_path, const char *path, double deadline_s, int interrupt_fd,
                    struct api_socket *ret_socket, struct api_error *ret_error);
