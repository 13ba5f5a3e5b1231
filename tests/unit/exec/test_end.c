/* Ends of an agent's exec that it does not choose itself: with its container, or with a reader that stalls. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent-rig.h"

static const struct agent_exec *exec_of(const struct rig *rig)
{
        return (const struct agent_exec *)rig->world.exec;
}

static void await_seen(struct rig *rig, enum agent_seen seen)
{
        while (!(exec_of(rig)->seen & seen) && !rig->world.has_barked)
                ev_run(rig->world.loop, EVRUN_ONCE);
        assert_false(rig->world.has_barked);
}

/* ---- a container that goes ---- */

static void lost_before_the_start_is_a_fault(void **state)
{
        struct rig rig;

        (void)state;
        open_rig(&rig, false);
        begin_exec(&rig, &(struct exec_request){ 0 });
        execs_container_lost(rig.world.execs, WORLD_CONTAINER, false);
        assert_int_equal(rig.world.n_answers, 1);
        assert_int_equal(rig.world.fault, FAULT_CARREL_LOST);
        close_rig(&rig);
}

static void lost_after_the_start_is_a_cause(void **state)
{
        struct rig rig;

        (void)state;
        open_rig(&rig, false);
        begin_exec(&rig, &(struct exec_request){ 0 });
        say_started(rig.agent, 1); /* still in the socket when the container goes */
        execs_container_lost(rig.world.execs, WORLD_CONTAINER, false);
        assert_int_equal(rig.world.n_answers, 1);
        assert_int_equal(rig.world.result.cause, EXEC_CARREL_LOST);
        close_rig(&rig);
}

static void last_messages_count(void **state)
{
        struct rig rig;

        (void)state;
        open_rig(&rig, false);
        begin_exec(&rig, &(struct exec_request){ 0 });
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        close_fds(&rig);
        say_started(rig.agent, 1);
        say_exited(rig.agent, 1, 0, 5);
        execs_container_lost(rig.world.execs, WORLD_CONTAINER, false);
        assert_int_equal(rig.world.n_answers, 1);
        assert_int_equal(rig.world.result.cause, EXEC_EXIT);
        assert_int_equal(rig.world.result.exit_code, 5);
        close_rig(&rig);
}

/* The agent ended with unread packets: the kernel reports that before the agent's last messages. */
static void last_messages_of_a_hasty_agent_count(void **state)
{
        struct rig rig;

        (void)state;
        open_rig(&rig, false);
        begin_exec(&rig, &(struct exec_request){ 0 });
        say_started(rig.agent, 1);
        say_exited(rig.agent, 1, 0, 5);
        close(rig.agent); /* the START is in it */
        rig.agent = -1;
        execs_container_lost(rig.world.execs, WORLD_CONTAINER, false);
        assert_int_equal(rig.world.n_answers, 1);
        assert_int_equal(rig.world.fault, FAULT_NONE);
        assert_int_equal(rig.world.result.cause, EXEC_EXIT);
        assert_int_equal(rig.world.result.exit_code, 5);
        close_rig(&rig);
}

/* The exec has exited, and only its reader is slow: its end is known, and that output was not taken. */
static void lost_after_its_exit_has_its_own_cause(void **state)
{
        struct rig rig;

        (void)state;
        open_rig(&rig, false);
        begin_exec(&rig, &(struct exec_request){ .is_streaming = true });
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        exec_pause(rig.world.exec, true);
        say_started(rig.agent, 1);
        assert_int_equal(write(rig.fds[0], "words", 5), 5);
        say_exited(rig.agent, 1, 0, 3);
        await_seen(&rig, SAW_EXITED);
        assert_int_equal(rig.world.n_answers, 0);
        execs_container_lost(rig.world.execs, WORLD_CONTAINER, true);
        assert_int_equal(rig.world.n_answers, 1);
        assert_int_equal(rig.world.result.cause, EXEC_EXIT);
        assert_int_equal(rig.world.result.exit_code, 3);
        assert_true(rig.world.result.is_output_truncated);
        close_rig(&rig);
}

static unsigned count_fds(void)
{
        DIR *directory = opendir("/proc/self/fd");
        unsigned n = 0;

        assert_non_null(directory);
        while (readdir(directory) != NULL)
                n++;
        closedir(directory);
        return n;
}

/* A directory that is not empty stands for a group in which a process lives. */
static void put_into_a_full_group(struct rig *rig, const char *top)
{
        struct agent_exec *exec = (struct agent_exec *)rig->world.exec;
        struct exec_cgroups *cgroups = &rig->channel->cgroups;

        cgroups->freezer.directory = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_return_code(cgroups->freezer.directory, errno);
        (void)snprintf(exec->cgroup.name, sizeof exec->cgroup.name, "group");
        assert_return_code(mkdirat(cgroups->freezer.directory, "group", 0700), errno);
        assert_return_code(mkdirat(cgroups->freezer.directory, "group/member", 0700), errno);
        exec->cgroup.directory = openat(cgroups->freezer.directory, "group", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        exec->cgroup.join = openat(cgroups->freezer.directory, "group/member", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(exec->cgroup.directory >= 0 && exec->cgroup.join >= 0);
}

static void remove_full_group(const char *top)
{
        int directory = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_return_code(unlinkat(directory, "group/member", AT_REMOVEDIR), errno);
        assert_return_code(unlinkat(directory, "group", AT_REMOVEDIR), errno);
        close(directory);
        assert_return_code(rmdir(top), errno);
}

/* The execs of a retired carrel end while the carrel still lives. */
static void lost_while_it_runs_keeps_nothing_open(void **state)
{
        char top[] = "/tmp/carrel-test-end-XXXXXX";
        unsigned n_fds = count_fds();
        struct rig rig;

        (void)state;
        assert_non_null(mkdtemp(top));
        open_rig(&rig, false);
        begin_exec(&rig, &(struct exec_request){ 0 });
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        say_started(rig.agent, 1);
        await_seen(&rig, SAW_STARTED);
        put_into_a_full_group(&rig, top);
        execs_container_lost(rig.world.execs, WORLD_CONTAINER, false);
        assert_int_equal(rig.world.result.cause, EXEC_CARREL_LOST);
        close_rig(&rig);
        assert_int_equal(count_fds(), n_fds);
        remove_full_group(top);
}

/* ---- a reader that stalls ---- */

/* After a deadline has killed it, it does not wait for ever for a reader that takes nothing. */
static void a_reader_that_stalls_is_not_waited_for(void **state)
{
        struct rig rig;

        (void)state;
        for (int is_pulled = 0; is_pulled <= 1; is_pulled++) {
                open_rig(&rig, false);
                begin_exec(&rig,
                           &(struct exec_request){ .is_streaming = true, .is_pulled = is_pulled, .timeout_s = 0.01 });
                assert_int_equal(hear(&rig, rig.agent), AGENT_START);
                if (!is_pulled)
                        exec_pause(rig.world.exec, true);
                say_started(rig.agent, 1);
                assert_int_equal(write(rig.fds[0], "words", 5), 5);
                assert_int_equal(hear(&rig, rig.agent), AGENT_SIGNAL);
                say_exited(rig.agent, 1, 1, SIGTERM);
                world_await_answers(&rig.world, 1);
                assert_int_equal(rig.world.result.cause, EXEC_TIMEOUT);
                assert_true(rig.world.result.is_output_truncated);
                assert_int_equal(rig.world.n_left_behind, 0);
                close_rig(&rig);
        }
}

/* None of its processes is left. EXITED will come after its output, which the reader does not take. */
static void begin_held_exit(struct rig *rig)
{
        open_rig(rig, true);
        begin_exec(rig, &(struct exec_request){ .is_streaming = true, .timeout_s = 0.01 });
        assert_int_equal(hear(rig, rig->agent), AGENT_START);
        exec_pause(rig->world.exec, true);
        say_started(rig->agent, 1);
        agent_write_data(&said, 1, AGENT_STREAM_OUT, "words", 5);
        say(rig->agent);
        assert_int_equal(hear(rig, rig->agent), AGENT_SIGNAL);
        agent_write_gone(&said, 1);
        say(rig->agent);
        await_seen(rig, SAW_GONE);
}

static void nor_is_it_for_an_exit_after_frames(void **state)
{
        struct rig rig;
        enum agent_kind kind;

        (void)state;
        begin_held_exit(&rig);
        do
                kind = hear(&rig, rig.agent);
        while (kind == AGENT_SIGNAL);
        assert_int_equal(kind, AGENT_END); /* its output is not wanted any more */
        say_exited(rig.agent, 1, 1, SIGTERM);
        world_await_answers(&rig.world, 1);
        assert_int_equal(rig.world.result.cause, EXEC_TIMEOUT);
        assert_true(rig.world.result.is_output_truncated);
        assert_int_equal(rig.world.n_left_behind, 0);
        close_rig(&rig);
}

/* The exec must not count as unkillable: it gets the whole time from the moment its reader goes on. */
static void an_exit_that_was_held_back_has_its_time(void **state)
{
        struct rig rig;
        const struct agent_exec *exec;

        (void)state;
        begin_held_exit(&rig);
        rig.world.execs->timing.stall_s = 1000;
        exec = exec_of(&rig);
        while ((exec->state != STATE_KILLING || ev_timer_remaining(rig.world.loop, (ev_timer *)&exec->grace) > 0.1) &&
               !rig.world.has_barked)
                ev_run(rig.world.loop, EVRUN_ONCE);
        exec_pause(rig.world.exec, false);
        assert_true(ev_timer_remaining(rig.world.loop, (ev_timer *)&exec->grace) > 0.19);
        say_exited(rig.agent, 1, 1, SIGTERM);
        world_await_answers(&rig.world, 1);
        assert_int_equal(rig.world.n_left_behind, 0);
        assert_string_equal(rig.world.streamed, "1words");
        close_rig(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lost_before_the_start_is_a_fault),
                cmocka_unit_test(lost_after_the_start_is_a_cause),
                cmocka_unit_test(last_messages_count),
                cmocka_unit_test(last_messages_of_a_hasty_agent_count),
                cmocka_unit_test(lost_after_its_exit_has_its_own_cause),
                cmocka_unit_test(lost_while_it_runs_keeps_nothing_open),
                cmocka_unit_test(a_reader_that_stalls_is_not_waited_for),
                cmocka_unit_test(nor_is_it_for_an_exit_after_frames),
                cmocka_unit_test(an_exit_that_was_held_back_has_its_time),
        };

        signal(SIGPIPE, SIG_IGN); /* as carreld does */
        return cmocka_run_group_tests_name("exec: ends", tests, NULL, NULL);
}
