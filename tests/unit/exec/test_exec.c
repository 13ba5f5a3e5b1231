/* Execs that the engine runs: scripts of what the engine and the user do, and the one answer to each. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "utf8.h"
#include "world.h"

enum act {
        END_OF_SCRIPT,
        STARTED,
        OUT,            /* "abc" to stdout */
        ERR,            /* "xy" to stderr */
        ENDED,          /* the engine's answer ends, with the case's code */
        CLOSED,         /* ... while the program runs on */
        DIED,           /* the event, with the case's code */
        DIED_OTHERWISE, /* ... with another code */
        OTHERS_DIED,    /* the event of another exec */
        RESYNC,
        NOT_FOUND,
        REFUSED,
        UNAVAILABLE,
        LOST,
        LOST_FOR_MEMORY,
        CANCEL,
        PAUSE,
        RESUME,
        TURN,  /* of the loop, until the engine was asked */
        AWAIT, /* until there is an answer */
        SILENT /* there is no answer yet */
};

#define SOON 0.03 /* a timeout in seconds that comes before the grace is over */

static const struct life_case {
        const char *name;
        enum act script[8];
        double timeout_s;
        int code;               /* that the engine reports */
        enum inspect_mood mood; /* of exec_inspect, which says "ended with code" where it answers */
        unsigned answers;       /* 0 or 1 */
        enum fault_kind fault;  /* FAULT_NONE: a result, as follows */
        enum exec_cause cause;
        int exit_code;
        const char *output;
        bool is_truncated;
} LIVES[] = {
        { "exit", { STARTED, OUT, SILENT, ENDED }, .answers = 1, .output = "abc" },
        { "exit, reported twice",
          { STARTED, DIED, SILENT, DIED, SILENT, ENDED, DIED },
          .code = 3,
          .answers = 1,
          .exit_code = 3,
          .output = "" },
        { "exit, reported in two ways",
          { STARTED, DIED, DIED_OTHERWISE, SILENT, ENDED },
          .code = 3,
          .answers = 1,
          .exit_code = 3,
          .output = "" },
        { "an end nobody asked about",
          { OTHERS_DIED, STARTED, OTHERS_DIED, SILENT, ENDED },
          .answers = 1,
          .output = "" },
        { "the event before the last output", { STARTED, OUT, DIED, OUT, ENDED }, .answers = 1, .output = "abcabc" },
        { "a child holds the output", { STARTED, OUT, DIED, AWAIT }, .answers = 1, .output = "abc" },
        { "the event before the start is answered",
          { DIED, STARTED, OUT, AWAIT },
          .code = 5,
          .answers = 1,
          .exit_code = 5,
          .output = "abc" },
        { "output closed early",
          { STARTED, OUT, CLOSED, SILENT, DIED },
          .code = 2,
          .mood = INSPECT_HANGS,
          .answers = 1,
          .exit_code = 2,
          .output = "abc" },
        { "output closed early, the event lost",
          { STARTED, CLOSED, SILENT, AWAIT },
          .code = 4,
          .answers = 1,
          .exit_code = 4,
          .output = "" },
        { "output closed early, then forgotten by the engine",
          { STARTED, CLOSED, SILENT, AWAIT },
          .mood = INSPECT_FORGETS,
          .answers = 1,
          .fault = FAULT_ENGINE_UNAVAILABLE },
        { "asked too early: the output still comes",
          { STARTED, RESYNC, TURN, SILENT, OUT, ENDED },
          .mood = INSPECT_FORGETS,
          .answers = 1,
          .output = "abc" },
        { "events were missed",
          { STARTED, RESYNC, SILENT, AWAIT },
          .code = 6,
          .answers = 1,
          .exit_code = 6,
          .output = "" },
        { "over the cap",
          { STARTED, OUT, OUT, OUT, OUT, OUT, ENDED },
          .answers = 1,
          .output = "abcabcabcabca",
          .is_truncated = true },
        { "a signal",
          { STARTED, ENDED },
          .code = 143,
          .answers = 1,
          .cause = EXEC_SIGNAL,
          .exit_code = 143,
          .output = "" },
        { "refused", { REFUSED }, .answers = 1, .fault = FAULT_ENGINE_REFUSED },
        { "no such container", { NOT_FOUND }, .answers = 1, .fault = FAULT_NOT_FOUND },
        { "perhaps started", { UNAVAILABLE }, .answers = 1, .fault = FAULT_ENGINE_UNAVAILABLE },
        { "container gone",
          { STARTED, OUT, NOT_FOUND },
          .answers = 1,
          .cause = EXEC_CARREL_LOST,
          .exit_code = 137,
          .output = "abc" },
        { "answer broken off, ended",
          { STARTED, OUT, UNAVAILABLE, SILENT, AWAIT },
          .answers = 1,
          .output = "abc",
          .is_truncated = true },
        { "answer broken off, engine down",
          { STARTED, UNAVAILABLE, SILENT, AWAIT },
          .mood = INSPECT_FAILS,
          .answers = 1,
          .fault = FAULT_ENGINE_UNAVAILABLE },
        { "answer broken off, engine hangs",
          { STARTED, UNAVAILABLE, SILENT, AWAIT },
          .mood = INSPECT_HANGS,
          .answers = 1,
          .fault = FAULT_ENGINE_UNAVAILABLE },
        { "answer broken off after the event",
          { STARTED, OUT, DIED, UNAVAILABLE },
          .answers = 1,
          .output = "abc",
          .is_truncated = true },
        { "lost",
          { STARTED, OUT, LOST, DIED },
          .answers = 1,
          .cause = EXEC_CARREL_LOST,
          .exit_code = 137,
          .output = "abc",
          .is_truncated = false },
        { "lost before the start",
          { LOST, STARTED },
          .answers = 1,
          .cause = EXEC_CARREL_LOST,
          .exit_code = 137,
          .output = "" },
        { "lost for memory",
          { STARTED, LOST_FOR_MEMORY },
          .answers = 1,
          .cause = EXEC_OOM,
          .exit_code = 137,
          .output = "" },
        { "an engine that never answers",
          { AWAIT },
          .timeout_s = SOON,
          .answers = 1,
          .cause = EXEC_TIMEOUT,
          .exit_code = 124,
          .output = "",
          .is_truncated = true },
        { "an engine that hangs meanwhile",
          { STARTED, OUT, AWAIT },
          .timeout_s = SOON,
          .mood = INSPECT_HANGS,
          .answers = 1,
          .cause = EXEC_TIMEOUT,
          .exit_code = 124,
          .output = "abc",
          .is_truncated = true },
        { "ended, as the deadline finds out",
          { STARTED, OUT, AWAIT },
          .timeout_s = SOON,
          .code = 7,
          .answers = 1,
          .exit_code = 7,
          .output = "abc" },
        { "a paused reader is waited for",
          { STARTED, OUT, PAUSE, DIED, SILENT, RESUME, AWAIT },
          .answers = 1,
          .output = "abc" },
        { "but not beyond the deadline",
          { STARTED, OUT, PAUSE, DIED, AWAIT },
          .timeout_s = SOON,
          .answers = 1,
          .output = "abc",
          .is_truncated = true },
        { "cancelled", { STARTED, CANCEL, OUT, DIED, ENDED }, .answers = 0 },
        { "cancelled, its end unknown", { STARTED, CANCEL }, .mood = INSPECT_HANGS, .answers = 0 },
        { "cancelled before the start", { CANCEL, STARTED, OUT, ENDED }, .mood = INSPECT_HANGS, .answers = 0 },
        { "cancelled, never started", { CANCEL }, .answers = 0 },
        { "cancelled in the drain", { STARTED, DIED, CANCEL }, .answers = 0 },
        { "cancelled after the deadline",
          { STARTED, CANCEL, DIED },
          .timeout_s = SOON,
          .mood = INSPECT_HANGS,
          .answers = 0 },
        { "cancelled, then lost", { STARTED, CANCEL, LOST }, .answers = 0 },
        { "cancelled, then refused", { CANCEL, REFUSED }, .answers = 0 },
        { "cancelled, then broken off", { CANCEL, UNAVAILABLE }, .answers = 0 },
        { "cancelled in a pause", { STARTED, PAUSE, CANCEL, ENDED }, .mood = INSPECT_HANGS, .answers = 0 },
};

enum { CAP = 13 };

static void act_engine(struct world *world, const struct life_case *life, enum act act)
{
        switch (act) {
        case STARTED:
                double_started(&world->engine, 0);
                break;
        case OUT:
                double_output(&world->engine, 0, 1, "abc");
                break;
        case ERR:
                double_output(&world->engine, 0, 2, "xy");
                break;
        case ENDED:
        case CLOSED:
                double_ended(&world->engine, 0, act == CLOSED, life->code);
                break;
        case NOT_FOUND:
                double_failed(&world->engine, 0, FAULT_NOT_FOUND);
                break;
        case REFUSED:
                double_failed(&world->engine, 0, FAULT_ENGINE_REFUSED);
                break;
        case UNAVAILABLE:
                double_failed(&world->engine, 0, FAULT_ENGINE_UNAVAILABLE);
                break;
        default:
                break;
        }
}

static void act_others(struct world *world, const struct life_case *life, enum act act)
{
        switch (act) {
        case DIED:
                world_event(world, ENGINE_EXEC_DIED, 0, life->code);
                break;
        case DIED_OTHERWISE:
                world_event(world, ENGINE_EXEC_DIED, 0, life->code + 1);
                break;
        case OTHERS_DIED:
                world_event(world, ENGINE_EXEC_DIED, 1, 99);
                break;
        case RESYNC:
                world_event(world, ENGINE_RESYNC, 0, 0);
                break;
        case LOST:
        case LOST_FOR_MEMORY:
                execs_container_lost(world->execs, "beefbeefbeefbeef", true);
                execs_container_lost(world->execs, WORLD_CONTAINER, act == LOST_FOR_MEMORY);
                break;
        case CANCEL:
                world->exec = exec_cancel(world->exec);
                break;
        case PAUSE:
        case RESUME:
                exec_pause(world->exec, act == PAUSE);
                assert_int_equal(world->engine.execs[0].is_paused, act == PAUSE);
                break;
        case TURN:
                ev_run(world->loop, EVRUN_ONCE);
                break;
        case AWAIT:
                world_await_answers(world, 1);
                break;
        case SILENT:
                assert_int_equal(world->n_answers, 0);
                break;
        default:
                break;
        }
}

static void check_answer(const struct world *world, const struct life_case *life)
{
        if (world->n_answers != life->answers || world->fault != life->fault)
                fail_msg("%s: %u answers, fault %d", life->name, world->n_answers, world->fault);
        if (life->answers == 0 || life->fault != FAULT_NONE)
                return;
        if (world->result.cause != life->cause || world->result.exit_code != life->exit_code)
                fail_msg("%s: %s, code %d", life->name, exec_cause_name(world->result.cause), world->result.exit_code);
        if (strcmp(world->output, life->output) != 0 || world->result.is_output_truncated != life->is_truncated)
                fail_msg("%s: output \"%s\", truncated %d", life->name, world->output,
                         world->result.is_output_truncated);
}

static void lives(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof LIVES / sizeof LIVES[0]; i++) {
                const struct life_case *life = &LIVES[i];
                struct exec_request request = { .timeout_s = life->timeout_s, .max_output_bytes = CAP };
                struct world world;

                world_open(&world);
                world.engine.mood = life->mood;
                world.engine.status[0].exit_code = life->code;
                assert_int_equal(world_start(&world, NULL, &request), 0);
                for (size_t step = 0; step < 8 && life->script[step] != END_OF_SCRIPT; step++) {
                        act_engine(&world, life, life->script[step]);
                        act_others(&world, life, life->script[step]);
                }
                check_answer(&world, life);
                world_await_quiet(&world);
                check_answer(&world, life);
                assert_false(double_is_open(&world.engine, 0));
                world_close(&world);
        }
}

/* The same scripts, cut off by the end of the daemon after each step: nothing leaks, and no callback runs. */
static void freed_at_any_moment(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof LIVES / sizeof LIVES[0]; i++) {
                for (size_t cut = 0; cut < 8; cut++) {
                        struct world world;
                        unsigned answers;

                        world_open(&world);
                        assert_int_equal(world_start(&world, NULL, &(struct exec_request){ .timeout_s = SOON }), 0);
                        for (size_t step = 0; step < cut; step++) {
                                enum act act = LIVES[i].script[step];

                                act_engine(&world, &LIVES[i], act);
                                if (act != AWAIT && act != SILENT && !(world.n_answers > 0 && act >= CANCEL))
                                        act_others(&world, &LIVES[i], act);
                        }
                        answers = world.n_answers;
                        world_close(&world);
                        assert_int_equal(world.n_answers, answers);
                        assert_false(double_is_open(&world.engine, 0));
                }
        }
}

static void calls_from_inside_callbacks(void **state)
{
        struct world world;

        (void)state;
        world_open(&world);
        world.cancels_on_output = true;
        assert_int_equal(world_start(&world, NULL, &(struct exec_request){ .is_streaming = true }), 0);
        double_started(&world.engine, 0);
        double_output(&world.engine, 0, 1, "a");
        double_output(&world.engine, 0, 1, "b");
        assert_string_equal(world.streamed, "1a");
        double_ended(&world.engine, 0, false, 0);
        assert_int_equal(world.n_answers, 0);
        assert_true(list_is_empty(&world.execs->running));

        world.cancels_on_done = true;
        assert_int_equal(world_start(&world, NULL, &(struct exec_request){ 0 }), 0);
        double_started(&world.engine, 1);
        double_ended(&world.engine, 1, false, 0);
        assert_int_equal(world.n_answers, 1);

        world.cancels_on_done = false;
        world.starts_on_done = true;
        assert_int_equal(world_start(&world, NULL, &(struct exec_request){ 0 }), 0);
        execs_container_lost(world.execs, WORLD_CONTAINER, false);
        assert_int_equal(world.n_answers, 2);
        /* The exec begun in the answer belongs to the container that replaces the lost one. */
        assert_true(double_is_open(&world.engine, 3));
        world_close(&world);
}

struct views {
        unsigned count;
        char ids[4][EXEC_ID_BYTES];
};

static void on_view(void *arg, const struct exec_view *view)
{
        struct views *views = arg;

        assert_string_equal(view->program, "true");
        assert_true(views->count < 4);
        memcpy(views->ids[views->count++], view->exec_id, EXEC_ID_BYTES);
}

/* Over many turns: an exec that ends meanwhile is left out, wherever the walk is. */
static void walking(void **state)
{
        enum { EXECS = 4 };
        struct world world;
        struct exec *execs[EXECS];
        struct execs_walk walk, other;
        struct exec_view view;

        (void)state;
        world_open(&world);
        for (int i = 0; i < EXECS; i++) {
                assert_int_equal(world_start(&world, NULL, &(struct exec_request){ 0 }), 0);
                execs[i] = world.exec;
        }
        execs_walk_begin(world.execs, &walk);
        execs_walk_begin(world.execs, &other);
        assert_true(execs_walk_next(&walk, &view));
        assert_string_equal(view.exec_id, exec_id(execs[0]));
        exec_cancel(execs[0]); /* after it */
        exec_cancel(execs[1]); /* where it is */
        assert_true(execs_walk_next(&walk, &view));
        assert_string_equal(view.exec_id, exec_id(execs[2]));
        assert_true(execs_walk_next(&other, &view));
        assert_string_equal(view.exec_id, exec_id(execs[2]));
        execs_walk_end(&walk);
        execs_container_lost(world.execs, WORLD_CONTAINER, false);
        assert_false(execs_walk_next(&other, &view));
        execs_walk_end(&other);
        world_close(&world);
}

static void looking(void **state)
{
        struct world world;
        struct views views = { 0 };
        struct exec *first;

        (void)state;
        world_open(&world);
        assert_int_equal(world_start(&world, NULL, &(struct exec_request){ 0 }), 0);
        first = world.exec;
        assert_int_equal(world_start(&world, NULL, &(struct exec_request){ 0 }), 0);
        execs_each(world.execs, NULL, on_view, &views);
        assert_int_equal(views.count, 2);
        assert_string_equal(views.ids[0], exec_id(first));
        assert_string_not_equal(views.ids[0], views.ids[1]);
        assert_int_equal(strspn(views.ids[0], "0123456789abcdef"), EXEC_OWN_ID_BYTES - 1);
        views.count = 0;
        execs_each(world.execs, "beefbeefbeefbeef", on_view, &views);
        assert_int_equal(views.count, 0);
        exec_cancel(first);
        execs_each(world.execs, WORLD_CONTAINER, on_view, &views);
        assert_int_equal(views.count, 1);
        assert_string_equal(views.ids[0], exec_id(world.exec));

        assert_int_equal(execs_signal(world.execs, "no such", SIGTERM), -ENOENT);
        assert_int_equal(execs_signal(world.execs, views.ids[0], 0), -EINVAL);
        assert_int_equal(execs_signal(world.execs, views.ids[0], 64), -EINVAL);
        assert_int_equal(execs_signal(world.execs, views.ids[0], SIGTERM), -ESRCH);
        world.engine.refusal = -ENOMEM;
        assert_int_equal(world_start(&world, NULL, &(struct exec_request){ 0 }), -ENOMEM);
        world_close(&world);
}

static void a_command_is_one_line(void **state)
{
        static const struct {
                const char *argv[4], *command;
        } CASES[] = {
                { { "sh" }, "sh" },
                { { "sh", "-c", "sleep 5; echo 'x'" }, "sh -c 'sleep 5; echo '\\''x'\\'''" },
                { { "printf", "", "a=b" }, "printf '' a=b" },
        };
        char long_word[2000];
        const char *const argv[] = { "echo", long_word, NULL };
        char *command;

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                command = exec_command(CASES[i].argv);
                assert_string_equal(command, CASES[i].command);
                free(command);
        }
        /* Cut between two characters, whatever their length. */
        memset(long_word, 0, sizeof long_word);
        for (size_t i = 0; i + 2 < sizeof long_word; i += 2)
                memcpy(long_word + i, "\xC3\xA9", 2);
        command = exec_command(argv);
        assert_in_range(strlen(command), EXEC_COMMAND_BYTES - 4, EXEC_COMMAND_BYTES);
        assert_true(utf8_is_text(command, strlen(command)));
        free(command);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lives),
                cmocka_unit_test(freed_at_any_moment),
                cmocka_unit_test(calls_from_inside_callbacks),
                cmocka_unit_test(looking),
                cmocka_unit_test(walking),
                cmocka_unit_test(a_command_is_one_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
