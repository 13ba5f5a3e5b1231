#include "furnish.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inside.h"
#include "scope.h"
#include "tree.h"

/* Mount points of inside.h and of the engine. A directory comes before its entries. */
static const struct {
        const char *path;
        mode_t type;
        uint32_t mode;
} PLACES[] = {
        { &INSIDE_CARREL[1], S_IFDIR, 0755 },
        { &INSIDE_AGENT[1], S_IFDIR, 0755 },
        { &INSIDE_INIT[1], S_IFREG, 0755 },
        { "dev", S_IFDIR, 0755 },
        { "etc", S_IFDIR, 0755 },
        { "etc/hostname", S_IFREG, 0644 },
        { "etc/hosts", S_IFREG, 0644 },
        { "etc/resolv.conf", S_IFREG, 0644 },
        { "proc", S_IFDIR, 0755 },
        { "run", S_IFDIR, 0755 },
        { "sys", S_IFDIR, 0755 },
        { &INSIDE_TMP[1], S_IFDIR, 0755 },
        { &INSIDE_WORKSPACE[1], S_IFDIR, 0755 },
};

_Static_assert(sizeof PLACES / sizeof *PLACES == FURNISHED_MAX, "as furnish.h says");

static bool is_there(int root_fd, const char *path, mode_t type)
{
        AUTO(auto_close) int parent = -1;
        const char *base;
        struct stat about;

        return tree_parent(root_fd, path, 0, &parent, &base) == 0 &&
               fstatat(parent, base, &about, AT_SYMLINK_NOFOLLOW) == 0 && (about.st_mode & S_IFMT) == type;
}

static int make(int root_fd, const char *path, mode_t type, uint32_t mode)
{
        AUTO(auto_close) int fd = -1;

        if (is_there(root_fd, path, type))
                return 0;
        return type == S_IFDIR ? tree_directory(root_fd, path, mode) : tree_file(root_fd, path, mode, &fd);
}

int furnish(int rootfs_fd, struct fault *why)
{
        for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++) {
                int r = make(rootfs_fd, PLACES[i].path, PLACES[i].type, PLACES[i].mode);

                if (r < 0)
                        return fault_set(why, FAULT_IMAGE_REFUSED, -r, "the image has no room for /%s: %s",
                                         PLACES[i].path, strerror(-r));
        }
        return 0;
}
