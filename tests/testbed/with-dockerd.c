/* Runs a test program that knows nothing of the testbed, with a Docker Engine in an enclosure: with-dockerd PROGRAM.
 * Its socket is in CARREL_TEST_DOCKER_SOCKET. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dockerd.h"
#include "enclosure.h"

static int inside(void)
{
        const char *program = getenv("TESTBED_PROGRAM");
        struct dockerd *dockerd;
        int status = 0;
        pid_t pid;

        if (program == NULL)
                return EXIT_FAILURE;
        dockerd = dockerd_new();
        setenv("CARREL_TEST_DOCKER_SOCKET", DOCKERD_SOCKET, 1);
        pid = fork();
        if (pid == 0) {
                execl(program, program, (char *)NULL);
                _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                status = -1;
        dockerd_free(dockerd);
        return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
        if (argc != 2) {
                fprintf(stderr, "usage: with-dockerd PROGRAM\n");
                return EXIT_FAILURE;
        }
        setenv("TESTBED_PROGRAM", argv[1], 1);
        return enclosure_run(inside);
}
