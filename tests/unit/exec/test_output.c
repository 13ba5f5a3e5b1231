/* What a program writes: streamed or kept, the two streams, and how much of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

static void streaming(void **state)
{
        struct world world;

        (void)state;
        world_open(&world);
        assert_int_equal(world_start(&world, NULL, &(struct exec_request){ .is_streaming = true }), 0);
        assert_int_equal(world.n_starts, 0);
        double_started(&world.engine, 0);
        double_started(&world.engine, 0);
        assert_int_equal(world.n_starts, 1);
        double_output(&world.engine, 0, 1, "abc");
        double_output(&world.engine, 0, 2, "xy");
        double_output(&world.engine, 0, 3, "no such stream");
        double_output(&world.engine, 0, 1, "d");
        assert_string_equal(world.streamed, "1abc2xy1d");
        double_ended(&world.engine, 0, false, 0);
        assert_int_equal(world.n_answers, 1);
        assert_string_equal(world.output, "");
        assert_false(world.result.is_output_truncated);
        world_close(&world);
}

static void both_streams_are_kept_apart(void **state)
{
        struct world world;

        (void)state;
        world_open(&world);
        assert_int_equal(world_start(&world, NULL, &(struct exec_request){ .max_output_bytes = 3 }), 0);
        double_started(&world.engine, 0);
        double_output(&world.engine, 0, 1, "abc");
        double_output(&world.engine, 0, 2, "wxyz");
        double_ended(&world.engine, 0, false, 0);
        assert_string_equal(world.output, "abc");
        assert_string_equal(world.errors, "wxy");
        assert_false(world.result.is_output_truncated);
        assert_true(world.result.is_errors_truncated);
        assert_string_equal(world.engine.working_dir, "/workspace");
        world_close(&world);
}

static void on_flood(struct ev_loop *loop, ev_timer *timer, int events)
{
        (void)loop, (void)events;
        double_output(timer->data, 0, 1, "!");
}

/* A child in the background that never stops writing is cut off, and the result says that something was. */
static void a_flood_is_bounded(void **state)
{
        struct world world;
        ev_timer flood;

        (void)state;
        world_open(&world);
        assert_int_equal(world_start(&world, NULL, &(struct exec_request){ 0 }), 0);
        double_started(&world.engine, 0);
        world_event(&world, ENGINE_EXEC_DIED, 0, 0);
        ev_timer_init(&flood, on_flood, 0.0, 0.001);
        flood.data = &world.engine;
        ev_timer_start(world.loop, &flood);
        world_await_answers(&world, 1);
        ev_timer_stop(world.loop, &flood);
        assert_int_equal(world.result.cause, EXEC_EXIT);
        assert_true(world.result.is_output_truncated);
        world_close(&world);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(streaming),
                cmocka_unit_test(both_streams_are_kept_apart),
                cmocka_unit_test(a_flood_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
