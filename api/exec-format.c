#include "exec-format.h"

#include <string.h>

#include "answer.h"
#include "exec-answer.h"
#include "exec-feed.h"
#include "exec-frames.h"
#include "exec-lines.h"
#include "put.h"
#include "scope.h"
#include "stream.h"

/* ---- detached ---- */

const struct exec_format EXEC_DETACHED = { .name = 'd', .is_replayable = true };

/* ---- buffered ---- */

static void end_buffered(struct exec_feed *feed, const struct exec_result *result, const struct fault *why)
{
        if (result != NULL)
                answer_exec_result(feed->request, result, feed->follower.job);
        else
                answer_fault(feed->request, why);
}

const struct exec_format EXEC_BUFFERED = { .name = 'b', .is_replayable = true, .end = end_buffered };

/* ---- NDJSON ---- */

static int push_line(struct exec_feed *feed, const struct exec_event *event)
{
        struct stream *stream = feed->request->stream;

        if (event->kind == EXEC_EVENT_START)
                return stream_push(stream, exec_line_start(event->seq, feed->exec_id));
        return stream_push(stream, exec_line_output(event->seq, event->kind == EXEC_EVENT_OUTPUT ? 1 : 2, event->bytes,
                                                    event->length));
}

static void cut_lines(struct exec_feed *feed, const char *reason)
{
        (void)stream_push_last(feed->request->stream, exec_line_cut(feed->seq, reason));
}

/* Without a job, an unknown result is a stream without its "exit" line (docs/api.md). */
static void end_lines(struct exec_feed *feed, const struct exec_result *result, const struct fault *why)
{
        struct stream *stream = feed->request->stream;

        if (result != NULL)
                (void)stream_push_last(stream, exec_line_exit(feed->seq, result));
        else if (feed->follower.job != NULL)
                (void)stream_push_last(stream, exec_line_error(feed->seq, feed->exec_id, why));
}

const struct exec_format EXEC_NDJSON = {
        .content_type = ANSWER_NDJSON,
        .name = 's',
        .is_replayable = true,
        .is_text = true,
        .push = push_line,
        .cut = cut_lines,
        .end = end_lines,
};

/* ---- frames ---- */

static ssize_t pull_frame(void *arg, char *target, size_t size)
{
        struct exec_feed *feed = arg;
        int stream = 0;
        ssize_t n = 0;

        if (feed->exec != NULL)
                n = exec_read(feed->exec, &stream, target + EXEC_FRAME_HEAD_BYTES, size - EXEC_FRAME_HEAD_BYTES);
        if (n <= 0)
                return 0;
        exec_frame_head(target, (enum exec_frame_type)stream, (size_t)n);
        return n + EXEC_FRAME_HEAD_BYTES;
}

static void begin_frames(struct exec_feed *feed)
{
        stream_pull(feed->request->stream, pull_frame);
}

static int push_bytes(struct exec_feed *feed, enum exec_frame_type type, const void *bytes, size_t length)
{
        char head[EXEC_FRAME_HEAD_BYTES];
        int r;

        exec_frame_head(head, type, length);
        r = stream_push_bytes(feed->request->stream, head, sizeof head);
        return r < 0 ? r : stream_push_bytes(feed->request->stream, bytes, length);
}

static int push_frame(struct exec_feed *feed, const struct exec_event *event)
{
        if (event->kind == EXEC_EVENT_START)
                return 0;
        return push_bytes(feed, event->kind == EXEC_EVENT_OUTPUT ? EXEC_FRAME_OUTPUT : EXEC_FRAME_ERRORS, event->bytes,
                          event->length);
}

/* When out of memory, the stream ends without its report, so the client knows that it was cut. */
static void end_frames(struct exec_feed *feed, const struct exec_result *result, const struct fault *why)
{
        AUTO(auto_free)
        char *text = json_take(result != NULL ? exec_report_exit(result) : exec_report_error(feed->exec_id, why));

        if (text != NULL)
                (void)push_bytes(feed, EXEC_FRAME_REPORT, text, strlen(text));
}

const struct exec_format EXEC_FRAMES = {
        .content_type = EXEC_FRAMES_TYPE,
        .name = 's',
        .is_pulled = true,
        .begin = begin_frames,
        .push = push_frame,
        .end = end_frames,
};

/* ---- which one ---- */

const struct exec_format *exec_format_of(const struct request *request, bool is_detached)
{
        static const struct exec_format *const STREAMS[] = { &EXEC_FRAMES, &EXEC_NDJSON, NULL };
        const char *accept = request_header(request, "Accept");

        if (is_detached)
                return &EXEC_DETACHED;
        for (const struct exec_format *const *at = STREAMS; *at != NULL && accept != NULL; at++)
                if (strstr(accept, (*at)->content_type) != NULL)
                        return *at;
        return &EXEC_BUFFERED;
}
