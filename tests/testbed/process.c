#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

double now_s(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int exit_status(int wait_status)
{
        return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

static _Noreturn void become(const char *const *argv, const char *const *environment, int output)
{
        int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
        sigset_t none;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        dup2(nothing, STDIN_FILENO);
        dup2(output, STDOUT_FILENO);
        dup2(output, STDERR_FILENO);
        if (environment != NULL)
                environ = (char **)environment;
        execvp(argv[0], (char *const *)argv);
        dprintf(STDERR_FILENO, "testbed: cannot execute %s: %s\n", argv[0], strerror(errno));
        _exit(127);
}

static void collect(int fd, struct output *output)
{
        size_t length = 0;
        ssize_t count;

        /* When the buffer is full, the rest is read into its last byte, so that the program does not block on its
         * output. */
        while ((count = read(fd, output->text + length, sizeof output->text - 1 - length)) > 0) {
                length += (size_t)count;
                if (length >= sizeof output->text - 1)
                        length = sizeof output->text - 2;
        }
        output->text[length] = '\0';
}

void process_run(struct output *ret_output, const char *const *argv)
{
        int pipe_fds[2], status = 0;
        pid_t pid;

        assert_return_code(pipe2(pipe_fds, O_CLOEXEC), errno);
        pid = fork();
        assert_return_code(pid, errno);
        if (pid == 0)
                become(argv, NULL, pipe_fds[1]);
        close(pipe_fds[1]);
        collect(pipe_fds[0], ret_output);
        close(pipe_fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        ret_output->status = exit_status(status);
}

void process_must_run(const char *const *argv)
{
        static struct output output;

        process_run(&output, argv);
        if (output.status != 0)
                fail_msg("%s %s ended with %d: %s", argv[0], argv[1] != NULL ? argv[1] : "", output.status,
                         output.text);
}

pid_t process_spawn(const char *const *argv, const char *const *environment, const char *log_path)
{
        int log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        pid_t pid;

        assert_return_code(log_fd, errno);
        pid = fork();
        assert_return_code(pid, errno);
        if (pid == 0)
                become(argv, environment, log_fd);
        close(log_fd);
        return pid;
}

static void await_exit(pid_t pid, double deadline_s)
{
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        struct pollfd watched = { .fd = fd, .events = POLLIN };

        assert_return_code(fd, errno);
        poll(&watched, 1, (int)(deadline_s * 1000.0));
        close(fd);
}

int process_end(pid_t pid, int signal, double deadline_s)
{
        int status = 0;

        if (signal != 0)
                kill(pid, signal);
        await_exit(pid, deadline_s);
        if (waitpid(pid, &status, WNOHANG) != 0)
                return exit_status(status);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        return exit_status(status);
}

bool process_is_running(pid_t pid)
{
        siginfo_t info = { 0 };

        return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

bool wait_until(bool (*is_done)(void *arg), void *arg, double deadline_s)
{
        double end_s = now_s() + deadline_s;

        for (int moment_ms = 2; !is_done(arg); moment_ms = moment_ms < 50 ? 2 * moment_ms : moment_ms) {
                if (now_s() > end_s)
                        return false;
                poll(NULL, 0, moment_ms);
        }
        return true;
}
