#include "interrupt.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int open_signals(const int *signals, size_t n)
{
        sigset_t set;

        sigemptyset(&set);
        for (size_t i = 0; i < n; i++) {
                struct sigaction action;

                if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
                        sigaddset(&set, signals[i]);
        }
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

int interrupt_open(void)
{
        static const int SIGNALS[] = { SIGHUP, SIGINT, SIGTERM };

        return open_signals(SIGNALS, sizeof SIGNALS / sizeof *SIGNALS);
}

int interrupt_open_terminal(void)
{
        static const int SIGNALS[] = { SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH };

        return open_signals(SIGNALS, sizeof SIGNALS / sizeof *SIGNALS);
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

ssize_t interrupt_write_some(int fd, const void *bytes, size_t length, int interrupt_fd)
{
        for (;;) {
                /* A pipe that polls writable takes PIPE_BUF bytes without blocking (pipe(7)). */
                int r = wait_writable(fd, interrupt_fd);
                ssize_t written = r < 0 ? r : write(fd, bytes, length < PIPE_BUF ? length : PIPE_BUF);

                if (r < 0)
                        return r;
                if (written < 0 && errno != EINTR && errno != EAGAIN)
                        return -errno;
                if (written >= 0)
                        return written;
        }
}

int interrupt_write(int fd, const void *bytes, size_t length, int interrupt_fd)
{
        const char *at = bytes;

        while (length > 0) {
                ssize_t written = interrupt_write_some(fd, at, length, interrupt_fd);

                if (written < 0)
                        return (int)written;
                at += written;
                length -= (size_t)written;
        }
        return 0;
}
