#include "plain-http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEADER_BYTES = 8192, REQUEST_BYTES = 4096 };

int plain_connect(const char *socket_path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd, error;

        if (strlen(socket_path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
                return fd;
        error = -errno;
        close(fd);
        return error;
}

static int send_all(int fd, const char *bytes, size_t length)
{
        while (length > 0) {
                ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

                if (sent < 0)
                        return -errno;
                bytes += sent;
                length -= (size_t)sent;
        }
        return 0;
}

/* Reads until the blank line; what came behind it stays in header at *ret_body_at. */
static int read_header(int fd, char header[static HEADER_BYTES], size_t *ret_length, size_t *ret_body_at)
{
        size_t length = 0;

        for (;;) {
                ssize_t got = recv(fd, header + length, HEADER_BYTES - 1 - length, 0);
                const char *blank;

                if (got <= 0)
                        return got < 0 ? -errno : -EPROTO;
                length += (size_t)got;
                header[length] = '\0';
                blank = strstr(header, "\r\n\r\n");
                if (blank != NULL) {
                        *ret_length = length;
                        *ret_body_at = (size_t)(blank - header) + 4;
                        return 0;
                }
                if (length == HEADER_BYTES - 1)
                        return -EMSGSIZE;
        }
}

static long content_length(const char *header)
{
        const char *line = strcasestr(header, "\r\ncontent-length:");

        return line != NULL ? strtol(line + sizeof("\r\ncontent-length:") - 1, NULL, 10) : -1;
}

static int read_answer(int fd, struct plain_answer *answer)
{
        char header[HEADER_BYTES];
        size_t length = 0, body_at = 0;
        long body_length;
        int error = read_header(fd, header, &length, &body_at);

        if (error != 0)
                return error;
        if (sscanf(header, "HTTP/1.1 %d", &answer->status) != 1)
                return -EPROTO;
        body_length = answer->status == 204 ? 0 : content_length(header); /* 204 has no body and no length */
        if (body_length < 0)
                return -EPROTO;
        if (body_length >= PLAIN_BODY_BYTES || length - body_at > (size_t)body_length)
                return -EMSGSIZE;
        memcpy(answer->body, header + body_at, length - body_at);
        answer->body_length = length - body_at;
        while (answer->body_length < (size_t)body_length) {
                ssize_t got =
                        recv(fd, answer->body + answer->body_length, (size_t)body_length - answer->body_length, 0);

                if (got <= 0)
                        return got < 0 ? -errno : -EPROTO;
                answer->body_length += (size_t)got;
        }
        answer->body[answer->body_length] = '\0';
        return 0;
}

int plain_ask(int fd, const char *method, const char *path, const char *body, struct plain_answer *ret_answer)
{
        char request[REQUEST_BYTES];
        int length = snprintf(request, sizeof(request),
                              "%s %s HTTP/1.1\r\nHost: carrel\r\nContent-Type: application/json\r\n"
                              "Content-Length: %zu\r\n\r\n%s",
                              method, path, body != NULL ? strlen(body) : 0, body != NULL ? body : "");
        int error;

        if (length < 0 || (size_t)length >= sizeof(request))
                return -EMSGSIZE;
        error = send_all(fd, request, (size_t)length);
        return error != 0 ? error : read_answer(fd, ret_answer);
}
