#include "docker-exec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "docker-call.h"
#include "docker-query.h"
#include "scope.h"
#include "str.h"
#include "wire.h"

/* The end of the output can come a moment before the engine has noted the program's exit. */
enum { MAX_INSPECTS = 6, MAX_HELD_BYTES = 4096 };

struct exec_run {
        struct exec_events events;
        char exec_id[ENGINE_ID_BYTES];
        struct wire_stream stream;
        struct docker_call *call;
        void *input;
        struct buffer held; /* what may be the engine's own words (see pass_output) */
        bool is_deciding;
        unsigned inspects;
};

static void run_free(void *extra)
{
        struct exec_run *run = extra;

        free(run->input);
        buffer_free(&run->held);
        free(run);
}

static void emit(struct exec_run *run, int stream, const void *bytes, size_t length)
{
        if (length > 0 && !run->call->is_cancelled && run->events.on_output != NULL)
                run->events.on_output(run->call->arg, stream, bytes, length);
}

/* Whether what came so far is, or can still become, the engine's report that it could not run the program. */
static bool may_be_report(const struct buffer *held)
{
        static const char REPORT[] = "OCI runtime exec failed";
        size_t n = held->length < sizeof REPORT - 1 ? held->length : sizeof REPORT - 1;

        return held->length <= MAX_HELD_BYTES && memcmp(held->data, REPORT, n) == 0;
}

/* Docker answers a missing binary with 200 and writes the reason into the program's *stdout*. Output that begins like
 * it is held until the inspect at the end tells whether any program has run at all. */
static void pass_output(void *arg, int stream, const void *bytes, size_t length)
{
        struct exec_run *run = arg;

        if (run->is_deciding && stream == 1 && buffer_append(&run->held, bytes, length) == 0 &&
            may_be_report(&run->held))
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

/* --- at the end -------------------------------------------------------------------------------------------------- */

static void finish(struct docker_call *call, const struct exec_status *status)
{
        struct exec_run *run = call->extra;
        bool has_not_run =
                !status->is_running && status->pid == 0 && (status->exit_code == 126 || status->exit_code == 127);
        const struct engine_reply reply = { .exec = status };

        docker_call_enter(call);
        emit(run, has_not_run ? 2 : 1, run->held.data, run->held.length);
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
        .what = "tell how a program ended",
        .on_missing = FAULT_NOT_FOUND,
        .on_conflict = FAULT_ENGINE_REFUSED,
        .on_success = on_run_inspected,
};

static void on_run_over(struct docker_call *call, const struct http_response *response)
{
        struct exec_run *run = call->extra;

        call->input = NULL;
        call->input_length = 0;
        call->deadline_at = 0; /* the program had no deadline; this question has its own */
        docker_call_continue(call, &INSPECT_RUN, docker_text("/exec/%s/json", run->exec_id), NULL);
}

/* --- while it runs ------------------------------------------------------------------------------------------------ */

static void on_run_started(struct docker_call *call)
{
        struct exec_run *run = call->extra;

        if (run->events.on_started != NULL)
                run->events.on_started(call->arg, run->exec_id);
}

static void on_run_data(struct docker_call *call, const void *bytes, size_t length)
{
        struct exec_run *run = call->extra;

        docker_call_enter(call);
        int r = wire_stream_feed(&run->stream, bytes, length, pass_output, run);
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
        run->is_deciding = true;
        if (events != NULL)
                run->events = *events;
        call->extra = run;
        call->free_extra = run_free;
        if (command->input_length == 0)
                return 0;
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
