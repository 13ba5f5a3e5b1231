#include "interrupt.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

int interrupt_open(void)
{
        static const int SIGNALS[] = { SIGHUP, SIGINT, SIGTERM };
        sigset_t set;

        sigemptyset(&set);
        for (size_t i = 0; i < sizeof SIGNALS / sizeof *SIGNALS; i++) {
                struct sigaction action;

                if (sigaction(SIGNALS[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
                        sigaddset(&set, SIGNALS[i]);
        }
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

int interrupt_read(int interrupt_fd)
{
        struct signalfd_siginfo info;

        if (read(interrupt_fd, &info, sizeof info) != (ssize_t)sizeof info)
                return 0;
        return (int)info.ssi_signo;
}

/* Until fd takes bytes. 0, -EINTR (a signal waits) or a negative errno. */
static int wait_writable(int fd, int interrupt_fd)
{
        struct pollfd polled[] = { { .fd = interrupt_fd, .events = POLLIN }, { .fd = fd, .events = POLLOUT } };

        while (poll(polled, 2, -1) < 0)
                if (errno != EINTR)
                        return -errno;
        return polled[0].revents != 0 ? -EINTR : 0;
}

int interrupt_write(int fd, const void *bytes, size_t length, int interrupt_fd)
{
        const char *at = bytes;

        while (length > 0) {
                /* A pipe that polls writable takes PIPE_BUF bytes without blocking (pipe(7)). */
                size_t piece = length < PIPE_BUF ? length : PIPE_BUF;
                int r = wait_writable(fd, interrupt_fd);

                if (r < 0)
                        return r;
                ssize_t written = write(fd, at, piece);
                if (written < 0 && errno != EINTR && errno != EAGAIN)
                        return -errno;
                if (written > 0) {
                        at += written;
                        length -= (size_t)written;
                }
        }
        return 0;
}
