/* carrel-diskd: the helper process that makes and mounts users' images. `carrel-diskd FD` serves the socketpair FD
 * until its other end closes. Each request has a process of its own, because it may wait for a disk. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk-protocol.h"
#include "diskd-privileges.h"
#include "image.h"
#include "loop-mount.h"
#include "scope.h"

enum { WORKERS_MAX = 32 };

struct worker {
        pid_t pid; /* 0: none */
        struct helper_head head;
};

struct diskd {
        int fd;
        int children_fd; /* signalfd(2) of SIGCHLD */
        struct worker workers[WORKERS_MAX];
};

/* If the client does not read, the message is lost: its calls have deadlines. */
static int reply(int fd, const struct helper_head *head, int mount_fd, const struct fault *why)
{
        struct disk_answer answer = { .head = *head, .kind = why->kind, .err = (uint32_t)why->err };
        int r;

        (void)snprintf(answer.message, sizeof answer.message, "%s", why->message);
        r = helper_send_fds(fd, &answer, sizeof answer, &mount_fd, mount_fd >= 0 ? 1 : 0);
        return r == -EAGAIN ? 0 : r;
}

/* ---- workers ---- */

/* When carrel-diskd is killed, its work ends: the kernel lets loop devices and locks go with the descriptors. */
static _Noreturn void work(const struct diskd *diskd, const struct disk_order *order, int users_fd, pid_t parent)
{
        struct fault why = { 0 };
        int mount_fd = -1;
        sigset_t none;

        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                _exit(EXIT_FAILURE);
        if (image_mount(users_fd, order, &mount_fd, &why) < 0)
                mount_fd = -1;
        _exit(reply(diskd->fd, &order->head, mount_fd, &why) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static struct worker *find_worker(struct diskd *diskd, pid_t pid)
{
        for (size_t i = 0; i < WORKERS_MAX; i++)
                if (diskd->workers[i].pid == pid)
                        return &diskd->workers[i];
        return NULL;
}

static int start_worker(struct diskd *diskd, const struct disk_order *order, int users_fd, struct fault *why)
{
        struct worker *worker = find_worker(diskd, 0);
        pid_t parent = getpid();
        pid_t pid;

        if (worker == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, EAGAIN, "carrel-diskd has too many requests at a time");
        pid = fork();
        if (pid < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, errno, "carrel-diskd cannot start a process");
        if (pid == 0)
                work(diskd, order, users_fd, parent);
        *worker = (struct worker){ pid, order->head };
        return 0;
}

/* Answers for a worker that could not. */
static int reap(struct diskd *diskd)
{
        struct signalfd_siginfo info;
        int status;
        int r = 0;

        if (read(diskd->children_fd, &info, sizeof info) < 0 && errno != EAGAIN)
                return -errno;
        for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0 && r == 0; pid = waitpid(-1, &status, WNOHANG)) {
                struct worker *worker = find_worker(diskd, pid);
                struct fault why = { 0 };

                if (worker == NULL)
                        continue;
                worker->pid = 0;
                if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS)
                        continue;
                (void)fault_set(&why, FAULT_INTERNAL, ECHILD, "a process of carrel-diskd was killed");
                r = reply(diskd->fd, &worker->head, -1, &why);
        }
        return r;
}

/* ---- requests ---- */

/* Returns 1 when the other end has closed. A message that cannot be read is dropped. */
static int receive(struct diskd *diskd)
{
        AUTO(helper_fds_close) struct helper_fds fds = { .n = 0 };
        struct helper_message message;
        const struct disk_order *order = (const void *)&message;
        struct fault why = { 0 };
        size_t length = 0;
        int r = helper_receive_fds(diskd->fd, &message, &length, &fds);

        if (r == 0)
                return 1;
        if (r < 0)
                return r == -EAGAIN || r == -EMSGSIZE || r == -EBADMSG ? 0 : r;
        r = disk_check_order(order, length, fds.n, &why);
        if (r == -EPROTO)
                return 0; /* no answer is possible */
        if (r == 0)
                r = start_worker(diskd, order, fds.fds[0], &why);
        return r < 0 ? reply(diskd->fd, &order->head, -1, &why) : 0;
}

static int run(struct diskd *diskd)
{
        const struct helper_head report = { DISK_MAGIC, DISK_VERSION, DISK_REPORT, 0 };
        struct pollfd watched[] = { { .fd = diskd->fd, .events = POLLIN },
                                    { .fd = diskd->children_fd, .events = POLLIN } };
        struct fault why = { 0 };
        int r;

        if (loop_mount_probe(&why) == 0)
                why = (struct fault){ 0 };
        r = reply(diskd->fd, &report, -1, &why);
        while (r == 0) {
                if (poll(watched, 2, -1) < 0 && errno != EINTR)
                        return -errno;
                if (watched[1].revents != 0)
                        r = reap(diskd);
                if (r == 0 && watched[0].revents != 0)
                        r = receive(diskd);
        }
        return r;
}

/* carreld stops us by closing the socket. A signal to the whole process group must not stop us earlier. */
static int take_signals(int *ret_fd)
{
        static const int IGNORED[] = { SIGHUP, SIGINT, SIGPIPE, SIGTERM };
        sigset_t children;

        for (size_t i = 0; i < sizeof IGNORED / sizeof *IGNORED; i++)
                (void)signal(IGNORED[i], SIG_IGN);
        (void)sigemptyset(&children);
        (void)sigaddset(&children, SIGCHLD);
        if (sigprocmask(SIG_BLOCK, &children, NULL) < 0)
                return -errno;
        *ret_fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
        return *ret_fd < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
        struct diskd diskd = { .fd = -1, .children_fd = -1 };
        struct fault why = { 0 };
        int r;

        if (helper_find_socket(argc, argv, &diskd.fd) < 0) {
                (void)fprintf(stderr,
                              "carrel-diskd: only carreld starts this program, with the number of its socket\n");
                return 2;
        }
        r = diskd_privileges_drop(&why);
        if (r == 0) {
                r = take_signals(&diskd.children_fd);
                if (r < 0)
                        (void)fault_set(&why, FAULT_INTERNAL, -r, "cannot follow its processes: %s", strerror(-r));
        }
        if (r < 0) {
                (void)fprintf(stderr, "carrel-diskd: %s\n", why.message);
                return 1;
        }
        return run(&diskd) < 0 ? 1 : 0;
}
