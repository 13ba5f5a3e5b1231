#include "program.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "interrupt.h"
#include "scope.h"

/* With the signals that this process blocks, so that the program receives them. */
static int spawn(const char *path, const char *const *argv, int out_fd, pid_t *ret_pid)
{
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none;
        int r = posix_spawn_file_actions_init(&actions);

        if (r != 0)
                return -r;
        r = posix_spawnattr_init(&attributes);
        if (r == 0) {
                sigemptyset(&none);
                (void)posix_spawnattr_setsigmask(&attributes, &none);
                (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
                if (out_fd >= 0)
                        r = posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
                if (r == 0)
                        r = posix_spawnp(ret_pid, path, &actions, &attributes, (char *const *)(uintptr_t)argv, environ);
                (void)posix_spawnattr_destroy(&attributes);
        }
        (void)posix_spawn_file_actions_destroy(&actions);
        return -r;
}

/* Waits for its end, and passes signals on. It may get one from the terminal too, but reacts only once. */
static int await(pid_t pid, int interrupt_fd, int *ret_signal)
{
        AUTO(auto_close) int pidfd = pidfd_open(pid, 0);
        int status = 0;

        while (pidfd >= 0) {
                struct pollfd polled[] = { { .fd = pidfd, .events = POLLIN },
                                           { .fd = interrupt_fd, .events = POLLIN } };

                if (poll(polled, 2, -1) > 0 && polled[1].revents != 0) {
                        *ret_signal = interrupt_read(interrupt_fd);
                        (void)kill(pid, SIGTERM);
                }
                if (polled[0].revents != 0)
                        break;
        }
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                continue;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int program_run(const char *path, const char *const *argv, int out_fd, int *ret_signal)
{
        AUTO(auto_close) int interrupt_fd = interrupt_open();
        pid_t pid = -1;
        int r = spawn(path, argv, out_fd, &pid);

        *ret_signal = 0;
        if (r == 0)
                return await(pid, interrupt_fd, ret_signal);
        errno = -r;
        return -1;
}
