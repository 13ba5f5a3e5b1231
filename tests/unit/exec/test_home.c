/* Who is let in as a container's agent: a process in the container's cgroup, and what it says of itself. */
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
#include "agent.h"
#include "world.h"

struct rig {
        struct world world;
        struct cell cell;
        char runtime_dir[64];
        struct agent_home *home;
        unsigned n_greetings;
        enum fault_kind fault; /* FAULT_NONE: welcome */
        bool is_ready;
};

static struct agent_packet packet;

/* Enters the cgroup, says HELLO, and waits for its end. */
static void be_agent(const struct rig *rig, uint16_t flags)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char path[CELL_PATH_BYTES + 32];
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        int join;

        (void)snprintf(path, sizeof path, "%s/cgroup.procs", rig->cell.directory);
        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/agents/test/ada/agent.sock", rig->runtime_dir);
        join = open(path, O_WRONLY | O_CLOEXEC);
        agent_write_hello(&packet, &(struct agent_hello){ AGENT_MAGIC, 1, 1, flags });
        if (write(join, "0", 1) != 1 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
            send(fd, packet.bytes, packet.length, MSG_NOSIGNAL) < 0)
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

static void greet(struct rig *rig, uint16_t flags, bool may_be_framed)
{
        struct fault why;
        pid_t agent;

        assert_int_equal(agent_home_new(&rig->home, rig->world.execs, "ada", &why), 0);
        rig->n_greetings = 0;
        agent = fork();
        if (agent == 0)
                be_agent(rig, flags);
        assert_int_equal(agent_home_greet(rig->home, rig->cell.id, agent, may_be_framed, on_greeted, rig), 0);
        while (rig->n_greetings == 0 && !rig->world.has_barked)
                ev_run(rig->world.loop, EVRUN_ONCE);
        assert_int_equal(rig->n_greetings, 1);
        assert_int_equal(agent_home_is_greeted(rig->home), rig->fault == FAULT_NONE);
        rig->home = agent_home_free(rig->home);
        kill(agent, SIGKILL);
        waitpid(agent, NULL, 0);
}

static void frames_only_where_they_must_be(void **state)
{
        static const struct {
                uint16_t flags;
                bool may_be_framed;
                enum fault_kind fault;
        } CASES[] = {
                { 0, false, FAULT_NONE },
                { 0, true, FAULT_NONE },
                { AGENT_HELLO_NO_FDS, true, FAULT_NONE },
                { AGENT_HELLO_NO_FDS, false, FAULT_CARREL_LOST },
        };
        struct rig *rig = *state;

        if (!rig->is_ready) {
                print_message("SKIP: no pid namespace or no writable cgroup here\n");
                skip();
        }
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                greet(rig, CASES[i].flags, CASES[i].may_be_framed);
                assert_int_equal(rig->fault, CASES[i].fault);
        }
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
        int error = 0;

        if (rig->is_ready) {
                agent_home_forget(rig->world.execs, "ada");
                world_close(&rig->world);
                cell_destroy(&rig->cell);
        }
        for (size_t i = 0; rig->is_ready && i < sizeof PARTS / sizeof *PARTS; i++) {
                (void)snprintf(path, sizeof path, "%s%s", rig->runtime_dir, PARTS[i]);
                error |= rmdir(path);
        }
        free(rig);
        return error;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(frames_only_where_they_must_be, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
