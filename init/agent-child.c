/* The child between fork(2) and execve(2). It is still our code and not dumpable; execve(2) makes it the user's. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"

enum { CODE_NOT_FOUND = 127, CODE_NOT_EXECUTABLE = 126, PATH_ROOM = 4096 };

static _Noreturn void fail(const struct child *child, enum agent_stage stage, int error)
{
        agent_write_failed(connection_packet(), child->number,
                           &(struct agent_failed){ (uint32_t)stage, (uint32_t)error });
        connection_send_patiently(child->agent, connection_packet());
        _exit(stage == AGENT_STAGE_EXEC && (error == ENOENT || error == ENOTDIR) ? CODE_NOT_FOUND
                                                                                 : CODE_NOT_EXECUTABLE);
}

static void move_to(const struct child *child, int from, int to)
{
        if (from >= 0 && dup2(from, to) < 0)
                fail(child, AGENT_STAGE_TTY, errno);
}

/* TIOCGPTPEER needs no path, which the user's mounts could have changed. Kernels without it (gVisor) have ptsname. */
static int open_terminal(const struct child *child)
{
        char path[64];
        unsigned number;
        int slave = ioctl(child->terminal, TIOCGPTPEER, O_RDWR | O_NOCTTY);

        if (slave >= 0)
                return slave;
        if (ioctl(child->terminal, TIOCGPTN, &number) < 0)
                fail(child, AGENT_STAGE_TTY, errno);
        (void)snprintf(path, sizeof path, INSIDE_TERMINALS "/%u", number);
        slave = open(path, O_RDWR | O_NOCTTY);
        if (slave < 0)
                fail(child, AGENT_STAGE_TTY, errno);
        return slave;
}

static void take_terminal(const struct child *child)
{
        int slave = open_terminal(child);

        if (ioctl(slave, TIOCSCTTY, 0) < 0)
                fail(child, AGENT_STAGE_TTY, errno);
        for (int fd = 0; fd <= 2; fd++)
                move_to(child, slave, fd);
        if (slave > 2)
                close(slave);
}

static void take_streams(const struct child *child)
{
        int in = child->in;

        if (in < 0)
                in = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (in < 0)
                fail(child, AGENT_STAGE_TTY, errno);
        move_to(child, in, 0);
        move_to(child, child->out, 1);
        move_to(child, child->err, 2);
}

static void mark(const struct child *child)
{
        if (child->agent->is_framed && !family_mark(child->agent, 0, child->number))
                fail(child, AGENT_STAGE_JOIN, errno);
}

/* The child moves itself, because that is cheap: the kernel need not wait for other threads (kernel/cgroup/cgroup.c,
 * cgroup_procs_write_start). The permission is that of carreld, which opened the file. */
static void join(const struct child *child)
{
        if (child->join >= 0 && write(child->join, "0", 1) != 1)
                fail(child, AGENT_STAGE_JOIN, errno);
}

/* Ends the child if the message cannot be sent: carreld would believe that nothing was started, and might start the
 * program elsewhere. */
static void say_started(const struct child *child)
{
        agent_write_started(connection_packet(), child->number);
        if (!connection_send_patiently(child->agent, connection_packet()))
                _exit(127);
}

/* Like execvp(3): executes the first program in PATH that it can, and remembers an EACCES on the way. Returns the
 * errno. */
static int execute_in_path(const struct child *child)
{
        const char *program = child->spec->argv[0];
        const char *path = environment_find(child->environment, "PATH");
        char file[PATH_ROOM];
        int worst = ENOENT;

        for (const char *at = path != NULL ? path : "/usr/local/bin:/usr/bin:/bin";; at++) {
                size_t length = strcspn(at, ":");
                int written = snprintf(file, sizeof file, "%.*s/%s", length > 0 ? (int)length : 1,
                                       length > 0 ? at : ".", program);

                if (written > 0 && (size_t)written < sizeof file)
                        execve(file, child->spec->argv, child->environment);
                if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
                        return errno;
                if (errno == EACCES)
                        worst = EACCES;
                at += length;
                if (*at == '\0')
                        return worst;
        }
}

static void reset_signals(void)
{
        sigset_t none;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn void child_run(const struct child *child)
{
        if (setsid() < 0)
                fail(child, AGENT_STAGE_FORK, errno);
        join(child);
        mark(child);
        say_started(child);
        if (child->terminal >= 0)
                take_terminal(child);
        else
                take_streams(child);
        umask(022);
        if (chdir(child->spec->working_dir) != 0)
                fail(child, AGENT_STAGE_CWD, errno);
        reset_signals();
        if (strchr(child->spec->argv[0], '/') == NULL)
                fail(child, AGENT_STAGE_EXEC, execute_in_path(child));
        execve(child->spec->argv[0], child->spec->argv, child->environment);
        fail(child, AGENT_STAGE_EXEC, errno);
}
