/* Real programs (/bin/sh and friends), started, read, stopped and cancelled. */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "str.h"

struct world {
        struct ev_loop *loop;
        struct child *child;
        unsigned n_done;
        int wait_status;
        bool is_late;
        bool is_truncated;
        char out[256];
        char errors[256];
        size_t out_length;
        size_t streamed_bytes;
        bool cancels_on_output;
        bool pauses_on_output;
        bool kills_on_output;
        ev_timer resume;
};

static void on_done(void *arg, const struct child_result *result)
{
        struct world *world = arg;

        world->n_done++;
        world->child = NULL;
        world->wait_status = result->wait_status;
        world->is_late = result->is_late;
        world->is_truncated = result->is_truncated;
        world->out_length = result->out_length;
        (void)snprintf(world->out, sizeof world->out, "%s", result->out);
        (void)snprintf(world->errors, sizeof world->errors, "%s", result->errors);
        ev_break(world->loop, EVBREAK_ALL);
}

static int set_up(void **state)
{
        struct world *world = calloc(1, sizeof *world);

        assert_non_null(world);
        world->loop = ev_loop_new(EVFLAG_AUTO);
        assert_non_null(world->loop);
        *state = world;
        return 0;
}

static int tear_down(void **state)
{
        struct world *world = *state;

        ev_loop_destroy(world->loop);
        free(world);
        return 0;
}

static struct child_plan plan_of(struct world *world, const char *const *argv)
{
        return (struct child_plan){
                .path = argv[0],
                .argv = argv,
                .stdin_fd = -1,
                .mount_namespace_fd = -1,
                .output_max = 128,
                .deadline_s = 60,
                .done = on_done,
                .arg = world,
        };
}

/* Runs `script` by /bin/sh to its end. */
static void run(struct world *world, const char *script)
{
        const char *const argv[] = { "/bin/sh", "-c", script, NULL };
        const struct child_plan plan = plan_of(world, argv);

        assert_int_equal(child_start(&world->child, world->loop, &plan), 0);
        assert_int_equal(world->n_done, 0);
        ev_run(world->loop, 0);
        assert_int_equal(world->n_done, 1);
}

static void test_output_and_exit_code_are_told(void **state)
{
        struct world *world = *state;

        run(world, "echo out; echo error >&2; exit 7");
        assert_true(WIFEXITED(world->wait_status));
        assert_int_equal(WEXITSTATUS(world->wait_status), 7);
        assert_string_equal(world->out, "out\n");
        assert_string_equal(world->errors, "error\n");
        assert_false(world->is_late);
        assert_false(world->is_truncated);
}

static void test_death_by_signal_is_told(void **state)
{
        struct world *world = *state;

        run(world, "kill -TERM $$");
        assert_true(WIFSIGNALED(world->wait_status));
        assert_int_equal(WTERMSIG(world->wait_status), SIGTERM);
}

static void test_long_output_is_cut_and_the_program_not_blocked(void **state)
{
        struct world *world = *state;

        run(world, "i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; exit 3");
        assert_int_equal(WEXITSTATUS(world->wait_status), 3);
        assert_int_equal(world->out_length, 128);
        assert_true(world->is_truncated);
}

/* Whoever holds the pipe after the program's end is not waited for. */
static void test_a_background_child_does_not_delay_the_end(void **state)
{
        struct world *world = *state;
        char pid_text[16];
        uint64_t pid;

        run(world, "sleep 600 & echo $!");
        assert_int_equal(WEXITSTATUS(world->wait_status), 0);
        assert_int_equal(str_copy(pid_text, sizeof pid_text, world->out), 0);
        pid_text[strcspn(pid_text, "\n")] = '\0';
        assert_int_equal(str_parse_u64(pid_text, 2, INT32_MAX, &pid), 0);
        assert_int_equal(kill((pid_t)pid, SIGKILL), 0); /* it lives */
}

static void test_a_deadline_kills(void **state)
{
        static const char *const ARGV[] = { "/bin/sh", "-c", "trap '' TERM INT; exec sleep 600", NULL };
        struct world *world = *state;
        struct child_plan plan = plan_of(world, ARGV);

        plan.deadline_s = 0.05;
        plan.streams = CHILD_DISCARD;
        assert_int_equal(child_start(&world->child, world->loop, &plan), 0);
        ev_run(world->loop, 0);
        assert_int_equal(world->n_done, 1);
        assert_true(world->is_late);
        assert_int_equal(WTERMSIG(world->wait_status), SIGKILL);
}

static void test_a_missing_program_is_an_error_at_once(void **state)
{
        static const char *const MISSING[] = { "/nonexistent/program", NULL };
        static const char *const NO_PROGRAM[] = { "/etc/passwd", NULL };
        struct world *world = *state;
        struct child_plan plan = plan_of(world, MISSING);

        assert_int_equal(child_start(&world->child, world->loop, &plan), -ENOENT);
        plan = plan_of(world, NO_PROGRAM);
        assert_int_equal(child_start(&world->child, world->loop, &plan), -EACCES);
        assert_null(world->child);
        ev_run(world->loop, EVRUN_NOWAIT);
        assert_int_equal(world->n_done, 0);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie */
        assert_int_equal(errno, ECHILD);
}

static void test_cancel_kills_and_nothing_is_told(void **state)
{
        static const char *const ARGV[] = { "/bin/sleep", "600", NULL };
        struct world *world = *state;
        const struct child_plan plan = plan_of(world, ARGV);
        int pid;

        assert_int_equal(child_start(&world->child, world->loop, &plan), 0);
        pid = child_pid(world->child);
        assert_int_equal(kill(pid, 0), 0);
        world->child = child_cancel(world->child);
        assert_int_equal(kill(pid, 0), -1);
        assert_int_equal(errno, ESRCH);
        ev_run(world->loop, EVRUN_NOWAIT);
        assert_int_equal(world->n_done, 0);
}

/* ---- what it inherits ---- */

static void test_it_has_only_the_descriptors_that_were_named(void **state)
{
        struct world *world = *state;
        char script[256];
        const char *const argv[] = { "/bin/sh", "-c", script, NULL };
        struct child_plan plan = plan_of(world, argv);
        int ends[2];
        int input = memfd_create("input", MFD_CLOEXEC);
        int leaky = open("/dev/null", O_RDONLY); /* NOLINT(android-cloexec-open): that is the test */

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        assert_int_equal(pwrite(input, "first\n", 6, 0), 6);
        assert_int_equal(write(ends[1], "second\n", 7), 7);
        (void)snprintf(script, sizeof script,
                       "read a <&%d; read b <&%d; for f in %d %d; do [ -e /proc/self/fd/$f ] && echo has $f; done; "
                       "echo $a $b",
                       ends[0], input, leaky, ends[1]);
        plan.fds = (const struct child_fd[]){ { .fd = input, .as = ends[0] }, { .fd = ends[0], .as = input } };
        plan.n_fds = 2; /* the two change places */
        assert_int_equal(child_start(&world->child, world->loop, &plan), 0);
        ev_run(world->loop, 0);
        assert_string_equal(world->out, "first second\n");
        close(leaky);
        close(input);
        close(ends[0]);
        close(ends[1]);
}

static void test_environment_directory_and_stdin_are_the_plans(void **state)
{
        static const char *const ARGV[] = { "/bin/sh", "-c", "read line; echo \"$KEY $(pwd) $line\"", NULL };
        static const char *const ENVIRONMENT[] = { "KEY=value", NULL };
        struct world *world = *state;
        struct child_plan plan = plan_of(world, ARGV);
        int input = memfd_create("input", MFD_CLOEXEC);

        assert_int_equal(pwrite(input, "typed\n", 6, 0), 6);
        plan.envp = ENVIRONMENT;
        plan.cwd = "/proc";
        plan.stdin_fd = input;
        assert_int_equal(child_start(&world->child, world->loop, &plan), 0);
        close(input);
        ev_run(world->loop, 0);
        assert_string_equal(world->out, "value /proc typed\n");
}

static void test_ignored_signals_and_our_mask_end_at_the_program(void **state)
{
        struct world *world = *state;
        sigset_t before;
        sigset_t now;

        assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
        assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &before), 0);
        run(world, "kill -PIPE $$; echo survived");
        assert_int_equal(WTERMSIG(world->wait_status), SIGPIPE);
        assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &now), 0);
        assert_int_equal(sigismember(&now, SIGTERM), sigismember(&before, SIGTERM));
        assert_true(signal(SIGPIPE, SIG_DFL) == SIG_IGN);
}

static void test_a_namespace_that_is_none_is_an_error(void **state)
{
        static const char *const ARGV[] = { "/bin/true", NULL };
        struct world *world = *state;
        struct child_plan plan = plan_of(world, ARGV);
        int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

        plan.mount_namespace_fd = nothing;
        assert_int_equal(child_start(&world->child, world->loop, &plan), -EINVAL);
        close(nothing);
}

/* ---- streaming ---- */

static void on_resume(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct world *world = timer->data;

        child_pause(world->child, false);
}

static void on_output(void *arg, int fd, const char *bytes, size_t length)
{
        struct world *world = arg;

        assert_int_equal(fd, STDOUT_FILENO);
        world->streamed_bytes += length;
        if (world->cancels_on_output) {
                world->child = child_cancel(world->child);
                ev_break(world->loop, EVBREAK_ALL);
        } else if (world->pauses_on_output) {
                child_pause(world->child, true);
                ev_timer_init(&world->resume, on_resume, 0.001, 0.0);
                world->resume.data = world;
                ev_timer_start(world->loop, &world->resume);
        } else if (world->kills_on_output) {
                child_kill(world->child);
        }
}

static void stream(struct world *world)
{
        static const char *const ARGV[] = { "/usr/bin/head", "-c", "300000", "/dev/zero", NULL };
        struct child_plan plan = plan_of(world, ARGV);

        plan.on_output = on_output;
        assert_int_equal(child_start(&world->child, world->loop, &plan), 0);
        ev_run(world->loop, 0);
}

static void test_streamed_output_is_whole_at_the_end(void **state)
{
        struct world *world = *state;

        stream(world);
        assert_int_equal(world->n_done, 1);
        assert_int_equal(world->streamed_bytes, 300000);
}

static void test_paused_output_is_whole_too(void **state)
{
        struct world *world = *state;

        world->pauses_on_output = true;
        stream(world);
        assert_int_equal(world->n_done, 1);
        assert_int_equal(world->streamed_bytes, 300000);
        assert_int_equal(WEXITSTATUS(world->wait_status), 0);
}

static void test_cancel_from_inside_output(void **state)
{
        struct world *world = *state;

        world->cancels_on_output = true;
        stream(world);
        assert_int_equal(world->n_done, 0);
        ev_run(world->loop, EVRUN_NOWAIT);
        assert_int_equal(world->n_done, 0);
}

static void test_kill_from_inside_output_is_told(void **state)
{
        static const char *const ENDLESS[] = { "/bin/cat", "/dev/zero", NULL };
        struct world *world = *state;
        struct child_plan plan = plan_of(world, ENDLESS);

        plan.on_output = on_output;
        world->kills_on_output = true;
        assert_int_equal(child_start(&world->child, world->loop, &plan), 0);
        ev_run(world->loop, 0);
        assert_int_equal(world->n_done, 1);
        assert_int_equal(WTERMSIG(world->wait_status), SIGKILL);
}

/* ---- our end ---- */

/* A process that starts a child that dies with it, says the child's pid, and is killed. */
static void test_it_dies_with_us_when_asked(void **state)
{
        static const char *const ARGV[] = { "/bin/sleep", "600", NULL };
        struct world *world = *state;
        struct child_plan plan = plan_of(world, ARGV);
        int ends[2];
        char byte;
        pid_t starter;

        plan.dies_with_us = true;
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        plan.fds = (const struct child_fd[]){ { .fd = ends[1], .as = 9 } };
        plan.n_fds = 1;
        starter = fork();
        if (starter == 0) {
                if (child_start(&world->child, world->loop, &plan) < 0)
                        _exit(1);
                (void)raise(SIGKILL);
        }
        close(ends[1]);
        assert_int_equal(waitpid(starter, NULL, 0), starter);
        assert_int_equal(read(ends[0], &byte, 1), 0); /* the end of the file: nobody holds the other end any more */
        close(ends[0]);
}

/* Any file shows what is written: the kernel's `tasks` is entered by the same "0". */
static void test_the_program_enters_its_cgroups_first(void **state)
{
        static const char *const ARGV[] = { "/bin/true", NULL };
        struct world *world = *state;
        struct child_plan plan = plan_of(world, ARGV);
        int fds[2] = { memfd_create("one", MFD_CLOEXEC), memfd_create("other", MFD_CLOEXEC) };
        char text[8] = "";

        plan.cgroup_fds = fds;
        plan.n_cgroup_fds = 2;
        assert_int_equal(child_start(&world->child, world->loop, &plan), 0);
        for (size_t i = 0; i < 2; i++) { /* the start has waited for it */
                assert_int_equal(pread(fds[i], text, sizeof text, 0), 1);
                assert_string_equal(text, "0");
                close(fds[i]);
        }
        ev_run(world->loop, 0);
        assert_int_equal(world->n_done, 1);
}

/* A group that lets nobody in for a while: a pipe that is full. */
static void test_nobody_stands_still_for_busy_cgroups(void **state)
{
        static const char *const ARGV[] = { "/bin/sh", "-c", "exit 5", NULL };
        struct world *world = *state;
        struct child_plan plan = plan_of(world, ARGV);
        char text[4096];
        int ends[2];

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, sizeof text), sizeof text);
        memset(text, 'x', sizeof text);
        assert_int_equal(write(ends[1], text, sizeof text), sizeof text);
        plan.cgroup_fds = &ends[1];
        plan.n_cgroup_fds = 1;
        plan.shares_cgroup = true;
        assert_int_equal(child_start(&world->child, world->loop, &plan), 0); /* else it would never return */
        assert_int_equal(read(ends[0], text, sizeof text), sizeof text);
        ev_run(world->loop, 0);
        assert_int_equal(WEXITSTATUS(world->wait_status), 5);
        close(ends[0]);
        close(ends[1]);
}

/* One of v1's freezer on this machine; NULL: it has none, or we may not. */
static const char *make_frozen_group(void)
{
        static char group[64];
        char state[80];
        bool is_frozen;
        int fd;

        (void)snprintf(group, sizeof group, "/sys/fs/cgroup/freezer/test-child-%d", (int)getpid());
        if (mkdir(group, 0755) < 0)
                return NULL;
        (void)snprintf(state, sizeof state, "%s/freezer.state", group);
        fd = open(state, O_WRONLY | O_CLOEXEC);
        is_frozen = fd >= 0 && write(fd, "FROZEN", 6) == 6;
        if (fd >= 0)
                close(fd);
        assert_true(is_frozen);
        return group;
}

static int open_in(const char *directory, const char *file, int mode)
{
        char path[96];
        int fd;

        (void)snprintf(path, sizeof path, "%s/%s", directory, file);
        fd = open(path, mode | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

/* The start would never return, and SIGKILL would not help. The same plan with that group thawed runs. */
static void test_a_frozen_cgroup_holds_nobody(void **state)
{
        static const char *const ARGV[] = { "/bin/sh", "-c", "exit 5", NULL };
        struct world *world = *state;
        struct child_plan plan = plan_of(world, ARGV);
        const char *group = make_frozen_group();
        struct child_freezer freezer;
        int state_fd, door_fd;

        if (group == NULL)
                skip();
        freezer.state_fd = open_in(group, "freezer.state", O_RDONLY);
        freezer.release_fd = open_in("/sys/fs/cgroup/freezer", "tasks", O_WRONLY);
        state_fd = open_in(group, "freezer.state", O_WRONLY);
        door_fd = open_in(group, "tasks", O_WRONLY);
        plan.cgroup_fds = &door_fd;
        plan.n_cgroup_fds = 1;
        plan.freezer = &freezer;
        assert_int_equal(child_start(&world->child, world->loop, &plan), -EBUSY);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
        assert_int_equal(errno, ECHILD);
        assert_int_equal(write(state_fd, "THAWED", 6), 6);
        assert_int_equal(child_start(&world->child, world->loop, &plan), 0);
        ev_run(world->loop, 0);
        assert_int_equal(WEXITSTATUS(world->wait_status), 5);
        close(freezer.state_fd);
        close(freezer.release_fd);
        close(state_fd);
        close(door_fd);
        assert_int_equal(rmdir(group), 0);
}

static void test_without_its_cgroups_there_is_no_program(void **state)
{
        static const char *const ARGV[] = { "/bin/true", NULL };
        struct world *world = *state;
        struct child_plan plan = plan_of(world, ARGV);
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        plan.cgroup_fds = &fd;
        plan.n_cgroup_fds = 1;
        assert_int_equal(child_start(&world->child, world->loop, &plan), -EBADF);
        assert_int_equal(world->n_done, 0);
        close(fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_the_program_enters_its_cgroups_first, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_nobody_stands_still_for_busy_cgroups, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_without_its_cgroups_there_is_no_program, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_frozen_cgroup_holds_nobody, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_output_and_exit_code_are_told, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_death_by_signal_is_told, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_long_output_is_cut_and_the_program_not_blocked, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_background_child_does_not_delay_the_end, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_deadline_kills, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_missing_program_is_an_error_at_once, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_cancel_kills_and_nothing_is_told, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_it_has_only_the_descriptors_that_were_named, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_environment_directory_and_stdin_are_the_plans, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_ignored_signals_and_our_mask_end_at_the_program, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_a_namespace_that_is_none_is_an_error, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_streamed_output_is_whole_at_the_end, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_paused_output_is_whole_too, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_cancel_from_inside_output, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_kill_from_inside_output_is_told, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_it_dies_with_us_when_asked, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
