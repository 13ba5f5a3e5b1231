#include "double.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void cancel(struct engine_call *base)
{
        struct double_call *call = (struct double_call *)base;

        ev_timer_stop(call->engine->loop, &call->turn);
        call->done = NULL;
}

static void pause_output(struct engine_call *base, bool is_paused)
{
        ((struct double_call *)base)->is_paused = is_paused;
}

static void open_call(struct double_engine *engine, struct double_call *call, int index, engine_done done, void *arg,
                      struct engine_call **ret_call)
{
        *call = (struct double_call){
                .base = { cancel, pause_output }, .engine = engine, .done = done, .arg = arg, .index = index
        };
        *ret_call = &call->base;
}

static int run_exec(struct engine *base, const char *id, const struct exec_command *command,
                    const struct exec_events *events, engine_done done, void *arg, struct engine_call **ret_call)
{
        struct double_engine *engine = (struct double_engine *)base;
        struct double_call *call = &engine->execs[engine->n_execs % DOUBLE_EXECS];

        (void)id;
        if (engine->refusal != 0)
                return engine->refusal;
        snprintf(engine->working_dir, sizeof engine->working_dir, "%s", command->working_dir);
        engine->environment[0] = '\0';
        for (const char *const *at = command->environment; *at != NULL; at++)
                snprintf(engine->environment + strlen(engine->environment),
                         sizeof engine->environment - strlen(engine->environment), "%s ", *at);
        open_call(engine, call, (int)engine->n_execs++, done, arg, ret_call);
        call->events = *events;
        ev_init(&call->turn, NULL);
        return 0;
}

static void finish(struct double_call *call, const struct engine_reply *reply, const struct fault *why)
{
        engine_done done = call->done;

        call->done = NULL;
        if (done != NULL)
                done(call->arg, reply, why);
}

static void on_turn(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct double_call *call = timer->data;
        struct engine_reply reply = { .exec = &call->engine->status[call->index] };
        struct fault why;

        (void)loop, (void)events;
        if (call->engine->mood == INSPECT_FORGETS)
                fault_set(&why, FAULT_NOT_FOUND, ENOENT, "The double has no such exec.");
        else
                fault_set(&why, FAULT_ENGINE_UNAVAILABLE, ECONNREFUSED, "The double is down.");
        if (call->engine->mood == INSPECT_ANSWERS)
                finish(call, &reply, NULL);
        else
                finish(call, NULL, &why);
}

static int inspect_exec(struct engine *base, const char *engine_exec_id, engine_done done, void *arg,
                        struct engine_call **ret_call)
{
        struct double_engine *engine = (struct double_engine *)base;
        int index = atoi(engine_exec_id + strlen("engine-exec-"));
        struct double_call *call = &engine->inspects[index];

        engine->n_inspects++;
        open_call(engine, call, index, done, arg, ret_call);
        ev_timer_init(&call->turn, on_turn, 0.0, 0.0);
        call->turn.data = call;
        if (engine->mood != INSPECT_HANGS)
                ev_timer_start(engine->loop, &call->turn);
        return 0;
}

void double_init(struct double_engine *engine, struct ev_loop *loop)
{
        static const struct engine_ops OPS = { .kind = "double", .exec = run_exec, .exec_inspect = inspect_exec };

        *engine = (struct double_engine){ .base = { &OPS }, .loop = loop };
}

const char *double_id(int index, char text[static 32])
{
        snprintf(text, 32, "engine-exec-%d", index);
        return text;
}

bool double_is_open(const struct double_engine *engine, int index)
{
        return engine->execs[index].done != NULL;
}

void double_started(struct double_engine *engine, int index)
{
        struct double_call *call = &engine->execs[index];
        char id[32];

        if (double_is_open(engine, index))
                call->events.on_started(call->arg, double_id(index, id));
}

void double_output(struct double_engine *engine, int index, int stream, const char *text)
{
        struct double_call *call = &engine->execs[index];

        if (double_is_open(engine, index))
                call->events.on_output(call->arg, stream, text, strlen(text));
}

void double_ended(struct double_engine *engine, int index, bool is_running, int exit_code)
{
        struct exec_status status = { .is_running = is_running, .exit_code = exit_code };

        finish(&engine->execs[index], &(struct engine_reply){ .exec = &status }, NULL);
}

void double_failed(struct double_engine *engine, int index, enum fault_kind kind)
{
        struct fault why;

        fault_set(&why, kind, EIO, "The double fails on purpose.");
        finish(&engine->execs[index], NULL, &why);
}
