/* The mount namespace that runtimes run in. It has no process and is gone with carreld: a container has copies of what
 * it needs. */
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci-engine.h"
#include "scope.h"
#include "str.h"

enum { PATH_BYTES = 512 };

/* ---- work in another namespace is done by a child, which we wait for: it takes well under a millisecond ---- */

/* The child's errno. */
static int wait_for(pid_t pid)
{
        int status;
        pid_t r;

        while ((r = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
                ;
        if (r < 0)
                return -errno;
        return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

/* Whether cgroup2 is there beside cgroup v1. */
static bool find_hybrid(char *ret_point, size_t size)
{
        FILE *mounts = setmntent("/proc/self/mounts", "re");
        char text[PATH_BYTES * 2];
        struct mntent entry;
        bool has_v1 = false;
        bool has_v2 = false;

        while (mounts != NULL && getmntent_r(mounts, &entry, text, sizeof text) != NULL) {
                has_v1 |= strcmp(entry.mnt_type, "cgroup") == 0;
                if (strcmp(entry.mnt_type, "cgroup2") == 0)
                        has_v2 = str_copy(ret_point, size, entry.mnt_dir) == 0;
        }
        if (mounts != NULL)
                (void)endmntent(mounts);
        return has_v1 && has_v2;
}

/* In a child: only system calls. Says one byte on ready and waits to be killed. */
static _Noreturn void hold_namespace(const char *hybrid, int ready, pid_t parent)
{
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                _exit(ECHILD);
        /* A slave, not private: what the operator mounts later (a disk for users_dir) is seen here too. */
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                _exit(errno);
        if (hybrid != NULL && umount2(hybrid, MNT_DETACH) < 0)
                _exit(errno);
        if (write(ready, "", 1) != 1)
                _exit(errno);
        for (;;)
                (void)pause();
}

static int open_namespace(pid_t holder)
{
        char path[64];
        int fd;

        (void)snprintf(path, sizeof path, "/proc/%d/ns/mnt", holder);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int oci_mounts_prepare(struct oci *oci, struct fault *why)
{
        char point[PATH_BYTES];
        const char *hybrid = find_hybrid(point, sizeof point) ? point : NULL;
        pid_t parent = getpid();
        int ends[2];
        char byte;
        pid_t pid;
        int r;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot make a pipe: %s", strerrordesc_np(errno));
        pid = fork();
        if (pid == 0)
                hold_namespace(hybrid, ends[1], parent);
        r = pid < 0 ? -errno : 0;
        close(ends[1]);
        if (r == 0 && read(ends[0], &byte, 1) == 1) {
                r = open_namespace(pid);
                (void)kill(pid, SIGKILL);
                (void)wait_for(pid);
        } else if (r == 0) {
                r = wait_for(pid);
        }
        close(ends[0]);
        if (r < 0)
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, -r,
                                 "cannot make a mount namespace: %s (carreld needs CAP_SYS_ADMIN for the engine oci)",
                                 strerrordesc_np(-r));
        oci->mount_namespace_fd = r;
        return 0;
}

void oci_mounts_release(struct oci *oci)
{
        if (oci->mount_namespace_fd >= 0)
                close(oci->mount_namespace_fd);
        oci->mount_namespace_fd = -1;
}

/* ---- idmapped mounts ---- */

/* In a child: a user namespace to map by. */
static _Noreturn void hold_user_namespace(int ready, pid_t parent)
{
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                _exit(ECHILD);
        if (unshare(CLONE_NEWUSER) < 0)
                _exit(errno);
        if (write(ready, "", 1) != 1)
                _exit(errno);
        for (;;)
                (void)pause();
}

static int write_map(pid_t pid, const char *name)
{
        static const char MAP[] = "0 65536 1\n";
        AUTO(auto_close) int fd = -1;
        char path[64];

        (void)snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd < 0 || write(fd, MAP, sizeof MAP - 1) < 0 ? -errno : 0;
}

static int try_with(pid_t pid, const char *directory)
{
        AUTO(auto_close)
        int tree = (int)syscall(SYS_open_tree, AT_FDCWD, directory, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        AUTO(auto_close) int userns = -1;
        struct mount_attr attributes = { .attr_set = MOUNT_ATTR_IDMAP };
        char path[64];
        int r = write_map(pid, "uid_map");

        if (r == 0)
                r = write_map(pid, "gid_map");
        (void)snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
        userns = open(path, O_RDONLY | O_CLOEXEC);
        if (r < 0 || tree < 0 || userns < 0)
                return r < 0 ? r : -errno;
        attributes.userns_fd = (uint64_t)userns;
        return syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0 ? -errno : 0;
}

int oci_mounts_try_idmap(const char *directory)
{
        pid_t parent = getpid();
        int ends[2];
        char byte;
        pid_t pid;
        int r;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        pid = fork();
        if (pid == 0)
                hold_user_namespace(ends[1], parent);
        r = pid < 0 ? -errno : 0;
        close(ends[1]);
        if (r == 0 && read(ends[0], &byte, 1) == 1) {
                r = try_with(pid, directory);
                (void)kill(pid, SIGKILL);
                (void)wait_for(pid);
        } else if (r == 0) {
                r = wait_for(pid);
        }
        close(ends[0]);
        return r;
}
