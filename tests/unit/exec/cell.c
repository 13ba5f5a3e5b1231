#include "cell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"

enum { FORKS = 40 };

static int make_directory(struct cell *cell)
{
        struct cgroup_mounts mounts = { 0 };
        unsigned char random[32];
        const char *point;

        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random || cgroup_read_mounts(&mounts) != 0)
                return -EIO;
        for (size_t i = 0; i < sizeof random; i++)
                snprintf(cell->id + 2 * i, 3, "%02x", random[i]);
        point = mounts.of[CGROUP_PIDS].point[0] != '\0' ? mounts.of[CGROUP_PIDS].point
                                                        : mounts.of[CGROUP_UNIFIED].point;
        if (point[0] == '\0')
                return -ENOENT;
        snprintf(cell->directory, sizeof cell->directory, "%s/%s", point, cell->id);
        return mkdir(cell->directory, 0755) == 0 ? 0 : -errno;
}

static int write_number(const struct cell *cell, const char *file, int number)
{
        char path[CELL_PATH_BYTES + 32], text[16];
        int fd, length, error = 0;

        snprintf(path, sizeof path, "%s/%s", cell->directory, file);
        length = snprintf(text, sizeof text, "%d", number);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (write(fd, text, (size_t)length) != length)
                error = -errno;
        close(fd);
        return error;
}

static int join_cgroup(const struct cell *cell, pid_t pid)
{
        return write_number(cell, "cgroup.procs", pid);
}

int cell_limit_pids(const struct cell *cell, int most)
{
        return write_number(cell, "pids.max", most);
}

static void run_init(void)
{
        signal(SIGCHLD, SIG_IGN); /* reaps by itself */
        for (;;)
                pause();
}

/* Sends the child's pid, as its parent outside sees it, through a pipe once the child is in the cgroup. Then it lets
 * the child go, which waits for that at the other pipe. Only the child has childs_fd; -1: the child is an init, which
 * must not outlive its parent. */
static void keep(const struct cell *cell, int report_fd, int childs_fd, void (*body)(void *arg), void *arg)
{
        int go[2];
        pid_t child;
        int answer;

        if (pipe2(go, O_CLOEXEC) != 0)
                _exit(1);
        child = fork();
        if (child == 0) {
                char byte;

                close(go[1]);
                if (childs_fd < 0)
                        prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (read(go[0], &byte, 1) == 1)
                        body(arg);
                _exit(0);
        }
        if (childs_fd >= 0)
                close(childs_fd);
        answer = child < 0 ? -errno : join_cgroup(cell, child);
        answer = answer == 0 ? child : answer;
        if (write(report_fd, &answer, sizeof answer) != sizeof answer || answer < 0 || write(go[1], "g", 1) != 1)
                _exit(1);
        close(report_fd);
        waitpid(child, NULL, 0);
        _exit(0);
}

static void init_body(void *arg)
{
        (void)arg;
        run_init();
}

static int read_answer(int fd)
{
        int answer = -EIO;

        if (read(fd, &answer, sizeof answer) != sizeof answer)
                answer = -EIO;
        close(fd);
        return answer;
}

int cell_make(struct cell *ret_cell)
{
        struct cell cell = { 0 };
        int report[2], pidfd = pidfd_open(getpid(), 0), error;

        /* valgrind 3.19 knows no pidfds, and without them nothing is killed. */
        if (pidfd < 0)
                return -errno;
        close(pidfd);
        error = make_directory(&cell);
        if (error != 0)
                return error;
        if (pipe2(report, O_CLOEXEC) != 0)
                return -errno;
        cell.parent = fork();
        if (cell.parent == 0) {
                int refusal;

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (unshare(CLONE_NEWPID) == 0)
                        keep(&cell, report[1], -1, init_body, NULL);
                refusal = -errno;
                _exit(write(report[1], &refusal, sizeof refusal) != sizeof refusal);
        }
        close(report[1]);
        cell.init = read_answer(report[0]);
        if (cell.init < 0) {
                error = cell.init;
                waitpid(cell.parent, NULL, 0);
                rmdir(cell.directory);
                return error;
        }
        *ret_cell = cell;
        return 0;
}

void cell_destroy(struct cell *cell)
{
        /* When its init ends, all processes of a pid namespace are killed (pid_namespaces(7)); waiting for it waits for
         * all. */
        kill(cell->init, SIGKILL);
        waitpid(cell->parent, NULL, 0);
        while (rmdir(cell->directory) != 0 && errno == EBUSY)
                sched_yield();
}

/* ---- shapes ---- */

static void stand(int alive_fd)
{
        if (write(alive_fd, "+", 1) != 1)
                _exit(1);
}

static void wait_forever(void)
{
        for (;;)
                pause();
}

static void be_family(int fd)
{
        if (fork() == 0) {
                fork();
                stand(fd);
                wait_forever();
        }
        stand(fd);
        wait_forever();
}

static void be_orphan(int fd, bool leaves_session)
{
        pid_t middle = fork();

        if (middle == 0) {
                if (leaves_session)
                        setsid();
                if (fork() == 0) {
                        while (getppid() != 1)
                                sched_yield();
                        stand(fd);
                        wait_forever();
                }
                _exit(0);
        }
        waitpid(middle, NULL, 0);
        stand(fd);
        wait_forever();
}

/* Ready once the first thread is a zombie: procfs shows the state of the first thread for the whole process. */
static void *be_last_thread(void *arg)
{
        char stat[256] = { 0 };

        while (strstr(stat, ") Z ") == NULL) {
                int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

                if (fd < 0 || read(fd, stat, sizeof stat - 1) <= 0)
                        _exit(1);
                close(fd);
        }
        stand(*(int *)arg);
        wait_forever();
        return NULL;
}

static void be_leaderless(int fd)
{
        static pthread_t last;
        static int alive_fd;

        alive_fd = fd;
        if (pthread_create(&last, NULL, be_last_thread, &alive_fd) != 0)
                _exit(1);
        syscall(SYS_exit, 0); /* this thread alone, without the rest of what pthread_exit does */
}

static void be_forking(int fd)
{
        stand(fd);
        for (int i = 0; i < FORKS; i++)
                if (fork() != 0)
                        break;
        wait_forever();
}

static void be_greedy(int fd)
{
        pid_t child = 0;

        for (int i = 0; i < FORKS && child >= 0; i++) {
                child = fork();
                if (child == 0)
                        wait_forever();
        }
        stand(fd);
        wait_forever();
}

static const struct {
        int processes;
} SHAPE[SHAPES] = {
        [SHAPE_PLAIN] = { 1 },       [SHAPE_FAMILY] = { 3 },  [SHAPE_SETSID] = { 4 },
        [SHAPE_DOUBLE_FORK] = { 2 }, [SHAPE_DAEMON] = { 2 },  [SHAPE_STUBBORN] = { 3 },
        [SHAPE_LEADERLESS] = { 1 },  [SHAPE_FORKING] = { 1 }, [SHAPE_GREEDY] = { 1 },
};

struct body {
        enum cell_shape shape;
        int alive_fd;
        const int *joins;
};

static void exec_body(void *arg)
{
        struct body *body = arg;
        int fd = body->alive_fd;

        setsid(); /* as runc and crun start an exec */
        for (size_t i = 0; i < CELL_JOINS; i++)
                if (body->joins[i] > 0 && write(body->joins[i], "0", 1) != 1)
                        _exit(1);
        switch (body->shape) {
        case SHAPE_SETSID:
                if (fork() == 0) {
                        setsid();
                        be_family(fd);
                }
                break;
        case SHAPE_DOUBLE_FORK:
        case SHAPE_DAEMON:
                be_orphan(fd, body->shape == SHAPE_DAEMON);
                break;
        case SHAPE_STUBBORN:
                for (int number = 1; number < 32; number++)
                        signal(number, SIG_IGN);
                be_family(fd);
                break;
        case SHAPE_FAMILY:
                be_family(fd);
                break;
        case SHAPE_LEADERLESS:
                be_leaderless(fd);
                break;
        case SHAPE_FORKING:
                be_forking(fd);
                break;
        case SHAPE_GREEDY:
                be_greedy(fd);
                break;
        case SHAPE_PLAIN:
        case SHAPES:
                break;
        }
        stand(fd);
        wait_forever();
}

static void enter_and_run(const struct cell *cell, int report_fd, struct body *body)
{
        int pidfd = pidfd_open(cell->init, 0);
        int refusal;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (pidfd >= 0 && setns(pidfd, CLONE_NEWPID) == 0) {
                keep(cell, report_fd, body->alive_fd, exec_body, body);
                return;
        }
        refusal = -errno;
        _exit(write(report_fd, &refusal, sizeof refusal) != sizeof refusal);
}

static int wait_standing(int alive_fd, int processes)
{
        char byte;

        for (int i = 0; i < processes; i++)
                if (read(alive_fd, &byte, 1) != 1)
                        return -EPIPE;
        return 0;
}

int cell_run(const struct cell *cell, enum cell_shape shape, struct cell_exec *ret_exec)
{
        struct cell_exec exec = { 0 };
        struct body body = { .shape = shape, .joins = cell->joins };
        int report[2], alive[2], error;

        if (pipe2(report, O_CLOEXEC) != 0 || pipe2(alive, O_CLOEXEC) != 0)
                return -errno;
        body.alive_fd = alive[1];
        exec.alive_fd = alive[0];
        exec.shim = fork();
        if (exec.shim == 0)
                enter_and_run(cell, report[1], &body);
        close(report[1]);
        close(alive[1]);
        exec.root = read_answer(report[0]);
        error = exec.root < 0 ? exec.root : wait_standing(exec.alive_fd, SHAPE[shape].processes);
        if (error != 0) {
                cell_exec_end(&exec);
                return error;
        }
        *ret_exec = exec;
        return 0;
}

bool cell_exec_is_gone(const struct cell_exec *exec, int wait_ms)
{
        struct pollfd end = { .fd = exec->alive_fd, .events = POLLIN };

        return poll(&end, 1, wait_ms) == 1 && (end.revents & POLLHUP);
}

void cell_exec_end(struct cell_exec *exec)
{
        if (exec->root > 0 && !cell_exec_is_gone(exec, 0))
                kill(exec->root, SIGKILL);
        close(exec->alive_fd);
        waitpid(exec->shim, NULL, 0);
}
