/* Output that waits in its pipes until it is read: which bytes come, in which order, and that nothing delays an end. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent-rig.h"
#include "clock.h"

static const struct exec_request PULLED = { .is_streaming = true, .is_pulled = true };

static void begin(struct rig *rig, const struct exec_request *request)
{
        open_rig(rig, false);
        begin_exec(rig, request);
        assert_int_equal(hear(rig, rig->agent), AGENT_START);
        say_started(rig->agent, 1);
}

static void put(int fd, const char *text)
{
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void await_readable(struct rig *rig, unsigned count)
{
        while (rig->world.n_readables < count && !rig->world.has_barked)
                ev_run(rig->world.loop, EVRUN_ONCE);
        assert_false(rig->world.has_barked);
}

static void await_exited(struct rig *rig)
{
        const struct agent_exec *exec = (const struct agent_exec *)rig->world.exec;

        while (!(exec->seen & SAW_EXITED) && !rig->world.has_barked)
                ev_run(rig->world.loop, EVRUN_ONCE);
        assert_false(rig->world.has_barked);
}

/* ---- there and back ---- */

static void a_pull_brings_output(void **state)
{
        struct rig rig;

        (void)state;
        begin(&rig, &PULLED);
        put(rig.fds[0], "one");
        await_readable(&rig, 1);
        assert_string_equal(rig.world.streamed, "");
        world_pull(&rig.world, 2);
        assert_string_equal(rig.world.streamed, "1on1e");
        put(rig.fds[1], "two");
        await_readable(&rig, 2);
        world_pull(&rig.world, 64);
        assert_string_equal(rig.world.streamed, "1on1e2two");
        close_fds(&rig);
        say_exited(rig.agent, 1, 0, 7);
        rig.world.is_pulling = true;
        world_await_answers(&rig.world, 1);
        assert_int_equal(rig.world.result.cause, EXEC_EXIT);
        assert_int_equal(rig.world.result.exit_code, 7);
        close_rig(&rig);
}

/* No stream waits for the other. */
static void streams_take_turns(void **state)
{
        struct rig rig;

        (void)state;
        begin(&rig, &PULLED);
        put(rig.fds[0], "aaaa");
        put(rig.fds[1], "bb");
        await_readable(&rig, 1);
        world_pull(&rig.world, 1);
        assert_string_equal(rig.world.streamed, "1a2b1a2b1a1a");
        close_fds(&rig);
        close_rig(&rig);
}

/* A caller that does not read is not called again, and the program's end is not reported before its output. */
static void output_that_is_not_pulled_waits(void **state)
{
        struct rig rig;
        const struct agent_exec *exec;

        (void)state;
        begin(&rig, &PULLED);
        exec = (const struct agent_exec *)rig.world.exec;
        put(rig.fds[0], "words");
        await_readable(&rig, 1);
        close_fds(&rig);
        say_exited(rig.agent, 1, 0, 0);
        await_exited(&rig);
        assert_false(ev_is_active(&exec->drain));
        assert_int_equal(rig.world.n_answers, 0);
        assert_int_equal(rig.world.n_readables, 1);
        world_pull(&rig.world, 64); /* finds the end, too */
        assert_string_equal(rig.world.streamed, "1words");
        assert_int_equal(rig.world.n_answers, 1);
        close_rig(&rig);
}

/* The reads of its burst are spent, so that it would wait in its pipe for a minute. The end of the program does not. */
static void a_rest_does_not_hold_up_the_end(void **state)
{
        struct rig rig;
        struct agent_exec *exec;

        (void)state;
        begin(&rig, &PULLED);
        exec = (struct agent_exec *)rig.world.exec;
        exec->outputs[0].pace =
                (struct output_pace){ .spent = OUTPUT_PACE_BURST + 60 * OUTPUT_PACE_PER_S, .at_s = clock_boottime_s() };
        rig.world.is_pulling = true;
        put(rig.fds[0], "lines");
        while (!ev_is_active(&exec->outputs[0].rest) && !rig.world.has_barked)
                ev_run(rig.world.loop, EVRUN_ONCE);
        assert_int_equal(rig.world.n_readables, 0);
        put(rig.fds[0], "more");
        close_fds(&rig);
        say_exited(rig.agent, 1, 0, 0);
        world_await_answers(&rig.world, 1);
        assert_string_equal(rig.world.streamed, "1linesmore");
        close_rig(&rig);
}

/* A short one, without an end. */
static void a_rest_ends(void **state)
{
        struct rig rig;
        struct agent_exec *exec;

        (void)state;
        begin(&rig, &PULLED);
        exec = (struct agent_exec *)rig.world.exec;
        exec->outputs[0].pace = (struct output_pace){ .spent = OUTPUT_PACE_BURST + 50, .at_s = clock_boottime_s() };
        put(rig.fds[0], "lines");
        await_readable(&rig, 1);
        assert_false(ev_is_active(&exec->outputs[0].rest));
        world_pull(&rig.world, 64);
        assert_string_equal(rig.world.streamed, "1lines");
        close_fds(&rig);
        close_rig(&rig);
}

/* Without a process in the background, the rest comes by itself. */
static void last_output_comes_by_itself(void **state)
{
        struct rig rig;

        (void)state;
        begin(&rig, &PULLED);
        while (rig.world.n_starts == 0 && !rig.world.has_barked)
                ev_run(rig.world.loop, EVRUN_ONCE);
        say_exited(rig.agent, 1, 0, 0);
        put(rig.fds[0], "last");
        close_fds(&rig);
        rig.world.is_pulling = true;
        world_await_answers(&rig.world, 1);
        assert_string_equal(rig.world.streamed, "1last");
        close_rig(&rig);
}

/* ---- the background ---- */

/* The program has ended, and a child of it holds the pipe: its output is read until the limit. */
static void a_quiet_child_does_not_hold_up_the_end(void **state)
{
        struct rig rig;
        int held;

        (void)state;
        begin(&rig, &PULLED);
        rig.world.is_pulling = true;
        put(rig.fds[0], "words");
        held = dup(rig.fds[0]);
        close_fds(&rig);
        say_exited(rig.agent, 1, 0, 0);
        world_await_answers(&rig.world, 1);
        assert_string_equal(rig.world.streamed, "1words");
        assert_false(rig.world.result.is_output_truncated);
        assert_true(rig.world.result.is_open);
        close(held);
        close_rig(&rig);
}

static void refill(struct rig *rig, int fd)
{
        while (rig->world.n_answers == 0 && !rig->world.has_barked) {
                char bytes[WORLD_TEXT_BYTES];
                int stream = 0;

                put(fd, "x");
                (void)exec_read(rig->world.exec, &stream, bytes, sizeof bytes);
                ev_run(rig->world.loop, EVRUN_NOWAIT);
        }
        assert_false(rig->world.has_barked);
}

/* The child writes on and on, and the reader reads on and on: the limit holds, and the result says that the stream is
 * still open. */
static void a_busy_child_does_not_hold_up_the_end(void **state)
{
        struct rig rig;
        int held;

        (void)state;
        begin(&rig, &PULLED);
        put(rig.fds[0], "words");
        await_readable(&rig, 1);
        held = dup(rig.fds[0]);
        close_fds(&rig);
        say_exited(rig.agent, 1, 0, 0);
        await_exited(&rig);
        refill(&rig, held);
        assert_int_equal(rig.world.result.cause, EXEC_EXIT);
        assert_true(rig.world.result.is_open);
        close(held);
        close_rig(&rig);
}

/* A deadline has killed the exec, and another process holds the pipe: only the bytes that were in it come. */
static void the_pipe_of_the_dead_is_emptied_once(void **state)
{
        struct rig rig;
        int held;

        (void)state;
        begin(&rig, &(struct exec_request){ .is_streaming = true, .is_pulled = true, .timeout_s = 0.01 });
        put(rig.fds[0], "words");
        await_readable(&rig, 1);
        held = dup(rig.fds[0]);
        assert_int_equal(hear(&rig, rig.agent), AGENT_SIGNAL);
        say_exited(rig.agent, 1, 1, SIGTERM);
        await_exited(&rig);
        assert_int_equal(rig.world.n_answers, 0);
        refill(&rig, held);
        assert_int_equal(rig.world.result.cause, EXEC_TIMEOUT);
        close(held);
        close_rig(&rig);
}

/* ---- who leaves ---- */

static void a_client_leaves_readable_output(void **state)
{
        struct rig rig;

        (void)state;
        begin(&rig, &PULLED);
        put(rig.fds[0], "words");
        await_readable(&rig, 1);
        rig.world.exec = exec_cancel(rig.world.exec);
        assert_int_equal(hear(&rig, rig.agent), AGENT_SIGNAL);
        say_exited(rig.agent, 1, 1, SIGTERM);
        world_await_quiet(&rig.world);
        assert_int_equal(rig.world.n_answers, 0);
        assert_string_equal(rig.world.streamed, "");
        close_rig(&rig);
}

static void a_carrel_is_lost_under_it(void **state)
{
        struct rig rig;

        (void)state;
        begin(&rig, &PULLED);
        put(rig.fds[0], "words");
        await_readable(&rig, 1);
        execs_container_lost(rig.world.execs, WORLD_CONTAINER, false);
        assert_int_equal(rig.world.n_answers, 1);
        assert_int_equal(rig.world.result.cause, EXEC_CARREL_LOST);
        close_rig(&rig);
}

/* Output in frames is pushed. */
static void frames_are_pushed(void **state)
{
        struct rig rig;

        (void)state;
        open_rig(&rig, true);
        begin_exec(&rig, &PULLED);
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        say_started(rig.agent, 1);
        agent_write_data(&said, 1, AGENT_STREAM_OUT, "more", 4);
        say(rig.agent);
        say_outputs_end(rig.agent, 1);
        say_exited(rig.agent, 1, 0, 0);
        world_await_answers(&rig.world, 1);
        assert_string_equal(rig.world.streamed, "1more");
        assert_int_equal(rig.world.n_readables, 0);
        close_rig(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_rest_does_not_hold_up_the_end),
                cmocka_unit_test(a_rest_ends),
                cmocka_unit_test(a_pull_brings_output),
                cmocka_unit_test(streams_take_turns),
                cmocka_unit_test(output_that_is_not_pulled_waits),
                cmocka_unit_test(last_output_comes_by_itself),
                cmocka_unit_test(a_quiet_child_does_not_hold_up_the_end),
                cmocka_unit_test(a_busy_child_does_not_hold_up_the_end),
                cmocka_unit_test(the_pipe_of_the_dead_is_emptied_once),
                cmocka_unit_test(a_client_leaves_readable_output),
                cmocka_unit_test(a_carrel_is_lost_under_it),
                cmocka_unit_test(frames_are_pushed),
        };

        return cmocka_run_group_tests_name("exec: pulled output", tests, NULL, NULL);
}
