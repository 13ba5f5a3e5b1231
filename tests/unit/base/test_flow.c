/* Every step of a table x every way to end x every way its undo can go; then the edges that no table shows. */
#include <errno.h>
#include <ev.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "flow.h"
#include "str.h"

enum { STEPS = 3 };

/* How one run or one undo of the test's subject behaves. */
enum conduct {
        GOES_ON,
        FAILS,
        FAILS_SILENTLY,     /* FAIL without a word in flow_why */
        WAITS,              /* a callback from the loop calls flow_next */
        WAITS_AND_FAILS,    /* ... flow_fail */
        RESUMES_AT_ONCE,    /* calls flow_next itself, then answers WAIT */
        FAILS_AT_ONCE,      /* calls flow_fail itself, then answers WAIT */
        WAITS_FOREVER,      /* until its deadline */
        IS_CANCELLED,       /* waits, and is cancelled from the loop */
        CANCELS_AND_WAITS,  /* calls flow_cancel itself, then answers WAIT */
        CANCELS_AND_GOES_ON /* calls flow_cancel itself, then answers NEXT */
};

struct world {
        struct ev_loop *loop;
        struct flow *flow;
        ev_timer callback; /* what a waiting step waits for */
        enum conduct callback_conduct;
        enum conduct runs[STEPS];
        enum conduct undos[STEPS];
        char trace[256]; /* r0 r1 ... u1 u0, a: abandon, D: done, F: done with a failure */
        struct fault why;
        unsigned done_count;
        unsigned told_runs;
        unsigned told_failed_runs;
        unsigned told_undos;
        unsigned told_failed_undos;
        bool frees_in_done;
};

static const struct fault FAILURE = { .kind = FAULT_ENGINE_REFUSED, .err = EPERM, .message = "no" };
static const struct fault CANCEL = { .kind = FAULT_CANCELLED, .err = ECANCELED, .message = "cancelled" };

static void note(struct world *world, const char *what)
{
        size_t length = strlen(world->trace);

        assert_true(length + strlen(what) < sizeof world->trace);
        memcpy(world->trace + length, what, strlen(what) + 1);
}

static void on_callback(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct world *world = timer->data;

        (void)loop;
        (void)events;
        switch (world->callback_conduct) {
        case WAITS:
                flow_next(world->flow);
                flow_next(world->flow); /* a second call is ignored */
                break;
        case WAITS_AND_FAILS:
                flow_fail(world->flow, &FAILURE);
                flow_next(world->flow);
                break;
        default:
                flow_cancel(world->flow, &CANCEL);
                flow_cancel(world->flow, &FAILURE); /* the first reason stays */
                flow_next(world->flow);             /* too late, and so ignored */
                break;
        }
}

static enum flow_verdict fail_with_reason(struct world *world)
{
        (void)fault_pass(flow_why(world->flow), &FAILURE);
        return FLOW_FAIL;
}

static enum flow_verdict behave(struct world *world, enum conduct conduct)
{
        switch (conduct) {
        case GOES_ON: /* a reason that it leaves is not the next step's */
                (void)fault_set(flow_why(world->flow), FAULT_NOT_FOUND, ENOENT, "stray");
                return FLOW_NEXT;
        case FAILS:
                return fail_with_reason(world);
        case FAILS_SILENTLY:
                return FLOW_FAIL;
        case RESUMES_AT_ONCE:
                flow_next(world->flow);
                return FLOW_WAIT;
        case FAILS_AT_ONCE:
                flow_fail(world->flow, &FAILURE);
                flow_next(world->flow); /* a second call is ignored */
                return FLOW_WAIT;
        case WAITS_FOREVER:
                return FLOW_WAIT;
        case CANCELS_AND_WAITS:
                flow_cancel(world->flow, &CANCEL);
                return FLOW_WAIT;
        case CANCELS_AND_GOES_ON:
                flow_cancel(world->flow, &CANCEL);
                return FLOW_NEXT;
        case WAITS:
        case WAITS_AND_FAILS:
        case IS_CANCELLED:
        default:
                world->callback_conduct = conduct;
                ev_timer_set(&world->callback, 0.0, 0.0);
                ev_timer_start(world->loop, &world->callback);
                return FLOW_WAIT;
        }
}

static size_t step_index(const struct flow *flow)
{
        return (size_t)(flow_step_name(flow)[0] - '0');
}

static enum flow_verdict run_step(struct flow *flow, void *subject)
{
        struct world *world = subject;
        char text[3] = { 'r', flow_step_name(flow)[0] };

        assert_false(flow_is_unwinding(flow));
        note(world, text);
        return behave(world, world->runs[step_index(flow)]);
}

static enum flow_verdict undo_step(struct flow *flow, void *subject)
{
        struct world *world = subject;
        char text[3] = { 'u', flow_step_name(flow)[0] };

        assert_true(flow_is_unwinding(flow));
        note(world, text);
        return behave(world, world->undos[step_index(flow)]);
}

static void abandon(void *subject)
{
        struct world *world = subject;

        ev_timer_stop(world->loop, &world->callback);
        note(world, "a");
}

static void on_done(void *subject, const struct fault *why)
{
        struct world *world = subject;

        world->done_count++;
        note(world, why == NULL ? "D" : "F");
        if (why != NULL)
                world->why = *why;
        flow_cancel(world->flow, &FAILURE); /* no effect any more */
        flow_next(world->flow);
        if (world->frees_in_done)
                world->flow = flow_free(world->flow);
}

static void on_step_told(void *arg, const char *flow, const char *step, double duration_s, bool has_succeeded)
{
        struct world *world = arg;

        assert_string_equal(flow, "test");
        assert_true(duration_s >= 0);
        world->told_runs++;
        world->told_failed_runs += !has_succeeded;
}

static void on_undo_told(void *arg, const char *flow, const char *step, double duration_s, const struct fault *why)
{
        struct world *world = arg;

        world->told_undos++;
        if (why == NULL)
                return;
        assert_true(why->kind != FAULT_NONE);
        world->told_failed_undos++;
}

static void world_set_up(struct world *world)
{
        world->loop = ev_loop_new(EVFLAG_AUTO);
        assert_non_null(world->loop);
        ev_timer_init(&world->callback, on_callback, 0.0, 0.0);
        world->callback.data = world;
}

/* Runs a flow of STEPS steps to its end; only the steps that wait forever have a deadline that comes. */
static void world_run(struct world *world, bool is_cancelled_before_start)
{
        struct step steps[STEPS + 1] = { { "0", run_step, undo_step, 60 },
                                         { "1", run_step, undo_step, 60 },
                                         { "2", run_step, undo_step, 60 } };
        const struct flow_plan plan = { "test", steps, abandon, on_done };
        const struct flow_observer observer = { on_step_told, world, on_undo_told };

        for (size_t i = 0; i < STEPS; i++)
                if (world->runs[i] == WAITS_FOREVER || world->undos[i] == WAITS_FOREVER)
                        steps[i].deadline_s = 0.001;
        world_set_up(world);
        assert_int_equal(flow_start(&world->flow, world->loop, &plan, world, &observer), 0);
        assert_string_equal(world->trace, ""); /* nothing runs inside flow_start */
        if (is_cancelled_before_start)
                flow_cancel(world->flow, &CANCEL);
        ev_run(world->loop, 0); /* ends when nothing is watched any more: a lost flow has not called done */
        assert_int_equal(world->done_count, 1);
        ev_loop_destroy(world->loop);
}

static const struct ending {
        const char *name;
        const char *abandoned; /* "a" when abandon is called */
        enum conduct conduct;
        enum fault_kind kind;
} ENDINGS[] = {
        { "error", "", FAILS, FAULT_ENGINE_REFUSED },
        { "error without a reason", "", FAILS_SILENTLY, FAULT_INTERNAL },
        { "error after a wait", "", WAITS_AND_FAILS, FAULT_ENGINE_REFUSED },
        { "error from within", "", FAILS_AT_ONCE, FAULT_ENGINE_REFUSED },
        { "timeout", "a", WAITS_FOREVER, FAULT_DEADLINE },
        { "cancel from the loop", "a", IS_CANCELLED, FAULT_CANCELLED },
        { "cancel from within, waiting", "a", CANCELS_AND_WAITS, FAULT_CANCELLED },
        { "cancel from within, done", "", CANCELS_AND_GOES_ON, FAULT_CANCELLED },
};

static const struct undoing {
        const char *name;
        const char *abandoned;
        enum conduct conduct;
        bool has_failed;
} UNDOINGS[] = {
        { "at once", "", GOES_ON, false },
        { "after a wait", "", WAITS, false },
        { "from within", "", RESUMES_AT_ONCE, false },
        { "error", "", FAILS, true },
        { "error without a reason", "", FAILS_SILENTLY, true },
        { "error after a wait", "", WAITS_AND_FAILS, true },
        { "timeout", "a", WAITS_FOREVER, true },
        { "cancel is ignored", "", CANCELS_AND_GOES_ON, false },
};

#define COUNT(array) (sizeof array / sizeof((array)[0]))

static void assert_one_ending(size_t ends_at, const struct ending *ending, size_t odd, const struct undoing *undoing,
                              bool others_wait)
{
        struct world world = { 0 };
        char expected[64] = "";
        size_t length = 0;

        for (size_t i = 0; i < STEPS; i++)
                world.runs[i] = world.undos[i] = others_wait ? WAITS : GOES_ON;
        world.runs[ends_at] = ending->conduct;
        world.undos[odd] = undoing->conduct;
        for (size_t i = 0; i <= ends_at; i++)
                length += (size_t)snprintf(expected + length, sizeof expected - length, "r%zu", i);
        length += (size_t)snprintf(expected + length, sizeof expected - length, "%s", ending->abandoned);
        for (size_t i = ends_at + 1; i-- > 0;)
                length += (size_t)snprintf(expected + length, sizeof expected - length, "u%zu%s", i,
                                           i == odd ? undoing->abandoned : "");
        (void)snprintf(expected + length, sizeof expected - length, "F");

        world_run(&world, false);
        if (strcmp(world.trace, expected) != 0 || world.why.kind != ending->kind)
                fail_msg("step %zu: %s; undo %zu: %s: got %s (%s), expected %s (%s)", ends_at, ending->name, odd,
                         undoing->name, world.trace, fault_code(world.why.kind), expected, fault_code(ending->kind));
        assert_int_equal(world.told_runs, ends_at + 1);
        assert_int_equal(world.told_failed_runs, ending->conduct != CANCELS_AND_GOES_ON);
        assert_int_equal(world.told_undos, ends_at + 1);
        assert_int_equal(world.told_failed_undos, undoing->has_failed);
}

static void test_every_step_and_ending(void **state)
{
        for (size_t step = 0; step < STEPS; step++)
                for (size_t ending = 0; ending < COUNT(ENDINGS); ending++)
                        for (size_t odd = 0; odd <= step; odd++)
                                for (size_t undoing = 0; undoing < COUNT(UNDOINGS); undoing++)
                                        for (int waits = 0; waits < 2; waits++)
                                                assert_one_ending(step, &ENDINGS[ending], odd, &UNDOINGS[undoing],
                                                                  waits != 0);
}

static void test_success(void **state)
{
        static const enum conduct CONDUCTS[] = { GOES_ON, WAITS, RESUMES_AT_ONCE };

        for (size_t i = 0; i < COUNT(CONDUCTS); i++) {
                struct world world = { .runs = { CONDUCTS[i], CONDUCTS[i], CONDUCTS[i] } };

                world_run(&world, false);
                assert_string_equal(world.trace, "r0r1r2D");
                assert_int_equal(world.told_runs, STEPS);
                assert_int_equal(world.told_failed_runs, 0);
                assert_int_equal(world.told_undos, 0);
        }
}

static void test_cancel_before_the_first_step(void **state)
{
        struct world world = { 0 };

        world_run(&world, true);
        assert_string_equal(world.trace, "F");
        assert_int_equal(world.why.kind, FAULT_CANCELLED);
}

static void test_free_inside_done(void **state)
{
        struct world world = { .frees_in_done = true };

        world_run(&world, false);
        assert_string_equal(world.trace, "r0r1r2D");
}

static void test_free_without_done(void **state)
{
        static const struct step STEP[] = { { "0", run_step, undo_step, 60 }, { 0 } };
        static const struct flow_plan PLAN = { "test", STEP, abandon, on_done };
        struct world world = { .runs = { WAITS_FOREVER } };

        assert_null(flow_free(NULL));
        world_set_up(&world);
        assert_int_equal(flow_start(&world.flow, world.loop, &PLAN, &world, NULL), 0);
        while (world.trace[0] == '\0')
                ev_run(world.loop, EVRUN_ONCE);
        assert_null(flow_free(world.flow));
        ev_run(world.loop, 0);
        assert_string_equal(world.trace, "r0");
        ev_loop_destroy(world.loop);
}

static enum flow_verdict free_itself(struct flow *flow, void *subject)
{
        note(subject, "r0");
        (void)flow_free(flow);
        return *flow_step_name(flow) == '0' ? FLOW_NEXT : FLOW_FAIL; /* still readable in its own frame */
}

static void test_free_inside_a_step(void **state)
{
        static const struct step STEP[] = { { "0", free_itself, NULL, 0 }, { "1", run_step, NULL, 0 }, { 0 } };
        static const struct flow_plan PLAN = { "test", STEP, NULL, on_done };
        struct world world = { 0 };

        world_set_up(&world);
        assert_int_equal(flow_start(&world.flow, world.loop, &PLAN, &world, NULL), 0);
        ev_run(world.loop, 0);
        assert_string_equal(world.trace, "r0");
        ev_loop_destroy(world.loop);
}

static void test_steps_without_undo(void **state)
{
        static const struct step TABLE[] = {
                { "0", run_step, undo_step, 0 }, { "1", run_step, NULL, 0 }, { "2", run_step, NULL, 0 }, { 0 }
        };
        static const struct flow_plan PLAN = { "test", TABLE, NULL, on_done };
        struct world world = { .runs = { GOES_ON, GOES_ON, FAILS } };

        world_set_up(&world);
        assert_int_equal(flow_start(&world.flow, world.loop, &PLAN, &world, NULL), 0);
        ev_run(world.loop, 0);
        assert_string_equal(world.trace, "r0r1r2u0F");
        ev_loop_destroy(world.loop);
}

struct depth {
        uintptr_t lowest;
        uintptr_t highest;
        unsigned runs;
};

static enum flow_verdict measure_stack(struct flow *flow, void *subject)
{
        struct depth *depth = subject;
        uintptr_t frame = (uintptr_t)__builtin_frame_address(0);

        depth->lowest = frame < depth->lowest ? frame : depth->lowest;
        depth->highest = frame > depth->highest ? frame : depth->highest;
        depth->runs++;
        if (depth->runs % 2 == 0)
                return FLOW_NEXT;
        flow_next(flow);
        return FLOW_WAIT;
}

static void test_stack_of_a_long_table(void **state)
{
        enum { MANY = 20000 };
        struct depth depth = { .lowest = UINTPTR_MAX };
        struct step *table = calloc(MANY + 1, sizeof *table);
        const struct flow_plan plan = { "long", table, NULL, NULL };
        struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
        struct flow *flow = NULL;

        assert_non_null(table);
        for (size_t i = 0; i < MANY; i++)
                table[i] = (struct step){ "step", measure_stack, NULL, 0 };
        assert_int_equal(flow_start(&flow, loop, &plan, &depth, NULL), 0);
        ev_run(loop, 0);
        assert_int_equal(depth.runs, MANY);
        assert_int_equal(depth.highest - depth.lowest, 0);
        ev_loop_destroy(loop);
        free(table);
}

#ifdef CARREL_FAILPOINTS
static const struct failpoint_case {
        const char *value;
        const char *trace;
        const char *message; /* part of it */
        enum fault_kind kind;
        unsigned failed_undos;
} FAILPOINTS[] = {
        { "test.1.before:error", "r0u1u0F", "test.1.before", FAULT_INTERNAL, 0 },
        { "test.1.after:error", "r0r1u1u0F", "test.1.after", FAULT_INTERNAL, 0 },
        { "test.1.before:hang", "r0au1u0F", "step 1", FAULT_DEADLINE, 0 },
        { "test.1.after:hang", "r0r1au1u0F", "step 1", FAULT_DEADLINE, 0 },
        { "test.2.before:error,test.1.undo:error", "r0r1u2u0F", "test.2.before", FAULT_INTERNAL, 1 },
        { "test.2.before:error,test.1.undo:hang", "r0r1u2au0F", "test.2.before", FAULT_INTERNAL, 1 },
        { "test.1.before:eror", "r0u1u0F", "test.1.before", FAULT_INTERNAL, 0 }, /* a mistyped action fails loudly */
        { "test.1.before", "r0r1r2D", "", FAULT_NONE, 0 },
        { "tes.1.before:error", "r0r1r2D", "", FAULT_NONE, 0 },
        { "test.1.undo:error", "r0r1r2D", "", FAULT_NONE, 0 },
        { "xtest.1.before:error", "r0r1r2D", "", FAULT_NONE, 0 },
        { "", "r0r1r2D", "", FAULT_NONE, 0 },
};

/* world_run with short deadlines everywhere, for what hangs. */
static void run_impatiently(struct world *world)
{
        static const struct step TABLE[] = { { "0", run_step, undo_step, 0.001 },
                                             { "1", run_step, undo_step, 0.001 },
                                             { "2", run_step, undo_step, 0.001 },
                                             { 0 } };
        static const struct flow_plan PLAN = { "test", TABLE, abandon, on_done };
        const struct flow_observer observer = { on_step_told, world, on_undo_told };

        world_set_up(world);
        assert_int_equal(flow_start(&world->flow, world->loop, &PLAN, world, &observer), 0);
        ev_run(world->loop, 0);
        ev_loop_destroy(world->loop);
}

static void test_failpoints(void **state)
{
        for (size_t i = 0; i < COUNT(FAILPOINTS); i++) {
                const struct failpoint_case *expected = &FAILPOINTS[i];
                struct world world = { 0 };

                assert_int_equal(setenv("CARREL_FAILPOINT", expected->value, 1), 0);
                run_impatiently(&world);
                assert_int_equal(unsetenv("CARREL_FAILPOINT"), 0);
                if (strcmp(world.trace, expected->trace) != 0)
                        fail_msg("%s: got %s, expected %s", expected->value, world.trace, expected->trace);
                assert_int_equal(world.done_count, 1);
                assert_int_equal(world.why.kind, expected->kind);
                assert_non_null(strstr(world.why.message, expected->message));
                assert_int_equal(world.told_failed_undos, expected->failed_undos);
        }
}

/* Runs a flow with the failpoint in a child; returns the child's wait status. */
static int run_in_child(const char *failpoint)
{
        int status = 0;
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
                struct world world = { .runs = { WAITS, WAITS, FAILS } };

                (void)setenv("CARREL_FAILPOINT", failpoint, 1);
                run_impatiently(&world);
                _exit(strcmp(world.trace, "r0r1r2u2u1u0F") == 0 ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        return status;
}

static void test_failpoint_kill(void **state)
{
        static const char *const KILLERS[] = { "test.0.before:kill", "test.1.after:kill", "test.1.undo:kill" };
        int status = run_in_child("test.2.after:kill"); /* never reached: the step fails */

        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        for (size_t i = 0; i < COUNT(KILLERS); i++) {
                status = run_in_child(KILLERS[i]);
                assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        }
}
#endif

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_step_and_ending),
                cmocka_unit_test(test_success),
                cmocka_unit_test(test_cancel_before_the_first_step),
                cmocka_unit_test(test_free_inside_done),
                cmocka_unit_test(test_free_without_done),
                cmocka_unit_test(test_free_inside_a_step),
                cmocka_unit_test(test_steps_without_undo),
                cmocka_unit_test(test_stack_of_a_long_table),
#ifdef CARREL_FAILPOINTS
                cmocka_unit_test(test_failpoints),
                cmocka_unit_test(test_failpoint_kill),
#endif
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
