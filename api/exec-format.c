#include "exec-format.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

#include "answer.h"
#include "exec-frames.h"
#include "exec-lines.h"
#include "scope.h"
#include "stream.h"

/* ---- NDJSON ---- */

static int begin_lines(struct exec_work *work, const char *exec_id)
{
        return stream_push(work->request->stream, exec_line_start(work->seq++, exec_id));
}

struct piece {
        struct exec_work *work;
        int stream;
};

static int push_line(void *arg, const char *bytes, size_t length)
{
        const struct piece *piece = arg;
        struct exec_work *work = piece->work;
        AUTO(auto_free) char *data = NULL;

        return stream_push(work->request->stream, exec_line_output(work->seq++, piece->stream, bytes, length, &data));
}

static int push_lines(struct exec_work *work, int stream, const void *bytes, size_t length)
{
        struct piece piece = { work, stream };

        return text_tail_feed(&work->tails[stream - 1], bytes, length, push_line, &piece);
}

static void end_lines(struct exec_work *work, const struct exec_result *result)
{
        for (int stream = 1; stream <= 2; stream++) {
                struct piece piece = { work, stream };

                (void)text_tail_end(&work->tails[stream - 1], push_line, &piece);
        }
        (void)stream_push_last(work->request->stream, exec_line_exit(work->seq++, result));
}

/* A stream of lines without its "exit" says that much. */
static void fail_lines(struct exec_work *work, const struct fault *why)
{
        (void)work, (void)why;
}

const struct exec_format EXEC_NDJSON = {
        .content_type = ANSWER_NDJSON,
        .begin = begin_lines,
        .push = push_lines,
        .end = end_lines,
        .fail = fail_lines,
};

/* ---- frames ---- */

static ssize_t pull_frame(void *arg, char *target, size_t size)
{
        struct exec_work *work = arg;
        int stream = 0;
        ssize_t n = 0;

        if (work->exec != NULL)
                n = exec_read(work->exec, &stream, target + EXEC_FRAME_HEAD_BYTES, size - EXEC_FRAME_HEAD_BYTES);
        if (n <= 0)
                return 0;
        exec_frame_head(target, (enum exec_frame_type)stream, (size_t)n);
        return n + EXEC_FRAME_HEAD_BYTES;
}

static int begin_frames(struct exec_work *work, const char *exec_id)
{
        (void)exec_id;
        stream_pull(work->request->stream, pull_frame);
        return 0;
}

static int push_frame(struct exec_work *work, int stream, const void *bytes, size_t length)
{
        char head[EXEC_FRAME_HEAD_BYTES];
        int r;

        exec_frame_head(head, (enum exec_frame_type)stream, length);
        r = stream_push_bytes(work->request->stream, head, sizeof head);
        return r < 0 ? r : stream_push_bytes(work->request->stream, bytes, length);
}

/* Takes report. Without memory for it the stream ends without, and so says that it was cut. */
static void push_report(struct exec_work *work, cJSON *report)
{
        AUTO(auto_free) char *text = report == NULL ? NULL : cJSON_PrintUnformatted(report);

        cJSON_Delete(report);
        if (text != NULL)
                (void)push_frame(work, EXEC_FRAME_REPORT, text, strlen(text));
}

static void end_frames(struct exec_work *work, const struct exec_result *result)
{
        push_report(work, exec_report_exit(result));
}

static void fail_frames(struct exec_work *work, const struct fault *why)
{
        push_report(work, exec_report_error(work->exec_id, why));
}

const struct exec_format EXEC_FRAMES = {
        .content_type = EXEC_FRAMES_TYPE,
        .is_pulled = true,
        .begin = begin_frames,
        .push = push_frame,
        .end = end_frames,
        .fail = fail_frames,
};

const struct exec_format *exec_format_of(const struct request *request)
{
        static const struct exec_format *const FORMATS[] = { &EXEC_FRAMES, &EXEC_NDJSON, NULL };
        const char *accept = request_header(request, "Accept");

        for (size_t i = 0; FORMATS[i] != NULL; i++)
                if (accept != NULL && strstr(accept, FORMATS[i]->content_type) != NULL)
                        return FORMATS[i];
        return NULL;
}
