/* The mount namespace in which runtimes run. A descriptor holds it, so it ends with carreld; a container has copies of
 * the mounts it needs. */
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oci-engine.h"
#include "scope.h"
#include "str.h"

enum { PATH_BYTES = 512 };

/* ---- the runtimes' mount namespace ---- */

struct hybrid {
        char v1[PATH_BYTES]; /* the mount point of a hierarchy of cgroup v1 */
        char v2[PATH_BYTES];
};

/* Whether cgroup2 is mounted beside cgroup v1. */
static bool find_hybrid(struct hybrid *ret_hybrid)
{
        FILE *mounts = setmntent("/proc/self/mounts", "re");
        char text[PATH_BYTES * 2];
        struct mntent entry;
        bool has_v1 = false;
        bool has_v2 = false;

        while (mounts != NULL && getmntent_r(mounts, &entry, text, sizeof text) != NULL) {
                if (strcmp(entry.mnt_type, "cgroup") == 0)
                        has_v1 = str_copy(ret_hybrid->v1, sizeof ret_hybrid->v1, entry.mnt_dir) == 0;
                if (strcmp(entry.mnt_type, "cgroup2") == 0)
                        has_v2 = str_copy(ret_hybrid->v2, sizeof ret_hybrid->v2, entry.mnt_dir) == 0;
        }
        if (mounts != NULL)
                (void)endmntent(mounts);
        return has_v1 && has_v2;
}

/* crun refuses a hybrid host (1.8), so cgroup2 is unmounted. A v1 hierarchy is mounted in its place: otherwise crun
 * would make a directory for each container in the bare directory below, on the host's tmpfs, and nobody would see
 * them. */
static int hide_cgroup2(const struct hybrid *hybrid)
{
        if (umount2(hybrid->v2, MNT_DETACH) < 0 || mount(hybrid->v1, hybrid->v2, NULL, MS_BIND, NULL) < 0)
                return -errno;
        return 0;
}

/* Binds users_dir over itself with nosuid and nodev, so that binds of its subdirectories have them too: crun (1.8)
 * drops these two options where it maps owners. For mounts that this cannot reach, the pool's step "seal" does it for
 * each carrel, which costs a fork. */
static void bare_users(const char *users_dir)
{
        struct mount_attr attributes = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };
        int tree = (int)syscall(SYS_open_tree, AT_FDCWD, users_dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

        if (tree < 0)
                return;
        if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) == 0)
                (void)syscall(SYS_move_mount, tree, "", AT_FDCWD, users_dir, MOVE_MOUNT_F_EMPTY_PATH);
        close(tree);
}

struct wish {
        const struct hybrid *hybrid; /* NULL: the host is not hybrid */
        const char *users_dir;       /* may be NULL */
};

static int enter_mounts(const void *arg)
{
        const struct wish *wish = arg;

        /* A slave, not private: later mounts of the operator (a disk for users_dir) appear here too. */
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                return -errno;
        if (wish->users_dir != NULL)
                bare_users(wish->users_dir);
        return wish->hybrid != NULL ? hide_cgroup2(wish->hybrid) : 0;
}

static int open_namespace(pid_t holder, const void *arg)
{
        char path[64];
        int fd;

        (void)snprintf(path, sizeof path, "/proc/%d/ns/mnt", holder);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/* A runtime gives its own streams to the container's user (crun 1.8 by fchown(2)). /dev/null is the host's own inode,
 * so that user could deny it to everybody. Through a read-only mount nobody can change the inode, but everybody can
 * write to the device. */
static int prepare_null(struct oci *oci)
{
        struct mount_attr attributes = { .attr_set = MOUNT_ATTR_RDONLY };

        oci->null_fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (oci->null_fd < 0 ||
            syscall(SYS_mount_setattr, oci->null_fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0)
                return -errno;
        return 0;
}

static int prepare_namespace(struct oci *oci, struct fault *why)
{
        struct hybrid found;
        const struct wish wish = { find_hybrid(&found) ? &found : NULL, oci->users_dir };
        const struct oci_holding holding = { enter_mounts, open_namespace, &wish };
        int r = oci_hold(&holding);

        if (r < 0)
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, -r,
                                 "cannot make a mount namespace: %s (carreld needs CAP_SYS_ADMIN for the engine oci)",
                                 strerrordesc_np(-r));
        oci->mount_namespace_fd = r;
        return 0;
}

void oci_mounts_release(struct oci *oci)
{
        if (oci->null_fd >= 0)
                close(oci->null_fd);
        oci->null_fd = -1;
        if (oci->mount_namespace_fd >= 0)
                close(oci->mount_namespace_fd);
        oci->mount_namespace_fd = -1;
}

int oci_mounts_prepare(struct oci *oci, struct fault *why)
{
        int r;

        oci_mounts_release(oci);
        r = prepare_null(oci);
        if (r < 0)
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, -r,
                                 "cannot mount /dev/null read-only for the runtime: %s (Linux 5.12 and CAP_SYS_ADMIN "
                                 "are needed)",
                                 strerrordesc_np(-r));
        return prepare_namespace(oci, why);
}

/* ---- a root of each container's own ---- */

static int enter_root(const void *arg)
{
        return unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
                       ? -errno
                       : oci_root_prepare(arg);
}

static int succeed(pid_t holder, const void *arg)
{
        (void)holder, (void)arg;
        return 0;
}

/* The images' directory may not exist yet; then its next ancestor is used, in which it will be made. */
static int find_images(const struct oci *oci, char ret_path[static PATH_BYTES])
{
        int r = str_copy(ret_path, PATH_BYTES, image_store_directory(oci->images));

        while (r == 0 && access(ret_path, F_OK) < 0 && errno == ENOENT) {
                char *slash = strrchr(ret_path, '/');

                if (slash == NULL || slash == ret_path)
                        return -ENOENT;
                *slash = '\0';
        }
        return r;
}

int oci_mounts_try_root(const struct oci *oci, struct fault *why)
{
        char images[PATH_BYTES];
        const struct oci_root root = { { images }, 1, NULL };
        const struct oci_holding holding = { enter_root, succeed, &root };
        int r = oci->runtime.has_machines ? 0 : find_images(oci, images);

        if (r == 0 && !oci->runtime.has_machines)
                r = oci_hold(&holding);
        return r < 0 ? fault_set(why, FAULT_ENGINE_UNAVAILABLE, -r,
                                 "cannot give a container a root of its own: %s (the kernel needs overlay: modprobe "
                                 "overlay; and image_dir must be on a file system that overlay can use)",
                                 strerrordesc_np(-r))
                     : 0;
}
