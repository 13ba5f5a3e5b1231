#include "isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"
#include "scope.h"

#define PLAIN (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

static int fail(const char *what, int r, struct fault *why)
{
        return fault_set(why, FAULT_INTERNAL, -r, "carrel-storage cannot %s: %s", what, strerrordesc_np(-r));
}

/* Whether ".." of it is the directory itself. */
static int check_closed(int fd)
{
        AUTO(auto_close) int above = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct stat here;
        struct stat there;

        if (above < 0 || fstat(fd, &here) < 0 || fstat(above, &there) < 0)
                return -errno;
        return here.st_dev == there.st_dev && here.st_ino == there.st_ino ? 0 : -EXDEV;
}

static int set_attributes(int tree_fd, bool is_read_only)
{
        struct mount_attr attributes = { .attr_set = PLAIN | (is_read_only ? MOUNT_ATTR_RDONLY : 0),
                                         .propagation = MS_PRIVATE };

        return syscall(SYS_mount_setattr, tree_fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0 ? -errno : 0;
}

/* EINVAL: the mount is not in our namespace, which a detached one is not (before Linux 6.15). Its owner has set its
 * attributes. */
static int clone_mount(int fd, bool is_read_only, int *ret_tree_fd)
{
        AUTO(auto_close)
        int tree_fd = (int)syscall(SYS_open_tree, fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        int r = tree_fd < 0 ? -errno : set_attributes(tree_fd, is_read_only);

        if (r == -EINVAL && tree_fd < 0) {
                tree_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
                r = tree_fd < 0 ? -errno : 0;
        }
        if (r == 0)
                *ret_tree_fd = TAKE_FD(tree_fd);
        return r;
}

/* Not closed: the clone lives as long as the process. */
static int isolate_directory(int fd, bool is_read_only, int *ret_fd, struct fault *why)
{
        AUTO(auto_close) int opened = -1;
        int tree_fd = -1;
        int r = clone_mount(fd, is_read_only, &tree_fd);

        if (r < 0)
                return fail("clone the mount of a directory", r, why);
        opened = openat(tree_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = opened < 0 ? -errno : check_closed(opened);
        if (r < 0)
                return fail("open a directory that leads nowhere else", r, why);
        (void)close(fd); /* leads out of its directory */
        *ret_fd = TAKE_FD(opened);
        return 0;
}

/* The root of the process: an empty directory, read-only. */
static int isolate_root(int *ret_fd, struct fault *why)
{
        AUTO(auto_close) int context = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
        int fd;

        if (context < 0 || syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return fail("make an empty file system", -errno, why);
        fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, PLAIN | MOUNT_ATTR_RDONLY);
        if (fd < 0)
                return fail("mount an empty file system", -errno, why);
        *ret_fd = fd;
        return 0;
}

/* Beside those that confine.h allows. Of mknodat only FIFOs, of ioctl only the sharing of blocks. */
static const struct confine_call CALLS[] = {
        { .number = SCMP_SYS(copy_file_range) },
        { .number = SCMP_SYS(fgetxattr) },
        { .number = SCMP_SYS(flistxattr) },
        { .number = SCMP_SYS(fsetxattr) },
        { .number = SCMP_SYS(ioctl), .argument = 1, .mask = UINT32_MAX, .value = FICLONE },
        { .number = SCMP_SYS(mknodat), .argument = 2, .mask = S_IFMT, .value = S_IFIFO },
        { .number = SCMP_SYS(syncfs) },
};

int isolate(struct isolation *isolation, struct fault *why)
{
        struct confinement plan = {
                .program = "carrel-storage",
                .parent = isolation->parent,
                .root_fd = -1,
                .file_max_bytes = CONFINE_FILE_UNBOUNDED,
                .uid = isolation->uid,
                .gid = isolation->gid,
                .capabilities = isolation->capabilities,
                .calls = CALLS,
                .n_calls = sizeof CALLS / sizeof *CALLS,
        };
        int r = isolate_directory(isolation->source_fd, isolation->is_source_read_only, &isolation->source_fd, why);

        if (r == 0 && isolation->target_fd >= 0)
                r = isolate_directory(isolation->target_fd, false, &isolation->target_fd, why);
        if (r == 0)
                r = isolate_root(&plan.root_fd, why);
        if (r == 0)
                r = confine(&plan, why);
        if (plan.root_fd >= 0)
                (void)close(plan.root_fd);
        return r;
}
