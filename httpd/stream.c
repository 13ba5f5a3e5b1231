#include "stream.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exchange.h"
#include "put.h"
#include "scope.h"

/* The buffer of libmicrohttpd for a body without chunks. With chunks libmicrohttpd chooses the size of each. */
enum { READ_BLOCK_BYTES = 64 << 10, PULL_BLOCK_BYTES = CONNECTION_WIDE_BYTES };

struct stream {
        struct exchange *exchange;
        struct buffer queue;
        size_t read; /* bytes of the queue that the client has */
        size_t limit_bytes;
        bool is_full;
        bool has_ended;
        bool is_broken;
        void (*on_drained)(void *arg);
        ssize_t (*pull)(void *arg, char *target, size_t size);
        bool is_raw; /* pulled bytes go to the socket without chunks */
        void (*release)(void *arg);
        void *arg;
};

int stream_new(struct stream **ret_stream, struct request *request, size_t limit_bytes, void (*on_drained)(void *arg),
               void *arg)
{
        struct stream *stream = calloc(1, sizeof *stream);

        if (stream == NULL)
                return -ENOMEM;
        *stream = (struct stream){
                .exchange = exchange_of(request),
                .limit_bytes = limit_bytes,
                .on_drained = on_drained,
                .arg = arg,
        };
        *ret_stream = stream;
        return 0;
}

struct stream *stream_free(struct stream *stream)
{
        if (stream != NULL && stream->release != NULL)
                stream->release(stream->arg);
        if (stream != NULL)
                buffer_free(&stream->queue);
        free(stream);
        return NULL;
}

static size_t queued_bytes(const struct stream *stream)
{
        return stream->queue.length - stream->read;
}

/* Moves the rest to the front only after at least as many bytes have been read: constant time for a byte. */
static void compact(struct stream *stream)
{
        if (stream->read == 0 || stream->read < queued_bytes(stream))
                return;
        buffer_consume(&stream->queue, stream->read);
        stream->read = 0;
}

static int append(struct stream *stream, const void *bytes, size_t length, size_t limit_bytes)
{
        if (stream->has_ended)
                return 0;
        if (queued_bytes(stream) + length > limit_bytes)
                return -ENOBUFS;
        compact(stream);
        if (buffer_append(&stream->queue, bytes, length) < 0)
                return -ENOMEM;
        if (queued_bytes(stream) >= STREAM_HIGH_BYTES)
                stream->is_full = true;
        exchange_resume(stream->exchange);
        return 0;
}

static int push(struct stream *stream, struct json *json, size_t limit_bytes)
{
        AUTO(auto_free) char *line = json_take(json);
        size_t length = line == NULL ? 0 : strlen(line);

        if (line == NULL)
                return -ENOMEM;
        line[length] = '\n';
        return append(stream, line, length + 1, limit_bytes);
}

int stream_push(struct stream *stream, struct json *json)
{
        return push(stream, json, stream->limit_bytes);
}

int stream_push_bytes(struct stream *stream, const void *bytes, size_t length)
{
        return append(stream, bytes, length, stream->limit_bytes);
}

int stream_push_last(struct stream *stream, struct json *json)
{
        return push(stream, json, SIZE_MAX);
}

void stream_end(struct stream *stream)
{
        stream->has_ended = true;
        if (stream->exchange->state == EXCHANGE_SENDING)
                connection_enter(stream->exchange->connection, CONNECTION_WRITING);
        exchange_resume(stream->exchange);
}

void stream_break(struct stream *stream)
{
        stream->is_broken = true;
        stream_end(stream);
}

bool stream_has_ended(const struct stream *stream)
{
        return stream->has_ended;
}

bool stream_is_full(const struct stream *stream)
{
        return stream->is_full;
}

void stream_pull(struct stream *stream, ssize_t (*pull)(void *arg, char *target, size_t size))
{
        stream->pull = pull;
        stream->is_raw = true;
}

void stream_make(struct stream *stream, ssize_t (*make)(void *arg, char *target, size_t size),
                 void (*release)(void *arg))
{
        stream->pull = make;
        stream->release = release;
}

void stream_stop(struct stream *stream)
{
        if (stream->release != NULL && !stream->has_ended)
                stream_break(stream);
        else
                stream_end(stream);
}

bool stream_is_answer(const struct stream *stream)
{
        return stream->release != NULL;
}

void stream_wake(struct stream *stream)
{
        exchange_resume(stream->exchange);
}

static size_t take_queued(struct stream *stream, char *target, size_t size)
{
        size_t n = queued_bytes(stream) < size ? queued_bytes(stream) : size;

        if (n == 0)
                return 0;
        memcpy(target, stream->queue.data + stream->read, n);
        stream->read += n;
        if (!stream->is_full || stream->has_ended || queued_bytes(stream) > STREAM_LOW_BYTES)
                return n;
        stream->is_full = false;
        if (stream->on_drained != NULL)
                stream->on_drained(stream->arg);
        return n;
}

/* Queued bytes come first, because they are older. A pull may have queued the last bytes. */
static ssize_t take(struct stream *stream, char *target, size_t size)
{
        ssize_t n = (ssize_t)take_queued(stream, target, size);

        if (n == 0 && !stream->has_ended && stream->pull != NULL &&
            (size >= STREAM_PULL_LEAST_BYTES || !stream->is_raw))
                n = stream->pull(stream->arg, target, size);
        return n != 0 ? n : (ssize_t)take_queued(stream, target, size);
}

static ssize_t on_read(void *arg, uint64_t position, char *target, size_t size)
{
        struct stream *stream = arg;
        ssize_t n;

        (void)position;
        if (stream->exchange->is_gone)
                return MHD_CONTENT_READER_END_WITH_ERROR;
        n = take(stream, target, size);
        if (n == 0 && stream->has_ended)
                return stream->is_broken ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
        if (n == 0) {
                exchange_suspend(stream->exchange);
                return 0;
        }
        return n;
}

struct MHD_Response *stream_response(struct stream *stream, int64_t size)
{
        size_t block = stream->is_raw ? PULL_BLOCK_BYTES : READ_BLOCK_BYTES;
        struct MHD_Response *response = MHD_create_response_from_callback(size < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)size,
                                                                          block, on_read, stream, NULL);

        if (stream->is_raw)
                connection_widen(stream->exchange->connection);
        if (response != NULL && stream->is_raw)
                (void)MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
        return response;
}
