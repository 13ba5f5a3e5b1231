#include "docker-exec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "docker-call.h"
#include "docker-query.h"
#include "docker-watch.h"
#include "scope.h"
#include "str.h"
#include "wire.h"

/* The output may end shortly before the engine has noted the program's exit. */
enum { MAX_INSPECTS = 6, MAX_HELD_BYTES = 4096 };

struct exec_run {
        struct exec_events events;
        char exec_id[ENGINE_ID_BYTES];
        struct wire_stream stream;
        struct docker_call *call;
        void *input;
        struct buffer held; /* text that may be the engine's own (see pass_output) */
        bool is_deciding;
        const char *const *stray_words; /* NULL: this engine, or this program, has none (see pass_frame) */
        struct buffer stray;
        unsigned inspects;
        bool has_started;
};

static void run_free(void *extra)
{
        struct exec_run *run = extra;

        free(run->input);
        buffer_free(&run->held);
        buffer_free(&run->stray);
        free(run);
}

static void emit(struct exec_run *run, int stream, const void *bytes, size_t length)
{
        if (length > 0 && !run->call->is_cancelled && run->events.on_output != NULL)
                run->events.on_output(run->call->arg, stream, bytes, length);
}

/* Whether the text so far begins with these words, or still may. */
static bool may_begin(const struct buffer *held, const char *words)
{
        size_t n = held->length < strlen(words) ? held->length : strlen(words);

        return held->length <= MAX_HELD_BYTES && memcmp(held->data, words, n) == 0;
}

/* For a missing program Docker answers 200 and writes the reason into the program's *stdout*. Output that begins like
 * it is held until the final inspect says whether any program has run at all. */
static void pass_output(void *arg, int stream, const void *bytes, size_t length)
{
        struct exec_run *run = arg;

        if (run->is_deciding && stream == 1 && buffer_append(&run->held, bytes, length) == 0 &&
            may_begin(&run->held, run->call->docker->quirks->report_words))
                return;
        if (run->is_deciding && stream == 1 && !run->held.has_failed) {
                run->is_deciding = false;
                emit(run, 1, run->held.data, run->held.length);
                buffer_free(&run->held);
                return;
        }
        emit(run, 1, run->held.data, run->held.length);
        buffer_free(&run->held);
        run->is_deciding = false;
        emit(run, stream, bytes, length);
}

static void release_stray(struct exec_run *run)
{
        struct buffer stray = run->stray;

        run->stray = (struct buffer){ 0 };
        pass_output(run, 2, stray.data, stray.length);
        buffer_free(&stray);
}

static bool may_be_stray(const struct exec_run *run)
{
        for (const char *const *words = run->stray_words; *words != NULL; words++)
                if (may_begin(&run->stray, *words))
                        return true;
        return false;
}

/* An engine may report unread input in the program's own stderr, after all that the program wrote. Such text is held.
 * More output proves that it was the program's; at the end it is dropped. */
static void pass_frame(void *arg, int stream, const void *bytes, size_t length)
{
        struct exec_run *run = arg;

        if (run->stray_words == NULL) {
                pass_output(arg, stream, bytes, length);
                return;
        }
        if (stream == 2 && buffer_append(&run->stray, bytes, length) == 0) {
                if (!may_be_stray(run))
                        release_stray(run);
                return;
        }
        if (run->stray.length > 0)
                release_stray(run);
        pass_output(arg, stream, bytes, length);
}

/* ---- the end ---- */

/* One whole line that begins with these words. Held text begins with them and the words have no newline, so it is
 * longer than they are. */
static bool is_stray(const struct exec_run *run)
{
        const struct buffer *stray = &run->stray;

        return memchr(stray->data, '\n', stray->length) == stray->data + stray->length - 1;
}

static void finish(struct docker_call *call, const struct exec_status *status)
{
        struct exec_run *run = call->extra;
        bool has_not_run =
                !status->is_running && status->pid == 0 && (status->exit_code == 126 || status->exit_code == 127);
        const struct engine_reply reply = { .exec = status };

        if (!status->is_running && call->docker->quirks->after_exec != NULL)
                call->docker->quirks->after_exec(call->docker, run->exec_id);
        docker_call_enter(call);
        if (run->stray.length > 0 && !is_stray(run))
                release_stray(run);
        emit(run, has_not_run ? 2 : 1, run->held.data, run->held.length);
        if (!call->is_cancelled && call->docker->quirks->has_nameless_exec_ends && !status->is_running)
                docker_watch_tell_exec(call->docker->watch, call->subject, run->exec_id, status->exit_code);
        if (docker_call_leave(call))
                docker_call_succeed(call, &reply);
}

static void on_run_inspected(struct docker_call *call, const struct http_response *response)
{
        struct exec_run *run = call->extra;
        struct exec_status status;
        int r = wire_decode_exec(response->body, response->body_length, &status);

        if (r < 0)
                docker_call_garbled(call, r);
        else if (status.is_running && ++run->inspects < MAX_INSPECTS)
                docker_call_repeat(call);
        else
                finish(call, &status);
}

static const struct docker_step INSPECT_RUN = {
        .method = "GET",
        .what = "report how a program ended",
        .on_missing = FAULT_NOT_FOUND,
        .on_conflict = FAULT_ENGINE_REFUSED,
        .on_success = on_run_inspected,
};

static void on_run_over(struct docker_call *call, const struct http_response *response)
{
        struct exec_run *run = call->extra;

        call->input = NULL;
        call->input_length = 0;
        call->deadline_at = 0; /* the program had no deadline; this request has its own */
        docker_call_continue(call, &INSPECT_RUN, docker_text("/exec/%s/json", run->exec_id), NULL);
}

/* If an engine closes the connection while it has unread input of the program, the connection is reset (podman 4.3;
 * Linux does so for every socket). All output was sent before. The next request shows any other cause. */
static bool on_run_cut(struct docker_call *call, const struct fault *http_why)
{
        const struct exec_run *run = call->extra;

        if (!run->has_started || call->input_length == 0 || http_why->err != ECONNRESET)
                return false;
        on_run_over(call, NULL);
        return true;
}

/* ---- while it runs ---- */

static void on_run_started(struct docker_call *call)
{
        struct exec_run *run = call->extra;

        run->has_started = true;
        if (run->events.on_started != NULL)
                run->events.on_started(call->arg, run->exec_id);
}

static void on_run_data(struct docker_call *call, const void *bytes, size_t length)
{
        struct exec_run *run = call->extra;

        docker_call_enter(call);
        int r = wire_stream_feed(&run->stream, bytes, length, pass_frame, run);
        if (docker_call_leave(call) && r < 0)
                docker_call_garbled(call, r);
}

static const struct docker_step START = {
        .method = "POST",
        .what = "start a program",
        .on_missing = FAULT_NOT_FOUND,
        .on_conflict = FAULT_ENGINE_REFUSED,
        .is_stream = true,
        .on_success = on_run_over,
        .on_cut = on_run_cut,
        .on_started = on_run_started,
        .on_data = on_run_data,
};

static void on_exec_created(struct docker_call *call, const struct http_response *response)
{
        struct exec_run *run = call->extra;
        int r = wire_decode_id(response->body, response->body_length, run->exec_id);

        if (r < 0) {
                docker_call_garbled(call, r);
                return;
        }
        docker_call_continue(call, &START, docker_text("/exec/%s/start", run->exec_id),
                             strdup("{\"Detach\":false,\"Tty\":false}"));
}

static const struct docker_step CREATE = {
        .method = "POST",
        .what = "prepare a program",
        .on_missing = FAULT_NOT_FOUND,
        .on_conflict = FAULT_ENGINE_REFUSED,
        .on_success = on_exec_created,
};

static int run_new(struct docker_call *call, const struct exec_command *command, const struct exec_events *events)
{
        struct exec_run *run = calloc(1, sizeof *run);

        if (run == NULL)
                return -ENOMEM;
        run->call = call;
        run->is_deciding = call->docker->quirks->report_words != NULL;
        if (events != NULL)
                run->events = *events;
        call->extra = run;
        call->free_extra = run_free;
        if (command->input_length == 0)
                return 0;
        run->stray_words = call->docker->quirks->stray_words;
        run->input = malloc(command->input_length);
        if (run->input == NULL)
                return -ENOMEM;
        memcpy(run->input, command->input, command->input_length);
        call->input = run->input;
        call->input_length = command->input_length;
        return 0;
}

int docker_exec(struct engine *engine, const char *id, const struct exec_command *command,
                const struct exec_events *events, engine_done done, void *arg, struct engine_call **ret_call)
{
        struct docker_call *call;
        int r;

        if (!docker_is_name(id) || command->argv == NULL || command->argv[0] == NULL)
                return -EINVAL;
        r = docker_call_new(&call, (struct docker *)engine, id, done, arg);
        if (r < 0)
                return r;
        char *body = wire_encode_exec(command);
        r = body != NULL ? run_new(call, command, events) : -ENOMEM;
        if (r == 0)
                r = docker_call_request(call, &CREATE, docker_text("/containers/%s/exec", id), body);
        else
                free(body);
        if (r < 0)
                docker_call_free(call);
        else
                *ret_call = &call->base;
        return r;
}

static void on_exec_inspected(struct docker_call *call, const struct http_response *response)
{
        struct exec_status status;
        int r = wire_decode_exec(response->body, response->body_length, &status);
        const struct engine_reply reply = { .exec = &status };

        if (r < 0)
                docker_call_garbled(call, r);
        else
                docker_call_succeed(call, &reply);
}

static const struct docker_step INSPECT = {
        .method = "GET",
        .what = "inspect a program",
        .on_missing = FAULT_NOT_FOUND,
        .on_conflict = FAULT_ENGINE_REFUSED,
        .on_success = on_exec_inspected,
};

int docker_exec_inspect(struct engine *engine, const char *engine_exec_id, engine_done done, void *arg,
                        struct engine_call **ret_call)
{
        struct docker_call *call;
        int r;

        if (!docker_is_name(engine_exec_id))
                return -EINVAL;
        r = docker_call_new(&call, (struct docker *)engine, engine_exec_id, done, arg);
        if (r < 0)
                return r;
        r = docker_call_request(call, &INSPECT, docker_text("/exec/%s/json", engine_exec_id), NULL);
        if (r < 0)
                docker_call_free(call);
        else
                *ret_call = &call->base;
        return r;
}

/* ---- the end of an exec that an event does not name ---- */

static void on_looked_at(struct docker_call *call, const struct http_response *response)
{
        struct exec_status status;
        const struct engine_reply reply = { .exec = &status };
        int r = wire_decode_exec(response->body, response->body_length, &status);

        if (r < 0) {
                docker_call_garbled(call, r);
                return;
        }
        docker_call_enter(call);
        if (!status.is_running)
                docker_watch_tell_exec(call->docker->watch, "", call->subject, status.exit_code);
        if (docker_call_leave(call))
                docker_call_succeed(call, &reply);
}

static const struct docker_step LOOK = {
        .method = "GET",
        .what = "inspect a program",
        .on_missing = FAULT_NOT_FOUND,
        .on_conflict = FAULT_ENGINE_REFUSED,
        .on_success = on_looked_at,
};

static void on_look_done(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        /* If the request cannot be made, the end of the output reports it. */
}

static void look_at(struct docker *docker, const char *exec_id)
{
        struct docker_call *call;

        if (docker_call_new(&call, docker, exec_id, on_look_done, NULL) < 0)
                return;
        if (docker_call_request(call, &LOOK, docker_text("/exec/%s/json", exec_id), NULL) < 0)
                docker_call_free(call);
}

void docker_exec_look_at_all(struct docker *docker)
{
        LIST_EACH (&docker->calls, node) {
                const struct docker_call *call = LIST_ENTRY(node, struct docker_call, node);
                const struct exec_run *run = call->step == &START ? call->extra : NULL;

                if (run != NULL && run->has_started)
                        look_at(docker, run->exec_id);
        }
}
