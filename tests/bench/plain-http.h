/* A minimal HTTP/1.1 client, so that the server is measured and not the client: one blocking unix socket, and one
 * request at a time. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PLAIN_BODY_BYTES = 65536, PLAIN_HEADER_BYTES = 8192 };

struct plain_answer {
        int status;
        size_t body_length;
        char body[PLAIN_BODY_BYTES]; /* NUL-terminated */
};

/* A connected socket, or a negative errno. */
int plain_connect(const char *socket_path);
/* Sends and reads the whole answer (Content-Length only). body may be NULL. 0, -EPROTO, -EMSGSIZE or an errno. */
int plain_ask(int fd, const char *method, const char *path, const char *body, struct plain_answer *ret_answer);

/* An answer that is read in pieces, however long it is. */
struct plain_stream {
        int fd;
        int status;
        uint64_t left; /* of the body, or of the chunk; UINT64_MAX: until the server closes */
        int is_chunked, has_ended;
        char header[PLAIN_HEADER_BYTES]; /* and the bytes that came after it */
        size_t length, at;
};

/* Sends a request and reads the header of the answer. headers: whole lines, or "". */
int plain_begin(struct plain_stream *ret_stream, int fd, const char *method, const char *path, const char *headers,
                const char *body);
/* The next bytes of the body, or of what follows a 101. 0: its end; or a negative errno. */
ssize_t plain_read(struct plain_stream *stream, void *bytes, size_t size);
