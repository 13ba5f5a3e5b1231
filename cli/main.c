/* carrel(1), the command-line client of carreld: it does only what the API can do. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "dispatch.h"

/* A socket would get the number of a closed standard descriptor, and receive the output. */
static int fill_standard_fds(void)
{
        int fd;

        do {
                fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        } while (fd >= 0 && fd <= STDERR_FILENO);
        if (fd < 0)
                return -errno;
        close(fd);
        return 0;
}

int main(int argc, char **argv)
{
        if (fill_standard_fds() < 0)
                return EXIT_FAILURE;
        (void)signal(SIGPIPE, SIG_IGN); /* then write(2) fails if the reader has left */
        return cli_dispatch(argc, argv, getenv("CARREL_SOCKET"), stdout, stderr);
}
