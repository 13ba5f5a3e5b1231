/* User namespaces. The kernel counts inotify instances and watches, queued signals, timers, message queues and
 * namespaces for a user in his namespace. It adds all counts of a namespace to the account of the id that made it
 * (inc_ucount, inc_rlimit_ucounts in kernel/ucount.c). So an id of the carrel's own range makes its namespace. If root
 * made them, all carrels and the host's root would share one account. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failpoint.h"
#include "oci-engine.h"
#include "scope.h"
#include "str.h"

enum { PATH_BYTES = 64, HOLDER_READY_FD = 3 };

/* ---- a child works in the namespace while carreld waits: well under a millisecond ---- */

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

/* In the child: writes one byte to ready and waits to be killed. A change of ids clears the death signal (prctl(2)), so
 * that is set last. */
static _Noreturn void hold(const struct oci_holding *holding, int ready, pid_t parent)
{
        int r;

        /* It keeps none of carreld's descriptors open, in particular the lock and the sockets: it may outlive carreld
         * for a moment. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || dup2(ready, HOLDER_READY_FD) < 0 ||
            syscall(SYS_close_range, HOLDER_READY_FD + 1, ~0U, 0) < 0)
                _exit(errno);
        ready = HOLDER_READY_FD;
        r = holding->enter(holding->arg);
        if (r < 0)
                _exit(-r);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                _exit(ECHILD);
        if (write(ready, "", 1) != 1)
                _exit(errno);
        for (;;)
                (void)pause();
}

int oci_hold(const struct oci_holding *holding)
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
                hold(holding, ends[1], parent);
        r = pid < 0 ? -errno : 0;
        close(ends[1]);
        if (r == 0 && read(ends[0], &byte, 1) == 1) {
                r = holding->use(pid, holding->arg);
                (void)kill(pid, SIGKILL);
                (void)wait_for(pid);
        } else if (r == 0) {
                r = wait_for(pid);
        }
        close(ends[0]);
        return r;
}

/* ---- a namespace, and its range ---- */

/* Becomes an id with which no process runs. It keeps CAP_SYS_ADMIN until then: some hosts let nobody else make a user
 * namespace (kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns). */
static int enter_user_namespace(const void *arg)
{
        const uint32_t id = *(const uint32_t *)arg;
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct sets[2] = { 0 };

        sets[0].effective = sets[0].permitted = 1U << CAP_SYS_ADMIN;
        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || syscall(SYS_setresgid, id, id, id) < 0 ||
            syscall(SYS_setresuid, id, id, id) < 0 || syscall(SYS_capset, &header, sets) < 0 ||
            unshare(CLONE_NEWUSER) < 0)
                return -errno;
        return 0;
}

static int write_map(pid_t pid, const char *name, uint32_t base)
{
        AUTO(auto_close) int fd = -1;
        char path[PATH_BYTES];
        char map[PATH_BYTES];
        int length = snprintf(map, sizeof map, "0 %u %d\n", base, PROFILE_USERNS_IDS);

        (void)snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd < 0 || write(fd, map, (size_t)length) < 0 ? -errno : 0;
}

static int map_and_open(pid_t pid, const void *arg)
{
        const uint32_t base = *(const uint32_t *)arg;
        char path[PATH_BYTES];
        int r = write_map(pid, "uid_map", base);
        int fd;

        if (r == 0)
                r = write_map(pid, "gid_map", base);
        if (r < 0)
                return r;
        (void)snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int oci_userns_new(uint32_t base)
{
        return oci_hold(&(const struct oci_holding){ enter_user_namespace, map_and_open, &base });
}

uint64_t oci_userns_most(void)
{
        AUTO(auto_close) int fd = open("/proc/sys/user/max_user_namespaces", O_RDONLY | O_CLOEXEC);
        char text[32];
        ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        uint64_t most;

        if (length <= 0)
                return UINT64_MAX;
        text[length] = '\0';
        text[strcspn(text, "\n")] = '\0';
        return str_parse_u64(text, 0, UINT64_MAX, &most) == 0 ? most : UINT64_MAX;
}

bool oci_userns_is_shortage(int error, uint64_t most)
{
        static const int SHORTAGES[] = { EAGAIN, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC };

        if (error == -ENOSPC && most == 0)
                return false;
        for (size_t i = 0; i < sizeof SHORTAGES / sizeof *SHORTAGES; i++)
                if (error == -SHORTAGES[i])
                        return true;
        return false;
}

int oci_userns_try(uint32_t base, const char *directory)
{
        if (failpoint_hit("userns", "try", "before") != FAILPOINT_NONE)
                return -EAGAIN;
        AUTO(auto_close)
        int tree = (int)syscall(SYS_open_tree, AT_FDCWD, directory, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        AUTO(auto_close) int userns = tree < 0 ? -errno : oci_userns_new(base);
        struct mount_attr attributes = { .attr_set = MOUNT_ATTR_IDMAP };

        if (userns < 0)
                return userns;
        attributes.userns_fd = (uint64_t)userns;
        return syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0 ? -errno : 0;
}
