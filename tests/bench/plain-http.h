/* The least HTTP/1.1 that measures a server and not its client: one blocking unix socket, one request at a time. */
#pragma once

#include <stddef.h>

enum { PLAIN_BODY_BYTES = 65536 };

struct plain_answer {
        int status;
        size_t body_length;
        char body[PLAIN_BODY_BYTES]; /* NUL-terminated */
};

/* A connected socket, or a negative errno. */
int plain_connect(const char *socket_path);
/* Sends and reads the whole answer (Content-Length only). body may be NULL. 0, -EPROTO, -EMSGSIZE or an errno. */
int plain_ask(int fd, const char *method, const char *path, const char *body, struct plain_answer *ret_answer);
