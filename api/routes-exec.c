#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "api.h"
#include "ensure-then.h"
#include "exec-answer.h"
#include "exec-format.h"
#include "exec.h"
#include "handlers.h"
#include "job-requests.h"
#include "parse.h"
#include "put.h"
#include "stream.h"

/* A program writes at most what the engine had read before it was paused beyond STREAM_HIGH_BYTES; more is a fault of
 * the engine, and the stream is cut. */
enum { EXEC_STREAM_MAX_BYTES = 8 << 20 };

static void cancel_program(struct exec_work *work)
{
        if (work->exec != NULL)
                work->exec = pool_exec_cancel(api_of(work->request)->pool, work->exec);
}

static void release_exec(void *arg)
{
        struct exec_work *work = arg;

        cancel_program(work);
        exec_body_release(&work->body);
        free(work);
}

/* ---- the stream ---- */

/* The client gets no "exit" line then, and so knows. */
static void cut_stream(struct exec_work *work)
{
        cancel_program(work);
        stream_end(work->request->stream);
}

static void on_drained(void *arg)
{
        struct exec_work *work = arg;

        if (work->exec != NULL)
                exec_pause(work->exec, false);
}

static void on_readable(void *arg)
{
        const struct exec_work *work = arg;

        if (work->request->stream != NULL)
                stream_wake(work->request->stream);
}

static void on_start(void *arg, const char *exec_id)
{
        struct exec_work *work = arg;
        struct request *request = work->request;

        if (stream_new(&request->stream, request, EXEC_STREAM_MAX_BYTES, on_drained, work) < 0) {
                cancel_program(work);
                answer_no_memory(request);
                return;
        }
        (void)snprintf(work->exec_id, sizeof work->exec_id, "%s", exec_id);
        if (work->format->begin(work, exec_id) < 0)
                cut_stream(work);
        answer_stream(request, HTTP_OK, ANSWER_SIZE_UNKNOWN,
                      (const struct answer_header[]){
                              { "Content-Type", work->format->content_type }, { EXEC_ID_HEADER, exec_id }, { 0 } });
}

static void on_output(void *arg, int stream, const void *bytes, size_t length)
{
        struct exec_work *work = arg;

        if (work->request->stream == NULL || length == 0 || stream < 1 || stream > 2)
                return;
        if (work->format->push(work, stream, bytes, length) < 0)
                cut_stream(work);
        else if (work->exec != NULL && stream_is_full(work->request->stream))
                exec_pause(work->exec, true);
}

/* ---- the road: ensure, start, end ---- */

static void on_done(void *arg, const struct exec_result *result, const struct fault *why)
{
        struct exec_work *work = arg;
        struct request *request = work->request;

        work->exec = NULL;
        if (why != NULL && request->stream == NULL)
                answer_fault(request, why);
        else if (request->stream == NULL && work->format != NULL)
                on_start(work, result->exec_id);
        else if (request->stream == NULL)
                answer_exec_result(request, result, NULL);
        if (request->stream == NULL || work->format == NULL)
                return;
        if (result != NULL)
                work->format->end(work, result);
        else
                work->format->fail(work, why);
        stream_end(request->stream);
}

static void on_ready(struct request *request, const struct pool_ensured *ensured)
{
        static const struct exec_sink SINK = {
                .on_start = on_start, .on_output = on_output, .on_done = on_done, .on_readable = on_readable
        };
        static const struct exec_sink BUFFERED_SINK = { .on_done = on_done };
        struct exec_work *work = request->work;

        (void)ensured;
        (void)carrel_run(request, &work->body.request, work->format != NULL ? &SINK : &BUFFERED_SINK, work,
                         &work->exec);
}

/* What a job keeps are events, so lines are all that it can be followed by. Takes work. */
static void begin_job(struct request *request, struct exec_work *work)
{
        struct exec_body body = work->body;
        bool is_refused = work->format == &EXEC_FRAMES && !body.is_detached;
        struct fault why;

        body.request.is_pulled = false;
        free(work);
        if (!is_refused) {
                job_begin_request(request, &body);
                return;
        }
        exec_body_release(&body);
        (void)fault_set(&why, FAULT_REQUEST_INVALID, EINVAL, "with exec_id the stream is application/x-ndjson only");
        answer_fault(request, &why);
}

void handle_exec(struct request *request)
{
        struct exec_work *work = calloc(1, sizeof *work);
        struct fault why;

        if (work == NULL) {
                answer_no_memory(request);
                return;
        }
        if (parse_exec(request->body.data, request->body.length, &work->body, &why) < 0) {
                free(work);
                answer_fault(request, &why);
                return;
        }
        work->format = exec_format_of(request);
        work->body.request.is_streaming = work->format != NULL;
        work->body.request.is_pulled = work->format != NULL && work->format->is_pulled;
        if (work->body.is_detached || work->body.request.exec_id != NULL) {
                begin_job(request, work);
                return;
        }
        work->request = request;
        request->work = work;
        request->release = release_exec;
        ensure_then_any(request, on_ready);
}

/* ---- signalling ---- */

static int signal_exec(struct request *request, int signal, struct fault *why)
{
        struct execs *execs = api_of(request)->options.execs;
        int r = execs == NULL ? -ENOENT : execs_signal(execs, request->parameter, signal);

        if (r == -EINVAL)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "signal %d cannot be sent", signal);
        if (r == -ENOENT)
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "there is no such exec, or it is over");
        if (r < 0)
                return fault_set(why, FAULT_NOT_FOUND, -r, "the exec has no process that could be signalled");
        return 0;
}

void handle_exec_signal(struct request *request)
{
        struct fault why;
        cJSON *answer;
        int signal;

        if (parse_signal(request->body.data, request->body.length, &signal, &why) < 0 ||
            signal_exec(request, signal, &why) < 0) {
                answer_fault(request, &why);
                return;
        }
        answer = cJSON_CreateObject();
        put_text(&answer, "exec_id", request->parameter);
        put_number(&answer, "signal", signal);
        answer_json(request, HTTP_OK, answer);
}
