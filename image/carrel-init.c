/* Process 1 of every carrel: reaps what the user's programs leave behind, and waits to be told to end.
 *
 * Built static against musl, because it is bind-mounted into images that may have any libc or none. It runs with the
 * user's own uid, so nothing in here may be reachable for him: it is not dumpable (no ptrace, no /proc/1/mem or
 * /proc/1/fd, prctl(2)), holds no descriptor beyond the log's, and takes no order from inside. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"

enum { EXIT_SETUP = 70, FIRST_FOREIGN_FD = 3, MOST_FDS_BY_HAND = 65536 };

/* An engine or a hook may have leaked descriptors into us. close_range(2) may be missing or filtered: then by hand. */
static void close_foreign_fds(void)
{
        if (syscall(SYS_close_range, (unsigned)FIRST_FOREIGN_FD, ~0U, 0U) == 0)
                return;
        for (int fd = FIRST_FOREIGN_FD; fd < MOST_FDS_BY_HAND; fd++)
                close(fd);
}

static bool shut_in(void)
{
        umask(077);
        close_foreign_fds();
        /* /workspace, the engine's choice, would be kept busy by us. As a subreaper we do our job even where the
         * runtime puts an init of its own in front. */
        return chdir("/") == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
               prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

static void reap_all(void)
{
        while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
}

/* A sender outside our pid namespace has no number in it, so the kernel says 0 (pid_namespaces(7)). The user inside
 * can write that 0 into a queued signal, but he cannot claim SI_USER with it (rt_sigqueueinfo(2)). */
static bool is_from_outside(const siginfo_t *info)
{
        return info->si_code == SI_USER && info->si_pid == 0;
}

static void serve(const sigset_t *awaited)
{
        for (;;) {
                siginfo_t info;
                int number = sigwaitinfo(awaited, &info);

                if (number == SIGCHLD)
                        reap_all();
                else if (number == SIGTERM && is_from_outside(&info))
                        return;
        }
}

/* Every other signal keeps its default disposition: the kernel does not deliver those to process 1. */
int main(int argc, char **argv)
{
        sigset_t awaited;

        if (argc > 1 && strcmp(argv[1], "file") == 0 && getpid() != 1)
                return files_main(argc - 2, argv + 2);
        sigemptyset(&awaited);
        sigaddset(&awaited, SIGCHLD);
        sigaddset(&awaited, SIGTERM);
        if (sigprocmask(SIG_SETMASK, &awaited, NULL) != 0 || !shut_in())
                return EXIT_SETUP;
        reap_all();
        serve(&awaited);
        return EXIT_SUCCESS;
}
