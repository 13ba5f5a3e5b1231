/* The positive controls of the whole suite: what the other programs take for granted of their surroundings. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "outside.h"
#include "suite.h"

static void decoys_run_and_are_counted(void **state)
{
        (void)state;
        engine_decoy("decoy-a", "product=a", NULL);
        engine_decoy("decoy-b", "product=b", NULL);
        assert_int_equal(engine_count(NULL), 2);
        assert_int_equal(engine_count("product=a"), 1);
        assert_int_equal(engine_count("product"), 2);
        assert_true(engine_is_running("decoy-a"));
        engine_remove("decoy-a");
        engine_remove("decoy-b");
        assert_int_equal(engine_count(NULL), 0);
}

static void events_are_complete_and_in_order(void **state)
{
        struct engine_events *events = engine_events_new();

        (void)state;
        assert_int_equal(engine_events_count(events, "create", "seen-"), 0);
        engine_decoy("seen-1", NULL, NULL);
        engine_decoy("seen-2", NULL, NULL);
        assert_int_equal(engine_events_count(events, "create", "seen-"), 2);
        assert_int_equal(engine_events_count(events, "start", "seen-"), 2);
        assert_int_equal(engine_events_peak(events, "seen-"), 1);
        engine_remove("seen-1");
        engine_remove("seen-2");
        engine_events_free(events);
}

static void a_stopped_engine_is_silent_and_comes_back(void **state)
{
        struct answer answer;

        (void)state;
        engine_signal(engine, SIGSTOP);
        answer = request_within(engine_socket(), "GET", "/_ping", NULL, 0.5);
        assert_int_equal(answer.status, 0);
        answer_release(&answer);
        engine_signal(engine, SIGCONT);
        request_expect(engine_socket(), "GET", "/_ping", NULL, 200);
}

static void a_restarted_engine_answers(void **state)
{
        (void)state;
        engine_restart(engine, SIGKILL);
        engine_restart(engine, SIGTERM);
        request_expect(engine_socket(), "GET", "/_ping", NULL, 200);
}

static void the_outside_greets(void **state)
{
        struct outside *outside = outside_new();
        static struct output output;

        (void)state;
        outside_add(outside, "169.254.169.254/32");
        RUN(&output, "busybox", "nc", "-w", "20", OUTSIDE_ALLOWED, "7777");
        assert_string_equal(output.text, OUTSIDE_GREETING "\n");
        RUN(&output, "busybox", "nc", "-w", "20", "169.254.169.254", "7777");
        assert_string_equal(output.text, OUTSIDE_GREETING "\n");
        RUN(&output, "busybox", "nc", "-w", "1", "9.9.9.9", "7777");
        assert_int_not_equal(output.status, 0);
        outside_free(outside);
}

static void a_volley_answers_every_request(void **state)
{
        struct volley *volley = volley_new(engine_socket(), 10);

        (void)state;
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(volley_add(volley, "GET", i % 2 != 0 ? "/_ping" : "/nowhere", NULL), i);
        assert_int_equal(volley_run(volley, PATIENCE_S), 0);
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(volley_answer(volley, i)->status, i % 2 != 0 ? 200 : 404);
        volley_free(volley);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(decoys_run_and_are_counted),
                cmocka_unit_test(events_are_complete_and_in_order),
                WITH_ENGINE_DAEMON(a_volley_answers_every_request),
                cmocka_unit_test(the_outside_greets),
                WITH_ENGINE_DAEMON(a_stopped_engine_is_silent_and_comes_back),
                WITH_ENGINE_DAEMON(a_restarted_engine_answers),
        };

        return suite_run(&(struct suite){
                .name = "testbed",
                .kind = SUITE_ENGINE,
                SUITE_TESTS(tests),
        });
}
