#include "owner-map.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scope.h"

enum { HOLDERS = 16, STACK_BYTES = 8192, TEXT_BYTES = 64 };

/* A killed holder ends when the scheduler next runs it, which takes milliseconds on a busy machine. So nobody waits for
 * it before its stack is needed again. */
static struct {
        struct holder {
                _Alignas(16) unsigned char stack[STACK_BYTES];
                pid_t pid; /* of the last one; 0: none */
        } all[HOLDERS];
        unsigned n_made;
        pid_t parent;
} holders;

/* The kernel accepts the maps of a namespace only while a process is in it. This one shares our memory, as a copy of it
 * would cost more than all else, so it must not change anything: also no errno. Nothing outside can trace it, because
 * our memory is not dumpable. */
static int hold(void *arg)
{
        (void)arg;
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != holders.parent)
                return 1;
        for (;;)
                (void)pause();
}

/* ECHILD: it ended long ago, and the kernel has reaped it (owner_map_prepare). */
static void await_end(struct holder *holder)
{
        while (holder->pid > 0 && waitpid(holder->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        holder->pid = 0;
}

/* CAP_SETUID and CAP_SETGID: maps ids other than our own (user_namespaces(7)). */
static int write_map(int proc_fd, pid_t pid, const char *name, uint32_t on_disk, uint32_t inside)
{
        AUTO(auto_close) int fd = -1;
        char path[TEXT_BYTES];
        char map[TEXT_BYTES];
        int length = snprintf(map, sizeof map, "%" PRIu32 " %" PRIu32 " 1\n", on_disk, inside);

        (void)snprintf(path, sizeof path, "%d/%s", (int)pid, name);
        fd = openat(proc_fd, path, O_WRONLY | O_CLOEXEC);
        return fd < 0 || write(fd, map, (size_t)length) != length ? -errno : 0;
}

/* CAP_SYS_PTRACE: opens a namespace of a process that is not dumpable. */
static int map_and_open(int proc_fd, pid_t pid, const struct attach_ids *ids, int *ret_userns_fd)
{
        char path[TEXT_BYTES];
        int r = write_map(proc_fd, pid, "uid_map", ids->owner_uid, ids->uid);
        int fd;

        if (r == 0)
                r = write_map(proc_fd, pid, "gid_map", ids->owner_gid, ids->gid);
        if (r < 0)
                return r;
        (void)snprintf(path, sizeof path, "%d/ns/user", (int)pid);
        fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        *ret_userns_fd = fd;
        return 0;
}

void owner_map_prepare(void)
{
        holders.parent = getpid();
        (void)signal(SIGCHLD, SIG_IGN);
}

int owner_map_new(int proc_fd, const struct attach_ids *ids, int *ret_userns_fd)
{
        struct holder *holder = &holders.all[holders.n_made++ % HOLDERS];
        int r;

        await_end(holder);
        /* CLONE_FILES: it copies no descriptors, and keeps none open. */
        holder->pid = clone(hold, holder->stack + STACK_BYTES, CLONE_VM | CLONE_FILES | CLONE_NEWUSER | SIGCHLD, NULL);
        if (holder->pid < 0)
                return -errno;
        r = map_and_open(proc_fd, holder->pid, ids, ret_userns_fd);
        (void)kill(holder->pid, SIGKILL);
        return r;
}
