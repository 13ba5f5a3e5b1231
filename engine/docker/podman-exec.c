/* Podman's service starts a conmon per exec with --exit-delay 300, because a client may ask later how the program
 * ended. A child of conmon sleeps, then becomes the podman(1) that forgets the session. At a few programs a second that
 * is a thousand processes. conmon 2.1 passes SIGTERM on to its program. If there is no such program any more, SIGTERM
 * ends the sleep: the session is forgotten at once and both processes end. So it is sent only when the program's pid
 * belongs to no process, because conmon would signal its new owner. (exit_command_delay of containers.conf(5) does the
 * same for all of Podman's clients.) */
#include "podman-exec.h"

#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"
#include "scope.h"
#include "str.h"

#define PATIENCE_S 2.0

enum { SESSIONS_MAX = 512, COMMAND_BYTES = 16384, PID_MOST = 4194304 };

struct podman_execs {
        struct ev_loop *loop;
        ev_timer timer;
        size_t n_ripe; /* the first ones, added before the timer was started */
        size_t n_sessions;
        char sessions[SESSIONS_MAX][ENGINE_ID_BYTES];
};

/* A process of root named conmon. A program inside a carrel can take that name, but not that uid. */
static bool is_conmon(int proc, const char *pid)
{
        char path[64], name[16] = "";
        struct stat owner;

        if (fstatat(proc, pid, &owner, 0) < 0 || owner.st_uid != 0)
                return false;
        snprintf(path, sizeof path, "%.16s/comm", pid);
        AUTO(auto_close) int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
        ssize_t length = fd >= 0 ? read(fd, name, sizeof name - 1) : -1;
        return length > 0 && strcmp(name, "conmon\n") == 0;
}

/* Its arguments, each ended by a NUL. 0: they cannot be read. */
static size_t read_command(int proc, const char *pid, char ret_command[static COMMAND_BYTES])
{
        char path[64];

        snprintf(path, sizeof path, "%.16s/cmdline", pid);
        AUTO(auto_close) int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
        ssize_t length = fd >= 0 ? read(fd, ret_command, COMMAND_BYTES - 1) : -1;
        if (length <= 0)
                return 0;
        ret_command[length] = '\0';
        return (size_t)length;
}

/* The word after an option; "" without that option. */
static const char *word_after(const char *command, size_t length, const char *option)
{
        const char *end = command + length;

        for (const char *at = command; at < end; at += strlen(at) + 1)
                if (strcmp(at, option) == 0 && at + strlen(at) + 1 < end)
                        return at + strlen(at) + 1;
        return "";
}

static bool is_ripe(const struct podman_execs *execs, const char *session)
{
        for (size_t i = 0; i < execs->n_ripe; i++)
                if (strcmp(execs->sessions[i], session) == 0)
                        return true;
        return false;
}

/* The pid file of the program that conmon watches (-p) names no process. */
static bool is_program_gone(const char *pid_file)
{
        char text[16] = "";
        uint64_t pid;
        AUTO(auto_close) int fd = open(pid_file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        ssize_t length = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

        if (length <= 0)
                return false;
        text[strspn(text, "0123456789")] = '\0';
        return str_parse_u64(text, 2, PID_MOST, &pid) == 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

/* conmon(8): -u is the session's id if it watches an exec; -p is the file with the program's pid. */
static bool is_idle_monitor(const struct podman_execs *execs, int proc, const char *pid)
{
        char command[COMMAND_BYTES];
        size_t length = is_conmon(proc, pid) ? read_command(proc, pid, command) : 0;

        return is_ripe(execs, word_after(command, length, "-u")) && is_program_gone(word_after(command, length, "-p"));
}

/* The pidfd is opened before the checks, so that the checked process is the one that is signalled. */
static void end_monitor(const struct podman_execs *execs, int proc, const char *pid)
{
        uint64_t number;

        if (str_parse_u64(pid, 2, PID_MOST, &number) < 0 || !is_conmon(proc, pid))
                return;
        AUTO(auto_close) int fd = pidfd_open((pid_t)number, 0);
        if (fd >= 0 && is_idle_monitor(execs, proc, pid))
                (void)pidfd_send_signal(fd, SIGTERM, NULL, 0);
}

static void end_monitors(const struct podman_execs *execs)
{
        DIR *dir = opendir("/proc");

        if (dir == NULL)
                return;
        for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
                end_monitor(execs, dirfd(dir), entry->d_name);
        closedir(dir);
}

static void start_timer(struct podman_execs *execs)
{
        execs->n_ripe = execs->n_sessions;
        if (execs->n_sessions == 0)
                return;
        ev_timer_set(&execs->timer, PATIENCE_S, 0.0);
        ev_timer_start(execs->loop, &execs->timer);
}

static void on_ripe(struct ev_loop *loop, ev_timer *timer, int revents)
{
        struct podman_execs *execs = timer->data;

        end_monitors(execs);
        execs->n_sessions -= execs->n_ripe;
        memmove(execs->sessions, execs->sessions[execs->n_ripe], execs->n_sessions * sizeof *execs->sessions);
        start_timer(execs);
}

int podman_execs_new(struct podman_execs **ret_execs, struct ev_loop *loop)
{
        struct podman_execs *execs = calloc(1, sizeof *execs);

        if (execs == NULL)
                return -ENOMEM;
        execs->loop = loop;
        ev_timer_init(&execs->timer, on_ripe, 0.0, 0.0);
        execs->timer.data = execs;
        *ret_execs = execs;
        return 0;
}

struct podman_execs *podman_execs_free(struct podman_execs *execs)
{
        if (execs == NULL)
                return NULL;
        ev_timer_stop(execs->loop, &execs->timer);
        free(execs);
        return NULL;
}

void podman_execs_add(struct podman_execs *execs, const char *exec_id)
{
        if (execs->n_sessions == SESSIONS_MAX ||
            str_copy(execs->sessions[execs->n_sessions], sizeof *execs->sessions, exec_id) < 0)
                return;
        execs->n_sessions++;
        if (!ev_is_active(&execs->timer))
                start_timer(execs);
}
