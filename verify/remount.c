#include "remount.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inside.h"
#include "profile.h"
#include "scope.h"

struct remount {
        struct ev_loop *loop;
        ev_io on_exit;
        int pidfd; /* of the child */
        remount_done done;
        void *arg;
};

/* The kernel counts terminals for the whole host: without a limit one carrel could take all of them. If the instance is
 * the host's own, it is not touched and the check fails, because it would be a way out. Runs in the child, inside the
 * container. */
static int bound_terminals(const struct stat *hosts)
{
        struct stat status;

        if (stat(INSIDE_TERMINALS, &status) < 0)
                return errno == ENOENT ? 0 : errno;
        if (status.st_dev == hosts->st_dev)
                return EXDEV;
        if (mount("devpts", INSIDE_TERMINALS, NULL, MS_REMOUNT | MS_NOSUID | MS_NOEXEC, PROFILE_TERMINALS_OPTIONS) < 0)
                return errno;
        return 0;
}

/* crun (1.8) binds the host's /dev/null over the files that it masks. The container's own is bound over that, and the
 * host's stays below, so that no file is ever unmasked. Runs in the child, inside the container. */
static int own_masks(const struct stat *hosts)
{
        struct stat own;
        struct stat mask;

        if (stat("/dev/null", &own) < 0 || (own.st_dev == hosts->st_dev && own.st_ino == hosts->st_ino))
                return 0; /* hardening_check_mounts refuses the host's node */
        for (const struct profile_path *row = PROFILE.paths; row->path != NULL; row++)
                if (row->is_file && stat(row->path, &mask) == 0 && mask.st_dev == hosts->st_dev &&
                    mask.st_ino == hosts->st_ino && mount("/dev/null", row->path, NULL, MS_BIND, NULL) < 0)
                        return errno;
        return 0;
}

/* On cgroup v1 it is a tmpfs, which crun (1.8) leaves writable; the hierarchies below are read-only mounts of their
 * own. Runs in the child, inside the container. */
static int close_cgroups(void)
{
        struct mount_attr attributes = { .attr_set = MOUNT_ATTR_RDONLY };

        if (syscall(SYS_mount_setattr, AT_FDCWD, INSIDE_CGROUPS, AT_SYMLINK_NOFOLLOW, &attributes, sizeof attributes) ==
            0)
                return 0;
        return errno == ENOENT || errno == EINVAL ? 0 : errno; /* it does not exist, or is no mount */
}

/* The size and the mode stay. Runs in the child, inside the container. */
static int bound_inodes(const struct tmpfs_promise *promise)
{
        const struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS };
        int place = (int)syscall(SYS_openat2, AT_FDCWD, promise->target, &how, sizeof how);
        struct statfs about = { 0 };
        char digits[24];
        char *number = &digits[sizeof digits - 1];
        int tmpfs;

        if (place < 0 || fstatfs(place, &about) < 0 || about.f_type != TMPFS_MAGIC)
                return 0;
        *number = '\0';
        for (uint64_t left = promise->inodes; left > 0; left /= 10)
                *--number = (char)('0' + left % 10);
        tmpfs = (int)syscall(SYS_fspick, place, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC);
        if (tmpfs < 0)
                return errno == EINVAL ? 0 : errno; /* a directory, and no mount */
        return syscall(SYS_fsconfig, tmpfs, FSCONFIG_SET_STRING, "nr_inodes", number, 0) < 0 ||
                               syscall(SYS_fsconfig, tmpfs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0
                       ? errno
                       : 0;
}

static int set_options(const char *target, struct mount_attr *attributes, unsigned recursive)
{
        const struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS };
        int fd = (int)syscall(SYS_openat2, AT_FDCWD, target, &how, sizeof how);

        return fd < 0 || syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | recursive, attributes, sizeof *attributes) <
                                       0
                       ? errno
                       : 0;
}

/* Runs in the child, inside the container. */
static int keep_promise(const struct mounts_promise *promise, uint64_t bare)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < promise->n_mounts; i++) {
                struct mount_attr attributes = { .attr_set = bare };

                if (promise->mounts[i].is_read_only)
                        attributes.attr_set |= MOUNT_ATTR_RDONLY;
                r = set_options(promise->mounts[i].target, &attributes, AT_RECURSIVE);
        }
        for (size_t i = 0; r == 0 && i < promise->n_tmpfs; i++)
                r = bound_inodes(&promise->tmpfs[i]);
        return r;
}

/* Runs in the child, whose exit status is the errno. Only async-signal-safe calls: it is a copy of a running daemon. */
static _Noreturn void set_attributes(int pidfd, const char *target, const struct mounts_promise *promise)
{
        struct mount_attr attributes = { 0 };
        struct stat terminals = { 0 };
        struct stat null = { 0 };
        int r;

        /* If the daemon were killed now, this child would keep its lock and sockets open. */
        (void)close_range(STDERR_FILENO + 1, (unsigned)pidfd - 1, 0);
        (void)close_range((unsigned)pidfd + 1, UINT_MAX, 0);
        (void)stat(INSIDE_TERMINALS, &terminals);
        (void)stat("/dev/null", &null);
        for (const struct profile_option *option = PROFILE.bare; option->word != NULL; option++)
                attributes.attr_set |= option->attribute;
        if (setns(pidfd, CLONE_NEWNS) < 0)
                _exit(errno);
        r = set_options(target, &attributes, 0);
        if (r == 0)
                r = keep_promise(promise, attributes.attr_set);
        if (r == 0)
                r = close_cgroups();
        if (r == 0)
                r = own_masks(&null);
        _exit(r != 0 ? r : bound_terminals(&terminals));
}

/* The errno that the child exited with. ECHILD if other code in this process has reaped it (a default libev loop reaps
 * all children): its result is then unknown, and counts as a failure. */
static int reap(struct remount *remount)
{
        siginfo_t info = { 0 };
        int r;

        while ((r = waitid(P_PIDFD, (id_t)remount->pidfd, &info, WEXITED)) < 0 && errno == EINTR)
                ;
        if (r < 0)
                return errno;
        return info.si_code == CLD_EXITED ? info.si_status : EINTR;
}

static void release(struct remount *remount)
{
        ev_io_stop(remount->loop, &remount->on_exit);
        close(remount->pidfd);
        free(remount);
}

static void on_exit_event(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct remount *remount = watcher->data;
        remount_done done = remount->done;
        void *arg = remount->arg;
        struct fault why = { 0 };
        int r = reap(remount);

        release(remount);
        if (r != 0)
                (void)fault_set(&why, FAULT_HARDENING_MISSING, r, "cannot remount the container's mounts: %s",
                                strerrordesc_np(r));
        done(arg, r != 0 ? &why : NULL);
}

static int spawn(int pidfd, const char *target, const struct mounts_promise *promise, int *ret_child)
{
        pid_t pid = fork();
        int child;

        if (pid == 0)
                set_attributes(pidfd, target, promise);
        if (pid < 0)
                return -errno;
        child = (int)syscall(SYS_pidfd_open, pid, 0);
        if (child < 0) {
                int r = errno;

                (void)kill(pid, SIGKILL);
                (void)waitpid(pid, NULL, 0);
                return -r;
        }
        *ret_child = child;
        return 0;
}

int remount_start(struct remount **ret_remount, struct ev_loop *loop, int pidfd, const char *target,
                  const struct mounts_promise *promise, remount_done done, void *arg, struct fault *why)
{
        AUTO(auto_free) struct remount *remount = calloc(1, sizeof *remount);
        int r = remount == NULL ? -ENOMEM : spawn(pidfd, target, promise, &remount->pidfd);

        if (r < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot remount the carrel: %s",
                                 strerrordesc_np(-r));
        remount->loop = loop;
        remount->done = done;
        remount->arg = arg;
        ev_io_init(&remount->on_exit, on_exit_event, remount->pidfd, EV_READ);
        remount->on_exit.data = remount;
        ev_io_start(loop, &remount->on_exit);
        *ret_remount = TAKE(remount);
        return 0;
}

struct remount *remount_cancel(struct remount *remount)
{
        if (remount == NULL)
                return NULL;
        (void)syscall(SYS_pidfd_send_signal, remount->pidfd, SIGKILL, NULL, 0);
        (void)reap(remount);
        release(remount);
        return NULL;
}
