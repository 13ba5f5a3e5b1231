#include "bench-streams.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 18, TAIL_BYTES = 512, CHANNEL_STATUS = 3, TYPE_REPORT = 3 };

#define IS_MULTIPLEXED "Accept: application/vnd.docker.multiplexed-stream\r\n"
#define IS_NDJSON "Accept: application/x-ndjson\r\n"
#define IS_WEBSOCKET                                                                                                   \
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                                   \
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n"

/* The state of a stream: it counts whole messages and skips their bytes in place. */
struct reader {
        struct plain_stream stream;
        char bytes[READ_BYTES];
        size_t length, at;
        double counted;
        bool has_report;
};

static int read_more(struct reader *reader)
{
        ssize_t got;

        memmove(reader->bytes, reader->bytes + reader->at, reader->length - reader->at);
        reader->length -= reader->at;
        reader->at = 0;
        got = plain_read(&reader->stream, reader->bytes + reader->length, sizeof reader->bytes - reader->length);
        if (got > 0)
                reader->length += (size_t)got;
        return got < 0 ? (int)got : got == 0;
}

/* length bytes are in front of us. 0, 1: the stream has ended; or a negative errno. */
static int need(struct reader *reader, size_t length)
{
        int r = 0;

        while (r == 0 && reader->length - reader->at < length)
                r = read_more(reader);
        return r;
}

static int skip(struct reader *reader, size_t length)
{
        while (length > 0) {
                size_t held = reader->length - reader->at;
                int r = held == 0 ? read_more(reader) : 0;

                if (r != 0)
                        return -EPROTO;
                held = held < length ? held : length;
                reader->at += held;
                length -= held;
        }
        return 0;
}

/* ---- the ways ---- */

static int read_ndjson(struct reader *reader)
{
        char tail[2 * TAIL_BYTES + 1] = "";
        size_t length = 0;
        int r;

        while ((r = read_more(reader)) == 0) {
                size_t kept = reader->length < TAIL_BYTES ? reader->length : TAIL_BYTES;

                if (length > TAIL_BYTES) {
                        memmove(tail, tail + length - TAIL_BYTES, TAIL_BYTES);
                        length = TAIL_BYTES;
                }
                memcpy(tail + length, reader->bytes + reader->length - kept, kept);
                length += kept;
                reader->counted += (double)reader->length;
                reader->at = reader->length;
        }
        tail[length] = '\0';
        reader->has_report = strstr(tail, "\"event\":\"exit\"") != NULL;
        return r < 0 ? r : 0;
}

static int read_multiplexed(struct reader *reader)
{
        int r;

        while ((r = need(reader, 8)) == 0) {
                const unsigned char *head = (const unsigned char *)reader->bytes + reader->at;
                size_t length = (size_t)head[4] << 24 | (size_t)head[5] << 16 | (size_t)head[6] << 8 | head[7];

                reader->at += 8;
                if (head[0] == TYPE_REPORT)
                        reader->has_report = true;
                else
                        reader->counted += (double)length;
                r = skip(reader, length);
                if (r != 0)
                        return r;
        }
        return r < 0 ? r : 0;
}

/* RFC 6455, section 5.2: a server's frames have no mask. */
static int read_websocket(struct reader *reader)
{
        while (!reader->has_report) {
                const unsigned char *head;
                size_t length, more;

                if (need(reader, 10) != 0)
                        return -EPROTO;
                head = (const unsigned char *)reader->bytes + reader->at;
                length = head[1];
                more = length == 127 ? 8 : length == 126 ? 2 : 0;
                if (more > 0)
                        length = 0;
                for (size_t i = 0; i < more; i++)
                        length = length << 8 | head[2 + i];
                if ((head[0] & 15) <= 2) { /* a message, not a ping */
                        reader->has_report = head[2 + more] == CHANNEL_STATUS;
                        reader->counted += reader->has_report ? 0 : (double)(length - 1);
                }
                reader->at += 2 + more;
                if (skip(reader, length) != 0)
                        return -EPROTO;
        }
        return 0;
}

static int read_whole(struct bench *bench, const char *method, const char *path, const char *headers, const char *body,
                      int (*read)(struct reader *reader), double bytes)
{
        struct reader *reader = calloc(1, sizeof *reader);
        int fd = plain_connect(bench->socket_path);
        int r = reader == NULL ? -ENOMEM : fd < 0 ? fd : 0;

        if (r == 0)
                r = plain_begin(&reader->stream, fd, method, path, headers, body);
        if (r == 0 && reader->stream.status != 101 && reader->stream.status != 200)
                r = -EPROTO;
        if (r == 0)
                r = read(reader);
        if (r == 0 && (!reader->has_report || reader->counted < bytes))
                r = -EPROTO;
        if (fd >= 0)
                close(fd);
        free(reader);
        return r;
}

int stream_ndjson(struct bench *bench, const char *path, const char *body, double bytes)
{
        return read_whole(bench, "POST", path, IS_NDJSON, body, read_ndjson, bytes);
}

int stream_multiplexed(struct bench *bench, const char *path, const char *body, double bytes)
{
        return read_whole(bench, "POST", path, IS_MULTIPLEXED, body, read_multiplexed, bytes);
}

int stream_websocket(struct bench *bench, const char *path, double bytes)
{
        return read_whole(bench, "GET", path, IS_WEBSOCKET, NULL, read_websocket, bytes);
}
