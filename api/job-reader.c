#include "job-reader.h"

#include <cjson/cJSON.h>
#include <errno.h>

#include "answer.h"
#include "exec-lines.h"
#include "scope.h"
#include "stream.h"

/* Pushing stops when the queue has STREAM_HIGH_BYTES, so this is only ever reached by a line of its own length. */
enum { READER_STREAM_MAX_BYTES = 1 << 20 };

static cJSON *render_end(const struct job_view *view, uint64_t seq)
{
        return view->result != NULL ? exec_line_exit(seq, view->result)
                                    : exec_line_error(seq, view->exec_id, view->why);
}

static bool is_over(const struct job *job)
{
        struct job_view view;

        job_view(job, &view);
        return view.state >= JOB_ENDED;
}

static int push_event(struct job_reader *reader, const struct exec_event *event)
{
        struct stream *stream = reader->request->stream;
        AUTO(auto_free) char *data = NULL;
        struct job_view view;

        job_view(reader->follower.job, &view);
        switch (event->kind) {
        case EXEC_EVENT_START:
                return stream_push(stream, exec_line_start(event->seq, view.exec_id));
        case EXEC_EVENT_OUTPUT:
                return stream_push(stream, exec_line_output(event->seq, 1, event->bytes, event->length, &data));
        case EXEC_EVENT_ERRORS:
                return stream_push(stream, exec_line_output(event->seq, 2, event->bytes, event->length, &data));
        case EXEC_EVENT_END:
                break;
        }
        return stream_push_last(stream, render_end(&view, event->seq));
}

/* The reader has fallen behind what is kept, or carreld has no memory for him. */
static void cut(struct job_reader *reader, const char *reason)
{
        (void)stream_push_last(reader->request->stream, exec_line_cut(reader->next_seq, reason));
        stream_end(reader->request->stream);
}

void job_reader_pump(struct job_reader *reader)
{
        struct stream *stream = reader->request->stream;
        struct exec_event event;

        while (!stream_has_ended(stream) && !stream_is_full(stream)) {
                int r = job_event(reader->follower.job, reader->next_seq, &event);

                if (r == -ENODATA && (!reader->is_following || is_over(reader->follower.job)))
                        stream_end(stream);
                if (r == -ENODATA)
                        return;
                if (r == 0)
                        r = push_event(reader, &event);
                if (r < 0) {
                        cut(reader, r == -ESTALE ? "history_gone" : "carreld is out of memory");
                        return;
                }
                reader->next_seq++;
                if (event.kind == EXEC_EVENT_END)
                        stream_end(stream);
        }
        if (!stream_has_ended(stream))
                job_pause(&reader->follower, true);
}

static void on_drained(void *arg)
{
        struct job_reader *reader = arg;

        if (reader->follower.job == NULL)
                return;
        job_pause(&reader->follower, false);
        job_reader_pump(reader);
}

void job_reader_begin(struct job_reader *reader)
{
        struct request *request = reader->request;

        if (stream_new(&request->stream, request, READER_STREAM_MAX_BYTES, on_drained, reader) < 0) {
                answer_no_memory(request);
                return;
        }
        job_reader_pump(reader);
        answer_stream(request, HTTP_OK, ANSWER_SIZE_UNKNOWN,
                      (const struct answer_header[]){ { "Content-Type", ANSWER_NDJSON }, { 0 } });
}
