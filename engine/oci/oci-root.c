#include "oci-root.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "profile.h"

/* As in kernel/child.c: the stack is left without a return. */
#define IN_CHILD __attribute__((no_sanitize("address")))

#define EMPTY "/dev/.empty"
#define FILLING OCI_FILLING

/* Mount points of the template that an image imported by an earlier version may lack. They cannot be made in its
 * read-only overlay. */
static const struct {
        const char *path;
        mode_t type;
} FILLINGS[] = {
        { FILLING, S_IFDIR },
        { FILLING "/etc", S_IFDIR },
        { FILLING "/etc/group", S_IFREG },
        { FILLING "/etc/passwd", S_IFREG },
        { EMPTY, S_IFDIR },
};

/* A runtime binds the nodes one by one into a container that has a user namespace, and /dev/null over masked files. */
IN_CHILD static int make_nodes(void)
{
        for (const struct profile_device *device = PROFILE.devices; device->path != NULL; device++)
                if (device->is_node &&
                    mknod(device->path, S_IFCHR | 0666, makedev(device->major, (unsigned)device->minor)) < 0)
                        return -errno;
        for (size_t i = 0; i < sizeof FILLINGS / sizeof *FILLINGS; i++)
                if ((FILLINGS[i].type == S_IFDIR ? mkdir(FILLINGS[i].path, 0755)
                                                 : mknod(FILLINGS[i].path, S_IFREG | 0644, 0)) < 0)
                        return -errno;
        return 0;
}

/* Two of them may have a directory in common. */
IN_CHILD static int make_points(char *const *points)
{
        for (; points != NULL && *points != NULL; points++) {
                const char *end = *points;

                while (end[1] != '\0')
                        end++;
                if ((*end == '/' ? mkdir(*points, 0755) : mknod(*points, S_IFREG | 0644, 0)) < 0 && errno != EEXIST)
                        return -errno;
        }
        return 0;
}

IN_CHILD static int mount_devices(char *const *points)
{
        mode_t mask;
        int r;

        if (mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k,nr_inodes=4096") < 0)
                return -errno;
        mask = umask(0); /* unshare(2) of mounts also unshares the umask, so carreld's does not change */
        r = make_nodes();
        if (r == 0)
                r = make_points(points);
        (void)umask(mask);
        return r;
}

/* Relative names: no path of the host must be quoted or is visible inside. An overlay without an upper directory needs
 * two lower ones. */
IN_CHILD static int cover(const char *tree, const char *layers)
{
        if (chdir(tree) < 0 || mount("overlay", ".", "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, layers) < 0)
                return -errno;
        return 0;
}

IN_CHILD int oci_root_prepare(const void *arg)
{
        const struct oci_root *root = arg;
        int r;

        if (unshare(CLONE_NEWNS) < 0)
                return -errno;
        r = mount_devices(root->points);
        for (size_t i = 0; r == 0 && i < root->n; i++)
                r = cover(root->trees[i], i == 0 ? "lowerdir=.:" FILLING : "lowerdir=.:" EMPTY);
        return r;
}
