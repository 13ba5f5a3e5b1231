#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capabilities.h"
#include "disk.h"
#include "loop-mount.h"
#include "scope.h"

enum { NAME_BYTES = DISK_USER_BYTES + 16, TEXT_BYTES = 64, LOCK_PATIENCE_S = 8, DIRECTORY_MODE = 0700 };

struct names {
        char image[NAME_BYTES], unfinished[NAME_BYTES];
};

static int fail(struct fault *why, int r, const char *what)
{
        enum fault_kind kind = r == -ENOSPC || r == -EDQUOT ? FAULT_STORAGE_FULL
                               : r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EAGAIN || r == -EINTR
                                       ? FAULT_RESOURCE_EXHAUSTED
                                       : FAULT_INTERNAL;

        if (kind == FAULT_STORAGE_FULL)
                return fault_set(why, kind, -r,
                                 "no room for the user's image: the disk of users_dir is full. The operator must make "
                                 "room there");
        return fault_set(why, kind, -r, "carrel-diskd cannot %s: %s", what, strerrordesc_np(-r));
}

static int open_disks(int users_fd, struct fault *why)
{
        int fd;

        if (mkdirat(users_fd, DISK_DIRECTORY, DIRECTORY_MODE) < 0 && errno != EEXIST)
                return fail(why, -errno, "make the directory of the images");
        fd = openat(users_fd, DISK_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? fail(why, -errno, "open the directory of the images") : fd;
}

/* ---- locks: the loop device has the open file, so an image is locked for as long as it is mounted ---- */

static void on_alarm(int number)
{
        (void)number;
}

/* The kernel unmounts a moment after a container has ended. */
static int lock_patiently(int fd)
{
        const struct sigaction action = { .sa_handler = on_alarm }; /* without SA_RESTART */
        int r;

        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
                return 0;
        (void)sigaction(SIGALRM, &action, NULL);
        (void)alarm(LOCK_PATIENCE_S);
        r = flock(fd, LOCK_EX) < 0 ? -errno : 0;
        (void)alarm(0);
        return r;
}

/* The name may have become another file's while we waited. */
static bool is_still(int disks_fd, const char *name, int fd)
{
        struct stat ours;
        struct stat named;

        return fstat(fd, &ours) == 0 && fstatat(disks_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
               ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

static int open_locked(int disks_fd, const char *name, int flags, int *ret_fd, struct fault *why)
{
        AUTO(auto_close) int fd = openat(disks_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
        int r = fd < 0 ? -errno : lock_patiently(fd);

        if (r == -EINTR)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, EBUSY,
                                 "the user's image is mounted elsewhere: an earlier container still has it");
        if (r == 0 && !is_still(disks_fd, name, fd))
                r = -EAGAIN;
        if (r < 0)
                return r == -ENOENT ? r : fail(why, r, "open the user's image");
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* ---- making ---- */

/* Without inode tables and journal written: a new file reads as zeros. And without discards, which would give back what
 * was just allocated. */
static int format(int fd, const struct disk_order *order)
{
        char files[TEXT_BYTES];
        const char *const argv[] = { "mkfs.ext4",
                                     "-q",
                                     "-F",
                                     "-b",
                                     "4096",
                                     "-m",
                                     "0",
                                     "-N",
                                     files,
                                     "-e",
                                     "remount-ro",
                                     "-J",
                                     "size=4",
                                     "-E",
                                     "nodiscard,lazy_itable_init=1,lazy_journal_init=1",
                                     "/proc/self/fd/3",
                                     NULL };
        char *const environment[] = { NULL };
        posix_spawn_file_actions_t actions;
        pid_t pid;
        int status = 0;
        int r;

        (void)snprintf(files, sizeof files, "%" PRIu64, order->files);
        r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        r = posix_spawn_file_actions_adddup2(&actions, fd, 3);
        if (r == 0)
                r = posix_spawn(&pid, DISK_MKFS, &actions, NULL, (char *const *)(uintptr_t)argv, environment);
        (void)posix_spawn_file_actions_destroy(&actions);
        if (r != 0)
                return -r;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* The root is the user's directory: nothing of ours may be in it. */
static int prepare_root(int mount_fd, const struct disk_order *order)
{
        AUTO(auto_close) int root = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (root < 0 || (unlinkat(root, "lost+found", AT_REMOVEDIR) < 0 && errno != ENOENT) ||
            fchown(root, order->owner_uid, order->owner_gid) < 0 || fchmod(root, DIRECTORY_MODE) < 0 ||
            syncfs(root) < 0)
                return -errno;
        return 0;
}

/* All of its blocks belong to it from now on: a full host cannot take what a program inside has written. */
static int allocate(int fd, uint64_t size_bytes)
{
        return fallocate(fd, 0, 0, (off_t)size_bytes) < 0 ? -errno : 0;
}

static int fill_image(int fd, const struct disk_order *order, int *ret_mount_fd, struct fault *why)
{
        AUTO(auto_close) int mount_fd = -1;
        int r = ftruncate(fd, 0) < 0 ? -errno : allocate(fd, order->size_bytes);

        if (r < 0)
                return fail(why, r, "allocate the user's image");
        r = format(fd, order);
        if (r < 0)
                return fail(why, r, "run " DISK_MKFS);
        r = allocate(fd, order->size_bytes); /* it has zeroed blocks by holes */
        if (r < 0)
                return fail(why, r, "allocate the user's image");
        if (fchown(fd, order->owner_uid, order->owner_gid) < 0)
                return fail(why, -errno, "give the image to its owner");
        r = loop_mount(fd, &mount_fd, why);
        if (r < 0)
                return r;
        r = prepare_root(mount_fd, order);
        if (r < 0)
                return fail(why, r, "prepare the user's image");
        *ret_mount_fd = TAKE_FD(mount_fd);
        return 0;
}

static int make_image(int disks_fd, const struct names *names, const struct disk_order *order, int *ret_mount_fd,
                      struct fault *why)
{
        AUTO(auto_close) int fd = -1;
        AUTO(auto_close) int mount_fd = -1;
        int r = open_locked(disks_fd, names->unfinished, O_CREAT, &fd, why);

        if (r < 0)
                return r;
        r = fill_image(fd, order, &mount_fd, why);
        if (r < 0) {
                (void)unlinkat(disks_fd, names->unfinished, 0);
                return r;
        }
        if (fsync(fd) < 0 || renameat2(disks_fd, names->unfinished, disks_fd, names->image, RENAME_NOREPLACE) < 0 ||
            fsync(disks_fd) < 0)
                return fail(why, -errno, "keep the user's image");
        *ret_mount_fd = TAKE_FD(mount_fd);
        return 0;
}

/* ---- mounting ---- */

/* An image without the right to grow it (ext4_resize_begin in fs/ext4/resize.c) serves as it is. */
static bool can_grow(void)
{
        uint64_t permitted = 0;

        return capabilities_permitted(&permitted) == 0 && (permitted & CAPABILITY(CAP_SYS_RESOURCE)) != 0;
}

/* Allocates also the blocks that an older kernel has given back (loop-mount.c). */
static int mount_image(int fd, const struct disk_order *order, int *ret_mount_fd, struct fault *why)
{
        AUTO(auto_close) int mount_fd = -1;
        struct stat status;
        uint64_t size_bytes;
        int r = fstat(fd, &status) < 0 ? -errno : 0;

        if (r < 0)
                return fail(why, r, "read the user's image");
        size_bytes = (uint64_t)status.st_size;
        if (can_grow() && size_bytes < order->size_bytes)
                size_bytes = order->size_bytes;
        r = allocate(fd, size_bytes);
        if (r < 0)
                return fail(why, r, "allocate the user's image");
        r = loop_mount(fd, &mount_fd, why);
        if (r == 0 && can_grow())
                r = loop_mount_grow(mount_fd, size_bytes, why);
        if (r < 0)
                return r;
        r = allocate(fd, size_bytes);
        if (r < 0)
                return fail(why, r, "allocate the user's image");
        *ret_mount_fd = TAKE_FD(mount_fd);
        return 0;
}

int image_mount(int users_fd, const struct disk_order *order, int *ret_mount_fd, struct fault *why)
{
        AUTO(auto_close) int disks_fd = open_disks(users_fd, why);
        AUTO(auto_close) int fd = -1;
        struct names names;
        int r;

        if (disks_fd < 0)
                return disks_fd;
        (void)snprintf(names.image, sizeof names.image, "%s.ext4", order->user);
        (void)snprintf(names.unfinished, sizeof names.unfinished, "%s.ext4.new", order->user);
        r = open_locked(disks_fd, names.image, 0, &fd, why);
        if (r == -ENOENT)
                return make_image(disks_fd, &names, order, ret_mount_fd, why);
        return r < 0 ? r : mount_image(fd, order, ret_mount_fd, why);
}
