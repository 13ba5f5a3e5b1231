/* The body of an answer that comes in pieces, NDJSON most of all: a bounded queue between a producer and a client that
 * reads at its own pace. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct cJSON;
struct request;
struct stream;

enum {
        STREAM_HIGH_BYTES = 256 << 10, /* the producer should pause */
        STREAM_LOW_BYTES = 64 << 10,   /* and may go on */
        STREAM_PULL_LEAST_BYTES = 1 << 10
};

/* Pushes beyond limit_bytes fail. on_drained (may be NULL) is called when a queue that was full has fallen to
 * STREAM_LOW_BYTES, unless the stream has ended. Belongs to request, which is woken and put to rest as needed. */
__attribute__((warn_unused_result)) int stream_new(struct stream **ret_stream, struct request *request,
                                                   size_t limit_bytes, void (*on_drained)(void *arg), void *arg);
struct stream *stream_free(struct stream *stream);

/* Adds a line, and frees tree (NULL: out of memory). 0, -ENOBUFS (over the limit; nothing was added) or -ENOMEM.
 * After stream_end nothing is added. */
int stream_push(struct stream *stream, struct cJSON *tree);
/* Bytes as they are; the body is then no NDJSON. */
int stream_push_bytes(struct stream *stream, const void *bytes, size_t length);
/* The same beyond the limit, for a last word. */
int stream_push_last(struct stream *stream, struct cJSON *tree);
/* Bytes that need no queue: while it is empty, pull fills target itself, at most size bytes, at least
 * STREAM_PULL_LEAST_BYTES. 0: nothing now, and stream_wake announces more; it may push and end the stream from
 * inside. NULL: no more. The body is then no NDJSON, and the connection ends with it: chunks would be small and cost a
 * copy. */
void stream_pull(struct stream *stream, ssize_t (*pull)(void *arg, char *target, size_t size));
/* The text is made by make, which is called while the queue is empty, pushes the next of it and ends the stream after
 * the last; target and size are of no use to it. release(arg) is called with the stream's end. A client that does not
 * get all of it must not take it for complete: stream_stop cuts. */
void stream_make(struct stream *stream, ssize_t (*make)(void *arg, char *target, size_t size),
                 void (*release)(void *arg));
/* Ends a stream that has not come to its end. */
void stream_stop(struct stream *stream);
/* Something can be pulled. */
void stream_wake(struct stream *stream);
/* No more lines; the answer ends when the client has read what is there, for which it has the deadline of any answer.
 */
void stream_end(struct stream *stream);
/* The same, but the connection is cut then, so that the client does not take what it has for the whole. */
void stream_break(struct stream *stream);
bool stream_has_ended(const struct stream *stream);
/* The client has the deadline of any answer while it reads. */
bool stream_is_answer(const struct stream *stream);
bool stream_is_full(const struct stream *stream);
