#include "mounter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "inside.h"
#include "owner-map.h"
#include "scope.h"

/* Shortages pass, and the other errors do not. */
static int fail(struct fault *why, int r, const char *what)
{
        static const int SHORTAGES[] = { EAGAIN, EMFILE, ENFILE, ENOMEM, ENOSPC };
        enum fault_kind kind = FAULT_INTERNAL;

        for (size_t i = 0; i < sizeof SHORTAGES / sizeof *SHORTAGES; i++)
                if (r == -SHORTAGES[i])
                        kind = FAULT_RESOURCE_EXHAUSTED;
        return fault_set(why, kind, -r, "carrel-mountd cannot %s: %s", what, strerrordesc_np(-r));
}

static int read_namespace(int proc_fd, const char *path, struct mounter_namespace *ret_namespace)
{
        struct stat status;

        if (fstatat(proc_fd, path, &status, 0) < 0)
                return -errno;
        *ret_namespace = (struct mounter_namespace){ status.st_dev, status.st_ino };
        return 0;
}

static bool is_same(const struct mounter_namespace *a, const struct mounter_namespace *b)
{
        return a->device == b->device && a->inode == b->inode;
}

int mounter_open(struct mounter *ret_mounter, struct fault *why)
{
        struct mounter mounter = { .proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC), .home_fd = -1 };
        int r = mounter.proc_fd < 0 ? -errno : read_namespace(mounter.proc_fd, "self/ns/mnt", &mounter.home);

        if (r == 0) {
                mounter.home_fd = openat(mounter.proc_fd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
                r = mounter.home_fd < 0 ? -errno : 0;
        }
        if (r < 0) {
                mounter_close(&mounter);
                return fail(why, r, "open its own mount namespace");
        }
        /* With a service manager this is the host's, and ours is a copy. */
        (void)read_namespace(mounter.proc_fd, "1/ns/mnt", &mounter.first);
        *ret_mounter = mounter;
        return 0;
}

void mounter_close(struct mounter *mounter)
{
        auto_close(&mounter->proc_fd);
        auto_close(&mounter->home_fd);
}

/* ---- the detached mount ---- */

/* From the kernel's cache: we must not wait for a remote file system. */
static int look(int fd, struct statx *ret_about)
{
        const unsigned mask = STATX_TYPE | STATX_UID | STATX_GID | STATX_INO | STATX_MNT_ID;

        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, mask, ret_about) < 0)
                return -errno;
        return (ret_about->stx_mask & STATX_MNT_ID) != 0 ? 0 : -EOPNOTSUPP;
}

static bool is_mapped(const struct attach_ids *ids)
{
        return ids->owner_uid != ids->uid || ids->owner_gid != ids->gid;
}

/* CAP_SYS_ADMIN: in the file system's user namespace, for the map. */
static int set_attributes(const struct mounter *mounter, const struct attach_ids *ids, int tree_fd, struct fault *why)
{
        struct mount_attr attributes = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, .propagation = MS_PRIVATE };
        AUTO(auto_close) int userns_fd = -1;

        if (is_mapped(ids)) {
                int r = owner_map_new(mounter->proc_fd, ids, &userns_fd);

                if (r < 0)
                        return fail(why, r, "make a user namespace for the directory's owner");
                attributes.attr_set |= MOUNT_ATTR_IDMAP;
                attributes.userns_fd = (uint64_t)userns_fd;
        }
        if (syscall(SYS_mount_setattr, tree_fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0)
                return fail(why, -errno,
                            is_mapped(ids) ? "map the owner of the user's directory"
                                           : "make the user's directory nosuid and nodev");
        return 0;
}

/* Whether it is a directory of this user. */
static int judge(int fd, uint32_t uid, struct statx *ret_about, struct fault *why)
{
        int r = look(fd, ret_about);

        if (r == 0 && !S_ISDIR(ret_about->stx_mode))
                r = -ENOTDIR;
        if (r < 0)
                return fail(why, r, "read the user's directory");
        if (ret_about->stx_uid == uid)
                return 0;
        return fault_set(why, FAULT_INTERNAL, EPERM, "the user's directory belongs to uid %u and not to %u",
                         (unsigned)ret_about->stx_uid, (unsigned)uid);
}

/* CAP_SYS_ADMIN: clones a mount. Not recursive: a mount below the directory is not the user's. */
static int make_tree(const struct mounter *mounter, const struct attach_order *order, int directory_fd,
                     int *ret_tree_fd, struct statx *ret_about, struct fault *why)
{
        const struct attach_ids *ids = &order->ids;
        AUTO(auto_close) int tree_fd = -1;
        int r = judge(directory_fd, ids->owner_uid, ret_about, why);

        if (r < 0)
                return r;
        tree_fd = order->is_detached != 0 ? fcntl(directory_fd, F_DUPFD_CLOEXEC, 0)
                                          : (int)syscall(SYS_open_tree, directory_fd, "",
                                                         AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (tree_fd < 0)
                return fail(why, -errno, "clone the mount of the user's directory");
        r = set_attributes(mounter, ids, tree_fd, why);
        if (r == 0)
                r = judge(tree_fd, ids->uid, ret_about, why);
        if (r < 0)
                return r;
        *ret_tree_fd = TAKE_FD(tree_fd);
        return 0;
}

/* ---- inside ---- */

static int open_workspace(void)
{
        const struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                                      .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
        int fd = (int)syscall(SYS_openat2, AT_FDCWD, INSIDE_WORKSPACE, &how, sizeof how);

        return fd < 0 ? -errno : fd;
}

/* The mount that now lies there is the very one that was made: the same id, which no other mount has (statx(2)). */
static int prove(const struct statx *wanted, struct fault *why)
{
        AUTO(auto_close) int fd = open_workspace();
        struct statx found = { 0 };
        int r = fd < 0 ? fd : look(fd, &found);

        if (r < 0)
                return fail(why, r, "open " INSIDE_WORKSPACE " inside again");
        if (found.stx_mnt_id == wanted->stx_mnt_id && found.stx_ino == wanted->stx_ino &&
            found.stx_dev_major == wanted->stx_dev_major && found.stx_dev_minor == wanted->stx_dev_minor)
                return 0;
        return fault_set(why, FAULT_INTERNAL, ESTALE, "the user's directory does not appear at " INSIDE_WORKSPACE);
}

static int attach_here(const struct mounter *mounter, int tree_fd, const struct statx *about, struct fault *why)
{
        AUTO(auto_close) int target_fd = -1;
        struct mounter_namespace here = { 0 };
        int r = read_namespace(mounter->proc_fd, "self/ns/mnt", &here);

        if (r < 0)
                return fail(why, r, "read the container's mount namespace");
        if (is_same(&here, &mounter->home) || is_same(&here, &mounter->first))
                return fault_set(why, FAULT_INTERNAL, EPERM, "refused: the container shares the host's mounts");
        target_fd = open_workspace();
        if (target_fd < 0)
                return fail(why, target_fd, "open " INSIDE_WORKSPACE " inside");
        /* CAP_SYS_ADMIN: in the container's user namespace, which is ours or below it. */
        if (syscall(SYS_move_mount, tree_fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
                return fail(why, -errno, "attach the user's directory inside");
        return prove(about, why);
}

/* CAP_SYS_PTRACE: a process of another user, which is not dumpable. CAP_SYS_ADMIN and CAP_SYS_CHROOT: setns(2), here
 * and on the way back. */
static int enter(int pidfd, struct fault *why)
{
        if (setns(pidfd, CLONE_NEWNS) == 0)
                return 0;
        if (errno == ESRCH)
                return fault_set(why, FAULT_CARREL_LOST, errno, "the container has ended");
        return fail(why, -errno, "enter the container's mount namespace");
}

int mounter_attach(const struct mounter *mounter, const struct attach_order *order, int pidfd, int directory_fd,
                   struct fault *why)
{
        AUTO(auto_close) int tree_fd = -1;
        struct statx about = { 0 };
        int r = make_tree(mounter, order, directory_fd, &tree_fd, &about, why);

        if (r == 0)
                r = enter(pidfd, why);
        if (r < 0)
                return r;
        r = attach_here(mounter, tree_fd, &about, why);
        if (setns(mounter->home_fd, CLONE_NEWNS) < 0)
                _exit(EXIT_FAILURE);
        return r;
}

/* ---- the probe ---- */

/* Without a target the last call cannot succeed; ENOSYS is a kernel without it. */
static int probe_mount(void)
{
        struct mount_attr attributes = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, .propagation = MS_PRIVATE };
        AUTO(auto_close)
        int tree_fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        struct statx about = { 0 };

        if (tree_fd < 0 || syscall(SYS_mount_setattr, tree_fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0)
                return -errno;
        if (syscall(SYS_move_mount, tree_fd, "", -1, "", MOVE_MOUNT_F_EMPTY_PATH) < 0 &&
            (errno == ENOSYS || errno == EPERM))
                return -errno;
        return look(tree_fd, &about);
}

unsigned mounter_probe(const struct mounter *mounter, struct fault *why)
{
        const struct attach_ids ids = { 1, 1, 2, 2 };
        AUTO(auto_close) int userns_fd = -1;
        int r = probe_mount();

        if (r < 0) {
                (void)fail(why, r, "attach mounts: this needs Linux 5.12 and the rights of dist/carreld.service");
                return 0;
        }
        r = owner_map_new(mounter->proc_fd, &ids, &userns_fd);
        if (r == 0)
                return ATTACH_CAN_ALL;
        (void)fail(why, r, "make user namespaces, so mounts keep their owners");
        return ATTACH_CAN_MOUNT;
}
