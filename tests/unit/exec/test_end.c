/* How an exec of the agent's ends when it does not by itself: with its container, or with nobody to hear it. */
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

static void lost_behind_the_start_is_a_cause(void **state)
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

static void last_words_count(void **state)
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

/* It ended without having read all: that comes before what it had said. */
static void last_words_of_a_hasty_agent_count(void **state)
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

/* Something lives in it still: stood in for by a directory that is not empty. */
static void put_into_a_full_group(struct rig *rig, const char *top)
{
        struct agent_exec *exec = (struct agent_exec *)rig->world.exec;
        struct exec_cgroups *cgroups = &rig->channel->cgroups;

        cgroups->directory = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_return_code(cgroups->directory, errno);
        (void)snprintf(exec->cgroup.name, sizeof exec->cgroup.name, "group");
        assert_return_code(mkdirat(cgroups->directory, "group", 0700), errno);
        assert_return_code(mkdirat(cgroups->directory, "group/member", 0700), errno);
        exec->cgroup.directory = openat(cgroups->directory, "group", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        exec->cgroup.join = openat(cgroups->directory, "group/member", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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

/* The execs of a carrel that is retired are told so while it still lives. */
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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lost_before_the_start_is_a_fault),
                cmocka_unit_test(lost_behind_the_start_is_a_cause),
                cmocka_unit_test(last_words_count),
                cmocka_unit_test(last_words_of_a_hasty_agent_count),
                cmocka_unit_test(lost_while_it_runs_keeps_nothing_open),
        };

        signal(SIGPIPE, SIG_IGN); /* as carreld does */
        return cmocka_run_group_tests_name("exec: ends", tests, NULL, NULL);
}
