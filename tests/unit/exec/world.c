#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent-listener.h"
#include "engine-execs.h"

/* Short, as nothing here is slow; in the same order as the real ones. */
static const struct exec_timing TIMING = {
        .arrive_s = 0.02,
        .drain_s = 0.2,
        .grace_s = 0.2,
        .linger_s = 0.2,
        .stall_s = 0.2,
        .retry_first_s = 0.002,
        .retry_max_s = 0.02,
};

static void on_bark(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct world *world = timer->data;

        (void)events;
        world->has_barked = true;
        ev_break(loop, EVBREAK_ALL);
}

static void on_left_behind(void *arg, const char *container_id, enum exec_left_behind why)
{
        struct world *world = arg;

        world->n_left_behind++;
        execs_container_lost(world->execs, container_id, false); /* as the pool does */
}

void world_open(struct world *world)
{
        *world = (struct world){ .loop = ev_loop_new(EVFLAG_AUTO) };
        assert_non_null(world->loop);
        double_init(&world->engine, world->loop);
        assert_int_equal(execs_new(&world->execs, world->loop), 0);
        assert_int_equal(agents_register(world->execs), 0);
        assert_int_equal(engine_execs_register(world->execs, &world->engine.base), 0);
        world->execs->timing = TIMING;
        execs_on_left_behind(world->execs, on_left_behind, world);
        ev_timer_init(&world->watchdog, on_bark, 120.0, 0.0);
        world->watchdog.data = world;
        ev_timer_start(world->loop, &world->watchdog);
}

void world_close(struct world *world)
{
        world->execs = execs_free(world->execs);
        ev_timer_stop(world->loop, &world->watchdog);
        ev_loop_destroy(world->loop);
}

static void on_start(void *arg, const char *exec_id)
{
        struct world *world = arg;

        assert_int_equal(strlen(exec_id), EXEC_OWN_ID_BYTES - 1);
        world->n_starts++;
}

static void on_output(void *arg, int stream, const void *bytes, size_t length)
{
        struct world *world = arg;
        size_t used = strlen(world->streamed);

        snprintf(world->streamed + used, sizeof world->streamed - used, "%d%.*s", stream, (int)length,
                 (const char *)bytes);
        if (world->refilled_fd > 0)
                assert_int_equal(write(world->refilled_fd, "x", 1), 1);
        if (world->cancels_on_output)
                world->exec = exec_cancel(world->exec);
}

void world_pull(struct world *world, size_t size)
{
        char bytes[WORLD_TEXT_BYTES];
        unsigned answers = world->n_answers;
        int stream = 0;
        ssize_t n = 1;

        assert_true(size <= sizeof bytes);
        while (n > 0 && world->n_answers == answers) {
                n = exec_read(world->exec, &stream, bytes, size);
                if (n > 0)
                        on_output(world, stream, bytes, (size_t)n);
        }
}

static void on_readable(void *arg)
{
        struct world *world = arg;

        world->n_readables++;
        if (world->is_pulling)
                world_pull(world, WORLD_TEXT_BYTES);
}

static void keep_text(char target[static WORLD_TEXT_BYTES], const char *text, size_t length)
{
        assert_true(length < WORLD_TEXT_BYTES);
        memcpy(target, text, length);
        target[length] = '\0';
}

static void on_done(void *arg, const struct exec_result *result, const struct fault *why)
{
        struct world *world = arg;

        assert_true((result == NULL) != (why == NULL));
        world->n_answers++;
        world->fault = why != NULL ? why->kind : FAULT_NONE;
        if (result != NULL) {
                world->result = *result;
                keep_text(world->output, result->output, result->output_length);
                keep_text(world->errors, result->errors, result->errors_length);
                if (world->is_taking)
                        assert_true(exec_result_take(result, &world->taken));
        }
        if (world->cancels_on_done)
                exec_cancel(world->exec);
        if (world->starts_on_done) {
                world->starts_on_done = false;
                assert_int_equal(world_start(world, NULL, &(struct exec_request){ 0 }), 0);
        }
}

int world_start(struct world *world, const struct cell *cell, const struct exec_request *request)
{
        static const char *const ARGV[] = { "true", NULL };
        static const struct exec_sink SINK = {
                .on_start = on_start, .on_output = on_output, .on_done = on_done, .on_readable = on_readable
        };
        struct exec_request filled = *request;

        if (filled.argv == NULL)
                filled.argv = ARGV;
        if (filled.max_output_bytes == 0)
                filled.max_output_bytes = 64;
        ev_now_update(world->loop);
        return exec_start(world->execs, cell != NULL ? cell->id : WORLD_CONTAINER, cell != NULL ? cell->init : 0,
                          &filled, &SINK, world, &world->exec);
}

void world_event(struct world *world, enum engine_event_kind kind, int index, int exit_code)
{
        char id[32];
        struct engine_event event = {
                .kind = kind, .id = WORLD_CONTAINER, .exec_id = double_id(index, id), .exit_code = exit_code
        };

        ev_now_update(world->loop); /* as in a callback of the loop, whatever the test did since the last one */
        execs_on_event(world->execs, &event);
}

void world_await_answers(struct world *world, unsigned answers)
{
        while (world->n_answers < answers && !world->has_barked)
                ev_run(world->loop, EVRUN_ONCE);
        assert_false(world->has_barked);
}

void world_await_quiet(struct world *world)
{
        while (!list_is_empty(&world->execs->running) && !world->has_barked)
                ev_run(world->loop, EVRUN_ONCE);
        assert_false(world->has_barked);
}
