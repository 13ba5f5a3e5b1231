/* carreld's side of the session with an agent that sends what the test wants, including lies. */
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent-rig.h"

/* ---- an honest one ---- */

/* The agent's group may open it, only in the program's direction; carreld stays the owner of the pipe. */
static void assert_can_be_opened_again(int fd, mode_t mode)
{
        struct stat status;

        assert_return_code(fstat(fd, &status), errno);
        assert_true(S_ISFIFO(status.st_mode));
        assert_int_equal(status.st_mode & 07777, mode);
        assert_int_equal(status.st_uid, geteuid());
        assert_int_equal(status.st_gid, getegid());
}

static void an_exec_goes_there_and_back(void **state)
{
        struct rig rig;

        (void)state;
        open_rig(&rig, false);
        begin_exec(&rig, &(struct exec_request){ 0 });
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        say_started(rig.agent, 1);
        assert_can_be_opened_again(rig.fds[0], 0620);
        assert_can_be_opened_again(rig.fds[1], 0620);
        assert_int_equal(write(rig.fds[0], "out", 3), 3);
        assert_int_equal(write(rig.fds[1], "err", 3), 3);
        close_fds(&rig);
        say_exited(rig.agent, 1, 0, 7);
        world_await_answers(&rig.world, 1);
        assert_int_equal(rig.world.result.cause, EXEC_EXIT);
        assert_int_equal(rig.world.result.exit_code, 7);
        assert_string_equal(rig.world.output, "out");
        assert_string_equal(rig.world.errors, "err");
        world_await_quiet(&rig.world);
        close_rig(&rig);
}

/* ---- what is left in the background ---- */

/* Exec 1 has exited, and a process still holds its stdout. */
static int end_with_a_background(struct rig *rig, const struct exec_request *request)
{
        int held;

        begin_exec(rig, request);
        assert_int_equal(hear(rig, rig->agent), AGENT_START);
        say_started(rig->agent, 1);
        held = dup(rig->fds[0]);
        assert_return_code(held, errno);
        close_fds(rig);
        say_exited(rig->agent, 1, 0, 0);
        return held;
}

static void output_of_the_background_is_read(void **state)
{
        struct rig rig;
        const struct agent_exec *exec;
        int held;

        (void)state;
        open_rig(&rig, false);
        held = end_with_a_background(&rig, &(struct exec_request){ .drain_s = 60, .has_drain = true });
        exec = (const struct agent_exec *)rig.world.exec;
        while (!(exec->seen & SAW_EXITED) && !rig.world.has_barked)
                ev_run(rig.world.loop, EVRUN_ONCE);
        assert_int_equal(rig.world.n_answers, 0);
        assert_int_equal(write(held, "late", 4), 4);
        close(held);
        world_await_answers(&rig.world, 1);
        assert_string_equal(rig.world.output, "late");
        assert_false(rig.world.result.is_open || rig.world.result.is_output_truncated);
        close_rig(&rig);
}

static void a_deadline_ends_the_wait_for_the_background(void **state)
{
        struct rig rig;
        int held;

        (void)state;
        open_rig(&rig, false);
        held = end_with_a_background(&rig,
                                     &(struct exec_request){ .drain_s = 60, .has_drain = true, .timeout_s = 0.05 });
        world_await_answers(&rig.world, 1);
        assert_int_equal(rig.world.result.cause, EXEC_EXIT);
        assert_true(rig.world.result.is_open);
        close(held);
        close_rig(&rig);
}

/* The agent reads on instead of carreld. An older agent does not know KEEP; then the writer's pipe breaks. */
static void a_writer_in_the_background_keeps_a_reader(void **state)
{
        for (unsigned version = AGENT_VERSION_MIN; version <= AGENT_VERSION; version++) {
                bool is_kept = version >= AGENT_VERSION_KEEP;
                struct rig rig;
                int held;

                (void)state;
                open_rig(&rig, false);
                rig.channel->version = version;
                held = end_with_a_background(&rig, &(struct exec_request){ .has_drain = true });
                world_await_answers(&rig.world, 1);
                assert_true(rig.world.result.is_open);
                if (is_kept) {
                        assert_int_equal(hear(&rig, rig.agent), AGENT_KEEP);
                        assert_true(rig.fds[0] >= 0 && rig.fds[1] < 0);
                }
                assert_int_equal(write(held, "x", 1), is_kept ? 1 : -1);
                assert_int_equal(recv(rig.agent, heard.bytes, sizeof heard.bytes, MSG_DONTWAIT), -1);
                close_fds(&rig);
                close(held);
                close_rig(&rig);
        }
}

/* Otherwise it could make carreld keep descriptors for it without limit. */
static void an_agent_that_does_not_read_gets_no_pipes(void **state)
{
        struct rig rig;
        int held;

        (void)state;
        open_rig(&rig, false);
        held = end_with_a_background(&rig, &(struct exec_request){ .has_drain = true });
        agent_write_signal(&rig.channel->agents->out, 1, 0);
        while (list_is_empty(&rig.channel->unsent))
                assert_int_equal(agent_channel_send(rig.channel, NULL, 0), 0);
        world_await_answers(&rig.world, 1);
        assert_int_equal(write(held, "x", 1), -1);
        close(held);
        close_rig(&rig);
}

static void a_signal_is_reported_exactly(void **state)
{
        struct rig rig;

        (void)state;
        open_rig(&rig, false);
        for (uint32_t number = 1; number <= 2; number++) {
                begin_exec(&rig, &(struct exec_request){ 0 });
                assert_int_equal(hear(&rig, rig.agent), AGENT_START);
                close_fds(&rig);
                say_started(rig.agent, number);
                say_exited(rig.agent, number, number == 1, number == 1 ? SIGTERM : 128 + SIGTERM);
                world_await_answers(&rig.world, number);
                assert_int_equal(rig.world.result.cause, number == 1 ? EXEC_SIGNAL : EXEC_EXIT);
                assert_int_equal(rig.world.result.exit_code, 128 + SIGTERM);
        }
        close_rig(&rig);
}

/* An agent of an earlier version reports none. */
static void usage_is_that_of_the_agent(void **state)
{
        static const struct agent_exited ENDS[] = { { .value = 1 },
                                                    { .has_usage = true, .usage = { 1500000, 20, 104857600 } } };
        struct rig rig;

        (void)state;
        open_rig(&rig, false);
        for (uint32_t number = 1; number <= 2; number++) {
                const struct exec_usage *usage = &rig.world.result.usage;

                begin_exec(&rig, &(struct exec_request){ 0 });
                assert_int_equal(hear(&rig, rig.agent), AGENT_START);
                close_fds(&rig);
                say_started(rig.agent, number);
                agent_write_exited(&said, number, &ENDS[number - 1]);
                say(rig.agent);
                world_await_answers(&rig.world, number);
                assert_int_equal(usage->is_known, number == 2);
                assert_int_equal(usage->user_us, ENDS[number - 1].usage.user_us);
                assert_int_equal(usage->system_us, ENDS[number - 1].usage.system_us);
                assert_int_equal(usage->peak_bytes, ENDS[number - 1].usage.peak_bytes);
        }
        close_rig(&rig);
}

static void a_failed_start_is_explained_on_stderr(void **state)
{
        struct rig rig;

        (void)state;
        open_rig(&rig, false);
        begin_exec(&rig, &(struct exec_request){ .max_output_bytes = 200 });
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        close_fds(&rig);
        say_started(rig.agent, 1);
        agent_write_failed(&said, 1, &(struct agent_failed){ AGENT_STAGE_EXEC, ENOENT });
        say(rig.agent);
        say_exited(rig.agent, 1, 0, 127);
        world_await_answers(&rig.world, 1);
        assert_int_equal(rig.world.result.exit_code, 127);
        assert_non_null(strstr(rig.world.errors, "No such file"));
        begin_exec(&rig, &(struct exec_request){ .max_output_bytes = 200, .working_dir = "/not/there" });
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        close_fds(&rig);
        say_started(rig.agent, 2);
        agent_write_failed(&said, 2, &(struct agent_failed){ AGENT_STAGE_CWD, ENOENT });
        say(rig.agent);
        say_exited(rig.agent, 2, 0, 126);
        world_await_answers(&rig.world, 2);
        assert_string_equal(rig.world.errors, "carrel: cannot enter the working directory: /not/there: No such file or "
                                              "directory\n");
        close_rig(&rig);
}

/* Without a cgroup the agent gets orders: TERM, and KILL when the grace is over. */
static void a_deadline_is_term_then_kill(void **state)
{
        struct rig rig;
        uint32_t signal = 0;

        (void)state;
        open_rig(&rig, false);
        begin_exec(&rig, &(struct exec_request){ .timeout_s = 0.01 });
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        say_started(rig.agent, 1);
        assert_int_equal(hear(&rig, rig.agent), AGENT_SIGNAL);
        assert_int_equal(agent_read_signal(heard.bytes, &signal), 0);
        assert_int_equal(signal, SIGTERM);
        assert_int_equal(hear(&rig, rig.agent), AGENT_SIGNAL);
        assert_int_equal(agent_read_signal(heard.bytes, &signal), 0);
        assert_int_equal(signal, SIGKILL);
        close_fds(&rig);
        say_exited(rig.agent, 1, 1, SIGKILL);
        world_await_answers(&rig.world, 1);
        assert_int_equal(rig.world.result.cause, EXEC_TIMEOUT);
        assert_int_equal(rig.world.result.exit_code, 124);
        close_rig(&rig);
}

/* A file of this name stands for the freezer of the container. While it says FROZEN, slice follows slice, and the exec,
 * whose deadline is shorter than any of them, is not ended. */
static void a_deadline_stands_still_while_frozen(void **state)
{
        char directory[] = "/tmp/carrel-freezer-XXXXXX", path[sizeof directory + 16];
        struct rig rig;
        int fd;

        (void)state;
        assert_non_null(mkdtemp(directory));
        (void)snprintf(path, sizeof path, "%s/freezer.state", directory);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(pwrite(fd, "FROZEN", 6, 0), 6);
        open_rig(&rig, false);
        begin_exec(&rig, &(struct exec_request){ .timeout_s = 0.01 });
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        say_started(rig.agent, 1);
        freezer_open_at(&rig.channel->cgroups.freezer, FREEZER_V1, directory);
        for (int turn = 0; turn < 12; turn++)
                ev_run(rig.world.loop, EVRUN_ONCE);
        assert_int_equal(((struct agent_exec *)rig.world.exec)->state, STATE_RUNNING);
        assert_int_equal(pwrite(fd, "THAWED", 6, 0), 6);
        assert_int_equal(hear(&rig, rig.agent), AGENT_SIGNAL);
        close_fds(&rig);
        say_exited(rig.agent, 1, 1, SIGTERM);
        world_await_answers(&rig.world, 1);
        assert_int_equal(rig.world.result.cause, EXEC_TIMEOUT);
        close_rig(&rig);
        close(fd);
        (void)unlink(path);
        (void)rmdir(directory);
}

/* Another process, which was given the pipe, writes on and on. */
static void a_pipe_that_is_never_empty_holds_nobody_up(void **state)
{
        struct rig rig;

        (void)state;
        open_rig(&rig, false);
        begin_exec(&rig, &(struct exec_request){ .timeout_s = 0.01, .is_streaming = true });
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        say_started(rig.agent, 1);
        rig.world.refilled_fd = dup(rig.fds[0]);
        assert_int_equal(hear(&rig, rig.agent), AGENT_SIGNAL);
        assert_int_equal(write(rig.world.refilled_fd, "x", 1), 1);
        say_exited(rig.agent, 1, 1, SIGTERM);
        world_await_answers(&rig.world, 1);
        assert_int_equal(rig.world.result.cause, EXEC_TIMEOUT);
        close(rig.world.refilled_fd);
        close_rig(&rig);
}

static void a_slow_reader_sees_the_end_of_a_pipe_that_has_none(void **state)
{
        struct rig rig;
        const struct agent_exec *exec;
        int held;

        (void)state;
        open_rig(&rig, false);
        begin_exec(&rig, &(struct exec_request){ .timeout_s = 0.01, .is_streaming = true });
        exec = (const struct agent_exec *)rig.world.exec;
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        say_started(rig.agent, 1);
        exec_pause(rig.world.exec, true);
        assert_int_equal(write(rig.fds[0], "last", 4), 4);
        held = dup(rig.fds[0]);
        assert_int_equal(hear(&rig, rig.agent), AGENT_SIGNAL);
        say_exited(rig.agent, 1, 1, SIGTERM);
        while ((!(exec->seen & SAW_EXITED) || ev_is_active(&exec->retry)) && !rig.world.has_barked)
                ev_run(rig.world.loop, EVRUN_ONCE);
        assert_int_equal(rig.world.n_answers, 0);
        exec_pause(rig.world.exec, false);
        world_await_answers(&rig.world, 1);
        assert_string_equal(rig.world.streamed, "1last");
        assert_false(rig.world.result.is_output_truncated);
        close(held);
        close_rig(&rig);
}

static void an_unkillable_exec_retires_its_carrel(void **state)
{
        struct rig rig;

        (void)state;
        open_rig(&rig, false);
        begin_exec(&rig, &(struct exec_request){ .timeout_s = 0.01 });
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        say_started(rig.agent, 1);
        world_await_answers(&rig.world, 1);
        assert_int_equal(rig.world.result.cause, EXEC_TIMEOUT);
        assert_true(rig.world.result.is_output_truncated && rig.world.result.is_errors_truncated);
        while (rig.world.n_left_behind == 0 && !rig.world.has_barked)
                ev_run(rig.world.loop, EVRUN_ONCE);
        assert_int_equal(rig.world.n_left_behind, 1);
        close_rig(&rig);
}

static void too_many_wait(void **state)
{
        struct rig rig;
        struct exec *first;

        (void)state;
        open_rig(&rig, false);
        execs_limit(rig.world.execs, &(struct exec_limits){ 1, 1 });
        begin_exec(&rig, &(struct exec_request){ 0 });
        first = rig.world.exec;
        begin_exec(&rig, &(struct exec_request){ 0 });
        assert_int_equal(world_start(&rig.world, NULL, &(struct exec_request){ 0 }), -EAGAIN);
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        close_fds(&rig);
        assert_int_equal(recv(rig.agent, heard.bytes, sizeof heard.bytes, MSG_DONTWAIT), -1);
        exec_cancel(first); /* its place is free when it has ended, not before */
        assert_int_equal(hear(&rig, rig.agent), AGENT_SIGNAL);
        say_started(rig.agent, 1);
        say_exited(rig.agent, 1, 1, SIGTERM);
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        close_fds(&rig);
        say_started(rig.agent, 2);
        say_exited(rig.agent, 2, 0, 0);
        world_await_answers(&rig.world, 1);
        world_await_quiet(&rig.world);
        close_rig(&rig);
}

static void an_exec_that_waits_too_long_is_not_started(void **state)
{
        struct rig rig;
        struct exec *first;

        (void)state;
        open_rig(&rig, false);
        execs_limit(rig.world.execs, &(struct exec_limits){ 1, 1, 60 });
        begin_exec(&rig, &(struct exec_request){ 0 });
        first = rig.world.exec;
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        close_fds(&rig);
        say_started(rig.agent, 1);
        for (unsigned n = 1; n <= 2; n++) { /* twice, as the first leaves room in the queue */
                if (n == 2)                 /* its own time counts where there is no other */
                        execs_limit(rig.world.execs, &(struct exec_limits){ 1, 1, 0 });
                begin_exec(&rig, &(struct exec_request){ .timeout_s = 0.01 });
                world_await_answers(&rig.world, n);
                assert_int_equal(rig.world.fault, FAULT_DEADLINE);
        }
        execs_limit(rig.world.execs, &(struct exec_limits){ 1, 1, 0.01 });
        for (unsigned n = 3; n <= 4; n++) { /* with no deadline of its own, and with one that is far off */
                begin_exec(&rig, &(struct exec_request){ .timeout_s = n == 3 ? 0 : 60 });
                world_await_answers(&rig.world, n);
                assert_int_equal(rig.world.fault, FAULT_QUEUE_FULL);
        }
        exec_cancel(first);
        assert_int_equal(hear(&rig, rig.agent), AGENT_SIGNAL);
        say_exited(rig.agent, 1, 1, SIGTERM);
        world_await_quiet(&rig.world);
        assert_int_equal(recv(rig.agent, heard.bytes, sizeof heard.bytes, MSG_DONTWAIT), -1);
        close_rig(&rig);
}

static void input_flows_and_ends(void **state)
{
        struct rig rig;
        char bytes[8];

        (void)state;
        open_rig(&rig, false);
        begin_exec(&rig, &(struct exec_request){ .input = "ab", .input_length = 2, .is_input_open = true });
        assert_int_equal(exec_write(rig.world.exec, "cd", 2), 2);
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        say_started(rig.agent, 1);
        assert_can_be_opened_again(rig.fds[0], 0640);
        assert_int_equal(read(rig.fds[0], bytes, sizeof bytes), 4);
        assert_memory_equal(bytes, "abcd", 4);
        assert_int_equal(exec_close_input(rig.world.exec), 0);
        assert_int_equal(read(rig.fds[0], bytes, sizeof bytes), 0);
        assert_int_equal(exec_write(rig.world.exec, "e", 1), -EPIPE);
        close_fds(&rig);
        say_exited(rig.agent, 1, 0, 0);
        world_await_answers(&rig.world, 1);
        close_rig(&rig);
}

static void a_terminal_has_one_stream_and_a_size(void **state)
{
        struct rig rig;
        struct agent_start start = { 0 };
        struct agent_resize resize = { 0 };
        const void *chunk;
        size_t length;

        (void)state;
        open_rig(&rig, false);
        begin_exec(&rig, &(struct exec_request){ .is_tty = true, .rows = 40, .cols = 100 });
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        assert_int_equal(agent_read_start(heard.bytes, &start, &chunk, &length), 0);
        assert_int_equal(start.rows, 40);
        assert_true(rig.fds[0] >= 0 && rig.fds[1] < 0);
        say_started(rig.agent, 1);
        assert_int_equal(exec_resize(rig.world.exec, 50, 120), 0);
        assert_int_equal(hear(&rig, rig.agent), AGENT_RESIZE);
        assert_int_equal(agent_read_resize(heard.bytes, &resize), 0);
        assert_int_equal(resize.cols, 120);
        say_exited(rig.agent, 1, 0, 0);
        world_await_answers(&rig.world, 1);
        close_rig(&rig);
}

/* ---- frames ---- */

static void frames_carry_what_pipes_would(void **state)
{
        struct rig rig;
        unsigned stream;

        (void)state;
        open_rig(&rig, true);
        begin_exec(&rig, &(struct exec_request){ .input = "in", .input_length = 2 });
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        assert_int_equal(rig.fds[0], -1);
        assert_int_equal(hear(&rig, rig.agent), AGENT_DATA);
        assert_int_equal(hear(&rig, rig.agent), AGENT_END);
        assert_int_equal(agent_read_end(heard.bytes, &stream), 0);
        assert_int_equal(stream, AGENT_STREAM_IN);
        say_started(rig.agent, 1);
        agent_write_data(&said, 1, AGENT_STREAM_OUT, "out", 3);
        say(rig.agent);
        say_outputs_end(rig.agent, 1);
        say_exited(rig.agent, 1, 0, 0);
        world_await_answers(&rig.world, 1);
        assert_string_equal(rig.world.output, "out");
        close_rig(&rig);
}

/* The end of output was held back because the client was slow. It comes when the client leaves. */
static void a_client_leaves_behind_held_frames(void **state)
{
        struct rig rig;
        struct agent_exec *exec;

        (void)state;
        open_rig(&rig, true);
        begin_exec(&rig, &(struct exec_request){ 0 });
        exec = (struct agent_exec *)rig.world.exec;
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        exec_pause(rig.world.exec, true);
        say_started(rig.agent, 1);
        agent_write_data(&said, 1, AGENT_STREAM_OUT, "more", 4);
        say(rig.agent);
        agent_write_end(&said, 1, AGENT_STREAM_ERR);
        say(rig.agent);
        agent_write_end(&said, 1, AGENT_STREAM_OUT);
        say(rig.agent);
        say_exited(rig.agent, 1, 0, 0);
        while (!(exec->seen & SAW_EXITED) && !rig.world.has_barked)
                ev_run(rig.world.loop, EVRUN_ONCE);
        assert_int_not_equal(exec->state, STATE_OVER);
        exec_cancel(rig.world.exec);
        assert_int_equal(exec->state, STATE_OVER); /* its memory goes at the loop's next turn */
        assert_false(ev_is_active(&exec->drain));
        world_await_quiet(&rig.world);
        assert_int_equal(rig.world.n_answers, 0);
        close_rig(&rig);
}

/* ---- liars: exec 1 runs in their container, and another one in another container ---- */

static void lie_in_the_length(int agent)
{
        agent_write_exited(&said, 1, &(struct agent_exited){ 0 });
        said.length--;
        say(agent);
}

static void lie_about_an_unknown_kind(int agent)
{
        agent_write_exited(&said, 1, &(struct agent_exited){ 0 });
        said.bytes[0] = 99;
        say(agent);
}

static void lie_about_an_exec_that_never_was(int agent)
{
        say_exited(agent, 77, 0, 0);
}

static void lie_by_starting_twice(int agent)
{
        say_started(agent, 1);
}

static void lie_about_the_exit_code(int agent)
{
        say_exited(agent, 1, 0, 256);
}

static void lie_with_orders(int agent)
{
        agent_write_signal(&said, 1, SIGTERM);
        say(agent);
}

static void lie_by_greeting_again(int agent)
{
        agent_write_hello(&said, &(struct agent_hello){ AGENT_MAGIC, 1, 1, { 0 } });
        say(agent);
}

static void lie_with_frames(int agent)
{
        agent_write_data(&said, 1, AGENT_STREAM_OUT, "x", 1);
        say(agent);
}

static void lie_with_a_descriptor(int agent)
{
        char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(sizeof(size_t)))) = { 0 };
        struct iovec piece = { said.bytes, 0 };
        struct msghdr message = {
                .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
        };
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        const int fd = STDERR_FILENO;

        agent_write_exited(&said, 1, &(struct agent_exited){ 0 });
        said.bytes[2] = 1; /* and says so */
        piece.iov_len = said.length;
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(head), &fd, sizeof fd);
        assert_true(sendmsg(agent, &message, MSG_NOSIGNAL) > 0);
}

static void a_liar_harms_nobody_else(void **state)
{
        static void (*const LIES[])(int agent) = {
                lie_in_the_length,     lie_about_an_unknown_kind, lie_about_an_exec_that_never_was,
                lie_by_starting_twice, lie_about_the_exit_code,   lie_with_orders,
                lie_by_greeting_again, lie_with_frames,           lie_with_a_descriptor,
        };

        (void)state;
        for (size_t i = 0; i < sizeof LIES / sizeof *LIES; i++) {
                const struct cell other = { .id = OTHER_CONTAINER };
                struct rig rig;

                open_rig(&rig, false);
                begin_exec(&rig, &(struct exec_request){ 0 });
                assert_int_equal(world_start(&rig.world, &other, &(struct exec_request){ 0 }), 0);
                assert_int_equal(hear(&rig, rig.agent), AGENT_START);
                say_started(rig.agent, 1);
                LIES[i](rig.agent);
                world_await_answers(&rig.world, 1);
                assert_int_equal(rig.world.n_left_behind, 1);
                assert_int_equal(rig.world.fault, FAULT_NONE);
                assert_int_equal(rig.world.result.cause, EXEC_CARREL_LOST);
                assert_int_equal(hear(&rig, rig.other_agent), AGENT_START);
                close_fds(&rig);
                say_started(rig.other_agent, 1);
                say_exited(rig.other_agent, 1, 0, 0);
                world_await_answers(&rig.world, 2);
                assert_int_equal(rig.world.result.cause, EXEC_EXIT);
                assert_int_equal(rig.world.n_left_behind, 1);
                close_rig(&rig);
        }
}

/* Messages that had arrived when the lie was found still count, up to the next lie. */
static void a_lie_hides_no_message_of_another_exec(void **state)
{
        static const bool LIES_AGAIN[] = { false, true };

        (void)state;
        for (size_t i = 0; i < sizeof LIES_AGAIN / sizeof *LIES_AGAIN; i++) {
                struct rig rig;

                open_rig(&rig, true);
                begin_exec(&rig, &(struct exec_request){ 0 });
                assert_int_equal(hear(&rig, rig.agent), AGENT_START);
                say_started(rig.agent, 1);
                while (!(((struct agent_exec *)rig.world.exec)->seen & SAW_STARTED) && !rig.world.has_barked)
                        ev_run(rig.world.loop, EVRUN_ONCE);
                lie_about_an_unknown_kind(rig.agent);
                if (LIES_AGAIN[i])
                        lie_about_an_unknown_kind(rig.agent);
                agent_write_data(&said, 1, AGENT_STREAM_OUT, "last", 4);
                say(rig.agent);
                say_outputs_end(rig.agent, 1);
                say_exited(rig.agent, 1, 0, 7);
                agent_write_gone(&said, 1);
                say(rig.agent);
                world_await_answers(&rig.world, 1);
                assert_int_equal(rig.world.n_left_behind, 1);
                assert_int_equal(rig.world.result.cause, LIES_AGAIN[i] ? EXEC_CARREL_LOST : EXEC_EXIT);
                assert_int_equal(rig.world.result.output_length, LIES_AGAIN[i] ? 0 : 4);
                close_rig(&rig);
        }
}

/* It might run in the carrel, which is lost in any case. */
static void no_exec_is_launched_during_the_last_messages(void **state)
{
        static const bool LIES[] = { false, true };

        (void)state;
        for (size_t i = 0; i < sizeof LIES / sizeof *LIES; i++) {
                const struct agent_exec *next;
                struct rig rig;

                open_rig(&rig, true);
                execs_limit(rig.world.execs, &(const struct exec_limits){ .per_carrel = 1, .queued_per_carrel = 1 });
                begin_exec(&rig, &(struct exec_request){ 0 });
                assert_int_equal(hear(&rig, rig.agent), AGENT_START);
                begin_exec(&rig, &(struct exec_request){ 0 });
                next = (const struct agent_exec *)rig.world.exec;
                say_started(rig.agent, 1);
                if (LIES[i])
                        lie_about_an_unknown_kind(rig.agent);
                say_outputs_end(rig.agent, 1);
                say_exited(rig.agent, 1, 0, 7);
                agent_write_gone(&said, 1);
                say(rig.agent);
                world_await_answers(&rig.world, 1);
                assert_int_equal(rig.world.result.cause, EXEC_EXIT);
                assert_int_equal(rig.world.n_left_behind, LIES[i]);
                assert_int_equal(next->spec != NULL, LIES[i]); /* it still waits */
                close_rig(&rig);
        }
}

static void more_than_its_window_is_a_lie(void **state)
{
        static const char BYTES[32768];
        struct rig rig;

        (void)state;
        open_rig(&rig, true);
        begin_exec(&rig, &(struct exec_request){ 0 });
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        exec_pause(rig.world.exec, true);
        say_started(rig.agent, 1);
        for (size_t sent = 0; rig.world.n_left_behind == 0 && sent < 4 * (size_t)AGENT_WINDOW_BYTES;) {
                agent_write_data(&said, 1, AGENT_STREAM_OUT, BYTES, sizeof BYTES);
                if (send(rig.agent, said.bytes, said.length, MSG_NOSIGNAL) == (ssize_t)said.length)
                        sent += sizeof BYTES;
                ev_run(rig.world.loop, EVRUN_NOWAIT);
        }
        world_await_answers(&rig.world, 1);
        assert_int_equal(rig.world.n_left_behind, 1);
        close_rig(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_exec_goes_there_and_back),
                cmocka_unit_test(output_of_the_background_is_read),
                cmocka_unit_test(a_deadline_ends_the_wait_for_the_background),
                cmocka_unit_test(a_writer_in_the_background_keeps_a_reader),
                cmocka_unit_test(an_agent_that_does_not_read_gets_no_pipes),
                cmocka_unit_test(a_signal_is_reported_exactly),
                cmocka_unit_test(usage_is_that_of_the_agent),
                cmocka_unit_test(a_failed_start_is_explained_on_stderr),
                cmocka_unit_test(a_deadline_is_term_then_kill),
                cmocka_unit_test(a_deadline_stands_still_while_frozen),
                cmocka_unit_test(a_pipe_that_is_never_empty_holds_nobody_up),
                cmocka_unit_test(a_slow_reader_sees_the_end_of_a_pipe_that_has_none),
                cmocka_unit_test(an_unkillable_exec_retires_its_carrel),
                cmocka_unit_test(too_many_wait),
                cmocka_unit_test(an_exec_that_waits_too_long_is_not_started),
                cmocka_unit_test(input_flows_and_ends),
                cmocka_unit_test(a_terminal_has_one_stream_and_a_size),
                cmocka_unit_test(frames_carry_what_pipes_would),
                cmocka_unit_test(a_client_leaves_behind_held_frames),
                cmocka_unit_test(a_liar_harms_nobody_else),
                cmocka_unit_test(a_lie_hides_no_message_of_another_exec),
                cmocka_unit_test(no_exec_is_launched_during_the_last_messages),
                cmocka_unit_test(more_than_its_window_is_a_lie),
        };

        signal(SIGPIPE, SIG_IGN); /* as carreld does */
        return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}
