#include "plain-http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEADER_BYTES = PLAIN_HEADER_BYTES, REQUEST_BYTES = 4096 };

int plain_connect(const char *socket_path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd, error;

        if (strlen(socket_path) >= sizeof address.sun_path)
                return -ENAMETOOLONG;
        memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
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

/* Reads to the blank line. Bytes after it are in header at *ret_body_at. */
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
        int r = read_header(fd, header, &length, &body_at);

        if (r != 0)
                return r;
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

static int send_request(int fd, const char *method, const char *path, const char *headers, const char *body)
{
        char request[REQUEST_BYTES];
        int length = snprintf(request, sizeof request,
                              "%s %s HTTP/1.1\r\nHost: carrel\r\n%sContent-Type: application/json\r\n"
                              "Content-Length: %zu\r\n\r\n%s",
                              method, path, headers, body != NULL ? strlen(body) : 0, body != NULL ? body : "");

        if (length < 0 || (size_t)length >= sizeof request)
                return -EMSGSIZE;
        return send_all(fd, request, (size_t)length);
}

int plain_ask(int fd, const char *method, const char *path, const char *body, struct plain_answer *ret_answer)
{
        int r = send_request(fd, method, path, "", body);

        return r != 0 ? r : read_answer(fd, ret_answer);
}

/* ---- in pieces ---- */

int plain_begin(struct plain_stream *ret_stream, int fd, const char *method, const char *path, const char *headers,
                const char *body)
{
        struct plain_stream *stream = ret_stream;
        int r = send_request(fd, method, path, headers, body);
        long length;

        stream->fd = fd;
        stream->has_ended = 0;
        if (r == 0)
                r = read_header(fd, stream->header, &stream->length, &stream->at);
        if (r != 0)
                return r;
        if (sscanf(stream->header, "HTTP/1.1 %d", &stream->status) != 1)
                return -EPROTO;
        length = content_length(stream->header);
        stream->is_chunked = strcasestr(stream->header, "\r\ntransfer-encoding: chunked") != NULL;
        stream->left = length >= 0 ? (uint64_t)length : UINT64_MAX;
        if (stream->is_chunked)
                stream->left = 0;
        return 0;
}

/* Returns the bytes that came with the header first. */
static ssize_t take(struct plain_stream *stream, void *bytes, size_t size)
{
        size_t held = stream->length - stream->at;
        ssize_t got;

        if (held == 0) {
                got = recv(stream->fd, bytes, size, 0);
                return got < 0 ? -errno : got;
        }
        if (held > size)
                held = size;
        memcpy(bytes, stream->header + stream->at, held);
        stream->at += held;
        return (ssize_t)held;
}

/* "\r\n" of the chunk before it, and the size of this one. The line ends the same way whichever comes first. */
static int read_chunk_size(struct plain_stream *stream)
{
        char line[32] = "";
        size_t length = 0;
        ssize_t got = 0;

        while (length < sizeof line - 1 && (length < 3 || line[length - 1] != '\n')) {
                got = take(stream, line + length, 1);
                if (got <= 0)
                        return got < 0 ? (int)got : -EPROTO;
                length++;
                if (length == 2 && line[0] == '\r')
                        length = 0;
        }
        stream->left = strtoull(line, NULL, 16);
        stream->has_ended = stream->left == 0;
        if (stream->has_ended) /* no trailers: an empty line */
                got = take(stream, line, 2);
        return got < 0 ? (int)got : 0;
}

ssize_t plain_read(struct plain_stream *stream, void *bytes, size_t size)
{
        ssize_t got;
        int r = 0;

        if (stream->is_chunked && stream->left == 0 && !stream->has_ended)
                r = read_chunk_size(stream);
        if (r != 0)
                return r;
        if (stream->left == 0 || stream->has_ended)
                return 0;
        got = take(stream, bytes, size < stream->left ? size : (size_t)stream->left);
        if (got > 0 && stream->left != UINT64_MAX)
                stream->left -= (uint64_t)got;
        return got;
}
