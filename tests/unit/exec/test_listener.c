/* Which process is accepted as a container's agent: by its cgroup, and by its HELLO. */
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
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent-channel.h"
#include "agent-listener.h"
#include "world.h"

struct rig {
        struct world world;
        struct cell cell;
        char runtime_dir[64];
        struct agent_listener *listener;
        unsigned n_greetings;
        enum fault_kind fault; /* FAULT_NONE: welcome */
        bool is_ready;
};

static struct agent_packet packet;

/* Into the cgroup. */
static void enter(const struct rig *rig)
{
        char path[CELL_PATH_BYTES + 32];
        int join;

        (void)snprintf(path, sizeof path, "%s/cgroup.procs", rig->cell.directory);
        join = open(path, O_WRONLY | O_CLOEXEC);
        if (write(join, "0", 1) != 1)
                _exit(1);
}

static int dial(const struct rig *rig)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/agents/test/ada/agent.sock", rig->runtime_dir);
        return connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -1 : fd;
}

/* Enters the cgroup, sends HELLO, passes on the answer, and waits for its end. */
static void be_agent(const struct rig *rig, const uint8_t *token, int answer)
{
        struct agent_hello hello = { .magic = AGENT_MAGIC, 1, 1 };
        ssize_t length;
        int fd;

        enter(rig);
        fd = dial(rig);
        memcpy(hello.token, token, sizeof hello.token);
        agent_write_hello(&packet, &hello);
        if (send(fd, packet.bytes, packet.length, MSG_NOSIGNAL) < 0)
                _exit(1);
        length = recv(fd, packet.bytes, sizeof packet.bytes, 0);
        if (length <= 0 || write(answer, packet.bytes, (size_t)length) < 0)
                _exit(1);
        for (;;)
                pause();
}

static void on_greeted(void *arg, const struct fault *why)
{
        struct rig *rig = arg;

        rig->n_greetings++;
        rig->fault = why == NULL ? FAULT_NONE : why->kind;
}

/* The process that connects: the supposed init, or another one in the same container. */
struct visit {
        bool is_init;
        bool has_own_kernel;
        bool knows_token; /* of the last WELCOME */
        const char *container;
};

struct doorbell {
        ev_io io;
        bool has_rung;
};

static void on_answer(struct ev_loop *loop, ev_io *io, int events)
{
        struct doorbell *doorbell = io->data;

        (void)events;
        doorbell->has_rung = true;
        ev_io_stop(loop, io);
}

/* True: it was accepted, and *ret_welcome is the WELCOME. False: it was disconnected, and the greeting waits. */
static bool greet(struct rig *rig, const struct visit *visit, const uint8_t *token, struct agent_welcome *ret_welcome)
{
        static const uint8_t NONE[AGENT_TOKEN_BYTES];
        struct doorbell doorbell = { .has_rung = false };
        struct fault why;
        pid_t agent;
        ssize_t length;
        int ends[2];

        assert_int_equal(pipe(ends), 0);
        assert_int_equal(agent_listener_new(&rig->listener, rig->world.execs, "ada", &why), 0);
        rig->n_greetings = 0;
        agent = fork();
        if (agent == 0)
                be_agent(rig, visit->knows_token ? token : NONE, ends[1]);
        close(ends[1]);
        ev_io_init(&doorbell.io, on_answer, ends[0], EV_READ);
        doorbell.io.data = &doorbell;
        ev_io_start(rig->world.loop, &doorbell.io);
        assert_int_equal(agent_listener_greet(rig->listener, visit->container, visit->is_init ? agent : getpid(),
                                              visit->has_own_kernel, on_greeted, rig),
                         0);
        while (!doorbell.has_rung && !rig->world.has_barked)
                ev_run(rig->world.loop, EVRUN_ONCE);
        assert_int_equal(agent_listener_is_greeted(rig->listener), rig->n_greetings == 1);
        rig->listener = agent_listener_free(rig->listener);
        kill(agent, SIGKILL);
        waitpid(agent, NULL, 0);
        length = read(ends[0], packet.bytes, sizeof packet.bytes);
        close(ends[0]);
        if (rig->n_greetings == 0)
                return false;
        assert_int_equal(rig->fault, FAULT_NONE);
        assert_true(length > AGENT_HEADER_BYTES);
        assert_int_equal(agent_read_welcome(packet.bytes, ret_welcome), 0);
        return true;
}

static bool is_zero(const uint8_t *token)
{
        static const uint8_t NONE[AGENT_TOKEN_BYTES];

        return memcmp(token, NONE, sizeof NONE) == 0;
}

static void only_the_init_is_let_in(void **state)
{
        struct rig *rig = *state;
        const char *id = rig->cell.id;
        const struct {
                struct visit visit;
                bool is_let_in;
        } CASES[] = {
                { { true, false, false, id }, true },
                { { false, false, false, id }, false },
                { { true, false, false, "another" }, false },
                /* The first process of a container is accepted, whatever its pid on the host, if it is in the
                   container's cgroup. */
                { { false, true, false, "another" }, false },
                { { false, true, false, id }, true },
                /* From then on it must know the token; the control knows it. */
                { { false, true, false, id }, false },
                { { true, true, false, id }, false },
                { { false, true, true, id }, true },
        };
        struct agent_welcome welcome = { 0 };

        if (!rig->is_ready) {
                print_message("SKIP: no pid namespace or no writable cgroup here\n");
                skip();
        }
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                const struct visit *visit = &CASES[i].visit;

                if (greet(rig, visit, welcome.token, &welcome) != CASES[i].is_let_in)
                        fail_msg("case %zu", i);
                if (!CASES[i].is_let_in)
                        continue;
                assert_int_equal(welcome.flags, visit->has_own_kernel ? AGENT_WELCOME_FRAMED : 0);
                assert_int_equal(is_zero(welcome.token), !visit->has_own_kernel);
        }
        agent_listener_forget(rig->world.execs, "ada");
        assert_true(greet(rig, &CASES[4].visit, welcome.token, &welcome)); /* no token is left */
}

static int give_up(struct rig *rig, const char *container)
{
        struct fault why;
        int r;

        assert_int_equal(agent_listener_new(&rig->listener, rig->world.execs, "ada", &why), 0);
        assert_int_equal(agent_listener_greet(rig->listener, container, getpid(), true, on_greeted, rig), 0);
        r = agent_listener_give_up(rig->listener);
        rig->listener = agent_listener_free(rig->listener);
        return r;
}

/* A carrel that served without an agent gets none later, as a program inside could pretend to be it. A carrel that has
 * had an agent does not serve without one, even if that agent never got its token. */
static void an_agent_is_greeted_from_the_start_or_never(void **state)
{
        struct rig *rig = *state;
        const struct visit first = { false, true, false, rig->cell.id };
        const struct visit knowing = { false, true, true, rig->cell.id };
        struct agent_welcome welcome = { 0 };

        if (!rig->is_ready) {
                print_message("SKIP: no pid namespace or no writable cgroup here\n");
                skip();
        }
        assert_int_equal(give_up(rig, rig->cell.id), 0);
        assert_false(greet(rig, &first, welcome.token, &welcome));
        assert_false(greet(rig, &knowing, welcome.token, &welcome));
        assert_int_equal(give_up(rig, rig->cell.id), 0); /* and at each adoption */
        assert_int_equal(give_up(rig, "another"), 0);
        assert_true(greet(rig, &first, welcome.token, &welcome)); /* as if it were the user's next container */
        assert_int_equal(give_up(rig, rig->cell.id), -EPERM);
        assert_false(greet(rig, &first, welcome.token, &welcome));
        assert_true(greet(rig, &knowing, welcome.token, &welcome));
}

/* Connects twice and sends only on the second connection; the first is closed when `end` is closed. */
static void be_two_guests(const struct rig *rig, int called, int end)
{
        struct agent_hello hello = { .magic = AGENT_MAGIC, 1, 1 };
        int silent, speaking;
        char byte;

        enter(rig);
        agent_write_hello(&packet, &hello);
        silent = dial(rig);
        speaking = dial(rig);
        if (silent < 0 || send(speaking, packet.bytes, packet.length, MSG_NOSIGNAL) < 0 || write(called, "", 1) != 1 ||
            read(end, &byte, 1) != 0)
                _exit(1);
        close(silent);
        for (;;)
                pause();
}

static void on_time(struct ev_loop *loop, ev_timer *timer, int events)
{
        (void)loop, (void)events;
        *(bool *)timer->data = true;
}

/* Runs the loop for a moment; returns how often it woke up. */
static unsigned count_turns(struct ev_loop *loop)
{
        unsigned before = ev_iteration(loop);
        bool is_over = false;
        ev_timer timer;

        ev_timer_init(&timer, on_time, 0.1, 0.0);
        timer.data = &is_over;
        ev_timer_start(loop, &timer);
        while (!is_over)
                ev_run(loop, EVRUN_ONCE);
        return ev_iteration(loop) - before;
}

static void who_waits_behind_a_silent_guest_wakes_nobody(void **state)
{
        struct rig *rig = *state;
        int called[2], end[2];
        unsigned turns, early;
        struct fault why;
        pid_t guest;
        char byte;

        if (!rig->is_ready) {
                print_message("SKIP: no pid namespace or no writable cgroup here\n");
                skip();
        }
        assert_int_equal(pipe(called) | pipe(end), 0);
        assert_int_equal(agent_listener_new(&rig->listener, rig->world.execs, "ada", &why), 0);
        assert_int_equal(agent_listener_greet(rig->listener, rig->cell.id, getpid(), true, on_greeted, rig), 0);
        guest = fork();
        if (guest == 0) {
                close(end[1]);
                be_two_guests(rig, called[1], end[0]);
        }
        close(called[1]);
        assert_int_equal(read(called[0], &byte, 1), 1);
        turns = count_turns(rig->world.loop);
        early = rig->n_greetings;
        close(end[1]); /* the first is closed: the second is accepted */
        while (rig->n_greetings == 0 && !rig->world.has_barked)
                ev_run(rig->world.loop, EVRUN_ONCE);
        rig->listener = agent_listener_free(rig->listener);
        kill(guest, SIGKILL);
        waitpid(guest, NULL, 0);
        assert_in_range(turns, 1, 20);
        assert_int_equal(early, 0);
        assert_int_equal(rig->n_greetings, 1);
        assert_int_equal(rig->fault, FAULT_NONE);
        close(called[0]);
        close(end[0]);
}

static int setup(void **state)
{
        struct rig *rig = calloc(1, sizeof *rig);
        struct fault why;

        if (rig == NULL)
                return -1;
        *state = rig;
        (void)snprintf(rig->runtime_dir, sizeof rig->runtime_dir, "/tmp/test-home.XXXXXX");
        if (cell_make(&rig->cell) != 0)
                return getenv("CARREL_MUST_RUN") != NULL ? -1 : 0;
        rig->is_ready = true;
        world_open(&rig->world);
        return mkdtemp(rig->runtime_dir) == NULL ? -1 : agents_open(rig->world.execs, rig->runtime_dir, "test", &why);
}

static int teardown(void **state)
{
        static const char *const PARTS[] = { "/agents/test", "/agents", "" };
        struct rig *rig = *state;
        char path[128];
        int r = 0;

        if (rig->is_ready) {
                agent_listener_forget(rig->world.execs, "ada");
                world_close(&rig->world);
                cell_destroy(&rig->cell);
        }
        for (size_t i = 0; rig->is_ready && i < sizeof PARTS / sizeof *PARTS; i++) {
                (void)snprintf(path, sizeof path, "%s%s", rig->runtime_dir, PARTS[i]);
                r |= rmdir(path);
        }
        free(rig);
        return r;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(only_the_init_is_let_in, setup, teardown),
                cmocka_unit_test_setup_teardown(an_agent_is_greeted_from_the_start_or_never, setup, teardown),
                cmocka_unit_test_setup_teardown(who_waits_behind_a_silent_guest_wakes_nobody, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
