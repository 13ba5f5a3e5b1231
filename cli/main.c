/* carrel(1), the admin's and the user's hand on carreld: everything it does, the API can do. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "dispatch.h"

/* A closed standard descriptor would be given to a socket, and output be written into it. */
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
        (void)signal(SIGPIPE, SIG_IGN); /* a reader that leaves is an error of write(2) */
        return cli_dispatch(argc, argv, getenv("CARREL_SOCKET"), stdout, stderr);
}
