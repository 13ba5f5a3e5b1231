#include "exec-feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "answer.h"
#include "api.h"
#include "ensure-then.h"
#include "stream.h"

/* Once the stream is full, it gets only what the engine had read before the pause. More is a fault of the engine, and
 * the stream is cut. */
enum { FEED_STREAM_MAX_BYTES = 8 << 20 };

static void cancel_program(struct exec_feed *feed)
{
        if (feed->exec != NULL)
                feed->exec = pool_exec_cancel(api_of(feed->request)->pool, feed->exec);
}

static void release_feed(void *arg)
{
        struct exec_feed *feed = arg;

        job_unfollow(&feed->follower);
        cancel_program(feed);
        exec_body_release(&feed->body);
        free(feed);
}

struct exec_feed *exec_feed_new(struct request *request, const struct exec_format *format)
{
        struct exec_feed *feed = calloc(1, sizeof *feed);

        if (feed == NULL) {
                answer_no_memory(request);
                return NULL;
        }
        feed->request = request;
        feed->format = format;
        request->work = feed;
        request->release = release_feed;
        return feed;
}

/* ---- the stream ---- */

static void pump_job(struct exec_feed *feed);

static void on_drained(void *arg)
{
        struct exec_feed *feed = arg;

        if (feed->follower.job != NULL) {
                job_pause(&feed->follower, false);
                pump_job(feed);
        } else if (feed->exec != NULL) {
                exec_pause(feed->exec, false);
        }
}

static bool open_stream(struct exec_feed *feed)
{
        struct request *request = feed->request;

        if (stream_new(&request->stream, request, FEED_STREAM_MAX_BYTES, on_drained, feed) < 0) {
                answer_no_memory(request);
                return false;
        }
        if (feed->format->begin != NULL)
                feed->format->begin(feed);
        answer_stream(request, HTTP_OK, ANSWER_SIZE_UNKNOWN,
                      (const struct answer_header[]){
                              { "Content-Type", feed->format->content_type },
                              { EXEC_ID_HEADER, feed->exec_id },
                              { 0 },
                      });
        return true;
}

static void end_stream(struct exec_feed *feed, const struct exec_result *result, const struct fault *why)
{
        feed->format->end(feed, result, why);
        stream_end(feed->request->stream);
}

static int push(struct exec_feed *feed, const struct exec_event *event)
{
        int r = feed->format->push(feed, event);

        feed->seq += r == 0;
        return r;
}

/* ---- from a program ---- */

/* The stream then has no "exit", so the client knows that it was cut. */
static void cut_program(struct exec_feed *feed)
{
        cancel_program(feed);
        stream_end(feed->request->stream);
}

static void on_start(void *arg, const char *exec_id)
{
        struct exec_feed *feed = arg;

        (void)snprintf(feed->exec_id, sizeof feed->exec_id, "%s", exec_id);
        if (!open_stream(feed))
                cancel_program(feed);
        else if (push(feed, &(struct exec_event){ .seq = feed->seq, .kind = EXEC_EVENT_START }) < 0)
                cut_program(feed);
}

struct output {
        struct exec_feed *feed;
        enum exec_event_kind kind;
};

static int push_output(void *arg, const char *bytes, size_t length)
{
        const struct output *output = arg;
        const struct exec_event event = {
                .seq = output->feed->seq, .kind = output->kind, .bytes = bytes, .length = length
        };

        return push(output->feed, &event);
}

static void on_output(void *arg, int stream, const void *bytes, size_t length)
{
        struct exec_feed *feed = arg;
        struct output output = { feed, stream == 1 ? EXEC_EVENT_OUTPUT : EXEC_EVENT_ERRORS };
        int r;

        if (feed->request->stream == NULL || length == 0 || stream < 1 || stream > 2)
                return;
        r = feed->format->is_text ? text_tail_feed(&feed->tails[stream - 1], bytes, length, push_output, &output)
                                  : push_output(&output, bytes, length);
        if (r < 0)
                cut_program(feed);
        else if (feed->exec != NULL && stream_is_full(feed->request->stream))
                exec_pause(feed->exec, true);
}

static void on_readable(void *arg)
{
        const struct exec_feed *feed = arg;

        if (feed->request->stream != NULL)
                stream_wake(feed->request->stream);
}

static void on_done(void *arg, const struct exec_result *result, const struct fault *why)
{
        struct exec_feed *feed = arg;
        struct output outputs[] = { { feed, EXEC_EVENT_OUTPUT }, { feed, EXEC_EVENT_ERRORS } };
        struct request *request = feed->request;

        feed->exec = NULL;
        if (feed->format->push == NULL) {
                feed->format->end(feed, result, why);
                return;
        }
        if (request->stream == NULL && result == NULL) {
                answer_fault(request, why);
                return;
        }
        if (request->stream == NULL)
                on_start(feed, result->exec_id);
        if (request->stream == NULL)
                return;
        for (size_t i = 0; i < 2; i++)
                (void)text_tail_end(&feed->tails[i], push_output, &outputs[i]);
        end_stream(feed, result, why);
}

static void on_ready(struct request *request, const struct pool_ensured *ensured)
{
        static const struct exec_sink STREAM = {
                .on_start = on_start, .on_output = on_output, .on_done = on_done, .on_readable = on_readable
        };
        static const struct exec_sink WHOLE = { .on_done = on_done };
        struct exec_feed *feed = request->work;
        struct exec_request *program = &feed->body.request;

        (void)ensured;
        program->is_streaming = feed->format->push != NULL;
        program->is_pulled = feed->format->is_pulled;
        if (carrel_run(request, program, program->is_streaming ? &STREAM : &WHOLE, feed, &feed->exec))
                exec_body_release(&feed->body);
}

void exec_feed_run(struct exec_feed *feed)
{
        ensure_then_profile(feed->request, feed->body.profile, on_ready);
}

/* ---- from a job ---- */

static int deliver(struct exec_feed *feed, const struct exec_event *event)
{
        struct job_view view;

        if (event->kind != EXEC_EVENT_END)
                return push(feed, event);
        job_view(feed->follower.job, &view);
        end_stream(feed, view.result, view.why);
        return 0;
}

static bool has_ended(const struct job *job)
{
        struct job_view view;

        job_view(job, &view);
        return view.state >= JOB_ENDED;
}

static void pump_job(struct exec_feed *feed)
{
        struct stream *stream = feed->request->stream;
        struct exec_event event;

        while (!stream_has_ended(stream) && !stream_is_full(stream)) {
                int r = job_event(feed->follower.job, feed->seq, &event);

                if (r == -ENODATA && (!feed->is_following || has_ended(feed->follower.job)))
                        stream_end(stream);
                if (r == -ENODATA)
                        return;
                if (r == 0)
                        r = deliver(feed, &event);
                if (r < 0) {
                        feed->format->cut(feed, r == -ESTALE ? "history_gone" : "carreld is out of memory");
                        stream_end(stream);
                        return;
                }
        }
        if (!stream_has_ended(stream))
                job_pause(&feed->follower, true);
}

static void on_change(void *arg)
{
        struct exec_feed *feed = arg;
        struct request *request = feed->request;
        bool is_streaming = feed->format->push != NULL;
        struct job_view view;

        if (request->stream != NULL && is_streaming) {
                pump_job(feed);
                return;
        }
        if (request_is_answered(request))
                return;
        job_view(feed->follower.job, &view);
        if (feed->follower.is_holding && view.state == JOB_FAILED)
                answer_fault(request, view.why);
        else if (is_streaming && (!feed->follower.is_holding || view.next_seq > 0)) {
                if (open_stream(feed))
                        pump_job(feed);
        } else if (!is_streaming && view.state == JOB_ENDED)
                feed->format->end(feed, view.result, NULL);
}

void exec_feed_follow(struct exec_feed *feed, struct job *job, bool is_holding)
{
        struct job_view view;

        job_view(job, &view);
        (void)snprintf(feed->exec_id, sizeof feed->exec_id, "%s", view.exec_id);
        feed->follower = (struct job_follower){ .on_change = on_change, .arg = feed, .is_holding = is_holding };
        job_follow(job, &feed->follower);
        on_change(feed);
}
