/* usage: with-engine PROGRAM
 *
 * Runs a test program that does not use the testbed, with an engine in an enclosure. The program finds the engine's
 * kind in TESTBED_ENGINE, its socket in TESTBED_ENGINE_SOCKET, and the cgroup for its containers in TESTBED_CGROUP. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "enclosure.h"
#include "test-engine.h"

static int inside(void)
{
        const char *program = getenv("TESTBED_PROGRAM");
        struct test_engine *engine;
        int status = 0;
        pid_t pid;

        if (program == NULL)
                return EXIT_FAILURE;
        engine = engine_new();
        setenv("TESTBED_ENGINE", engine_kind(), 1);
        setenv("TESTBED_ENGINE_SOCKET", engine_socket(), 1);
        pid = fork();
        if (pid == 0) {
                execl(program, program, (char *)NULL);
                _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                status = -1;
        engine_free(engine);
        return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
        if (argc != 2) {
                fprintf(stderr, "usage: with-engine PROGRAM\n");
                return EXIT_FAILURE;
        }
        setenv("TESTBED_PROGRAM", argv[1], 1);
        return enclosure_run(inside);
}
