/* The output of a program: streamed or kept, its two streams, and its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

/* Those of the caller replace the others. */
static void variables_of_an_exec(void **state)
{
        static const char *const DEFAULTS[] = { "HOME=/workspace", "USER=user", NULL };
        static const char *const TWICE[] = { "HOME=/workspace", "USER=user", "HOME=/srv", "A=", NULL };
        static const char *const OWN[] = { "HOME=/tmp", "USERS=2", "A=", NULL };
        static const char *const NUMBER[] = { "CARREL_EXEC_ID=7", NULL };
        static const struct {
                const char *const *defaults, *const *environment;
                const char *expected;
        } CASES[] = {
                { NULL, NULL, "CARREL_EXEC_ID=mine " },
                { DEFAULTS, NULL, "HOME=/workspace USER=user CARREL_EXEC_ID=mine " },
                { TWICE, NULL, "USER=user HOME=/srv A= CARREL_EXEC_ID=mine " },
                { TWICE, OWN, "USER=user CARREL_EXEC_ID=mine HOME=/tmp USERS=2 A= " },
                { DEFAULTS, OWN, "USER=user CARREL_EXEC_ID=mine HOME=/tmp USERS=2 A= " },
                { DEFAULTS, NUMBER, "HOME=/workspace USER=user CARREL_EXEC_ID=7 " },
        };
        struct world world;
        char expected[64];

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                world_open(&world);
                assert_int_equal(world_start(&world, NULL,
                                             &(struct exec_request){ .exec_id = "mine",
                                                                     .defaults = CASES[i].defaults,
                                                                     .environment = CASES[i].environment }),
                                 0);
                assert_string_equal(world.engine.environment, CASES[i].expected);
                world_close(&world);
        }
        world_open(&world);
        assert_int_equal(world_start(&world, NULL, &(struct exec_request){ .exec_id = NULL }), 0);
        snprintf(expected, sizeof expected, "CARREL_EXEC_ID=%s ", exec_id(world.exec));
        assert_string_equal(world.engine.environment, expected);
        world_close(&world);
}

static void on_flood(struct ev_loop *loop, ev_timer *timer, int events)
{
        (void)loop, (void)events;
        double_output(timer->data, 0, 1, "!");
}

/* A child in the background that never stops writing is cut off, and the result says so. */
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

/* A cap, or a share, may fall into the middle of a character: the text ends before it. */
static void text_is_cut_between_characters(void **state)
{
        static const struct {
                const char *output;
                uint64_t cap;
                const char *kept;
                bool is_text;
        } CASES[] = {
                { "a\xe2\x82\xac", 4, "a\xe2\x82\xac", true },
                { "a\xe2\x82\xac", 3, "a", true },
                { "a\xe2\x82\xac", 2, "a", true },
                { "\xe2\x82\xac", 1, "", true },
                { "a\xff\xe2\x82\xac", 4, "a\xff\xe2\x82", false },
                { "a\xe2\x82", 9, "a\xe2\x82", false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct world world;

                world_open(&world);
                assert_int_equal(world_start(&world, NULL, &(struct exec_request){ .max_output_bytes = CASES[i].cap }),
                                 0);
                double_started(&world.engine, 0);
                double_output(&world.engine, 0, 1, CASES[i].output);
                double_output(&world.engine, 0, 2, "e\n");
                double_ended(&world.engine, 0, false, 0);
                assert_string_equal(world.output, CASES[i].kept);
                assert_int_equal(world.result.is_text, CASES[i].is_text);
                assert_int_equal(world.result.is_output_truncated, strlen(CASES[i].output) > CASES[i].cap);
                if (CASES[i].is_text)
                        assert_int_equal(world.result.n_escapes, CASES[i].cap >= 2);
                world_close(&world);
        }
}

/* One container's execs have a quarter of what is kept for all; the others are none the worse. Kept bytes are
 * given back with the exec's end, or by the caller that has taken them. */
static void what_is_kept_is_shared(void **state)
{
        struct world world;

        (void)state;
        world_open(&world);
        execs_bound_outputs(world.execs, 40);
        for (int round = 0; round < 2; round++) {
                assert_int_equal(world_start(&world, NULL, &(struct exec_request){ .max_output_bytes = 100 }), 0);
                double_started(&world.engine, round);
                double_output(&world.engine, round, 1, "12345678");
                double_output(&world.engine, round, 1, "90123");
                double_output(&world.engine, round, 1, "1");
                double_output(&world.engine, round, 2, "ab");
                assert_int_equal(world.execs->outputs.used, 10);
                double_ended(&world.engine, round, false, 0);
                assert_string_equal(world.output, "12345678");
                assert_string_equal(world.errors, "ab");
                assert_true(world.result.is_output_truncated);
                assert_false(world.result.is_errors_truncated);
        }
        assert_int_equal(world.execs->outputs.used, 0);
        world.is_taking = true;
        assert_int_equal(world_start(&world, NULL, &(struct exec_request){ .max_output_bytes = 100 }), 0);
        double_started(&world.engine, 2);
        double_output(&world.engine, 2, 1, "12345678");
        double_ended(&world.engine, 2, false, 0);
        assert_int_equal(world.execs->outputs.used, 8);
        assert_string_equal(world.taken.output.data, "12345678");
        exec_outputs_release(&world.taken);
        assert_int_equal(world.execs->outputs.used, 0);
        world_close(&world);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(streaming),
                cmocka_unit_test(both_streams_are_kept_apart),
                cmocka_unit_test(variables_of_an_exec),
                cmocka_unit_test(a_flood_is_bounded),
                cmocka_unit_test(text_is_cut_between_characters),
                cmocka_unit_test(what_is_kept_is_shared),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
