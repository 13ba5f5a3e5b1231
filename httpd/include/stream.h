/* The body of an answer that is produced over time, mostly NDJSON: a bounded queue between a producer and a client that
 * reads at its own pace. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct json;
struct request;
struct stream;

enum {
        STREAM_HIGH_BYTES = 256 << 10, /* the producer should pause */
        STREAM_LOW_BYTES = 64 << 10,   /* and may go on */
        STREAM_PULL_LEAST_BYTES = 1 << 10
};

/* Pushes beyond limit_bytes fail. on_drained (may be NULL) is called when a queue that was full has fallen to
 * STREAM_LOW_BYTES, unless the stream has ended. The caller stores it in request->stream; the request frees it. */
__attribute__((warn_unused_result)) int stream_new(struct stream **ret_stream, struct request *request,
                                                   size_t limit_bytes, void (*on_drained)(void *arg), void *arg);
struct stream *stream_free(struct stream *stream);

/* Adds a line, and takes json (NULL: out of memory). 0, -ENOBUFS (over the limit; nothing was added) or -ENOMEM.
 * After stream_end nothing is added. */
int stream_push(struct stream *stream, struct json *json);
/* Adds bytes as they are; the body is not NDJSON then. The same errors. */
int stream_push_bytes(struct stream *stream, const void *bytes, size_t length);
/* stream_push without the limit, for a last line. */
int stream_push_last(struct stream *stream, struct json *json);
/* Bytes without a queue: while the queue is empty, pull writes to target itself. size is at least
 * STREAM_PULL_LEAST_BYTES. pull returns the number of bytes, or 0 when it has none now; then the producer calls
 * stream_wake when it has some. It may push to the stream and end it from inside. The body is not NDJSON then, and the
 * connection ends with it: chunks would be small and cost a copy. */
void stream_pull(struct stream *stream, ssize_t (*pull)(void *arg, char *target, size_t size));
/* make produces the text: it is called while the queue is empty, pushes the next piece, and ends the stream after the
 * last; it ignores target and size. release(arg) is called when the stream is freed. stream_stop cuts the connection,
 * so that the client does not mistake a part for the whole. */
void stream_make(struct stream *stream, ssize_t (*make)(void *arg, char *target, size_t size),
                 void (*release)(void *arg));
/* Ends a stream early, because the server stops. */
void stream_stop(struct stream *stream);
/* pull has bytes again. */
void stream_wake(struct stream *stream);
/* No more lines. The answer ends when the client has read what is queued, within the deadline of any answer. */
void stream_end(struct stream *stream);
/* The same, but the connection is cut then, so that the client does not mistake a part for the whole. */
void stream_break(struct stream *stream);
bool stream_has_ended(const struct stream *stream);
/* stream_make was called: the client must read within the deadline of any answer all the time. */
bool stream_is_answer(const struct stream *stream);
bool stream_is_full(const struct stream *stream);
