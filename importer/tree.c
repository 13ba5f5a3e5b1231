#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "entry.h"
#include "scope.h"
#include "tree-remove.h"

static int open_resolved(int root_fd, const char *path, uint64_t flags, uint64_t resolve)
{
        struct open_how how = { .flags = flags | O_CLOEXEC,
                                .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve };
        long fd = syscall(SYS_openat2, root_fd, path[0] == '\0' ? "." : path, &how, sizeof how);

        return fd < 0 ? -errno : (int)fd;
}

static int open_beneath(int root_fd, const char *path, uint64_t flags)
{
        return open_resolved(root_fd, path, flags, 0);
}

/* ---- the path of an entry ---- */

static int open_directory(int root_fd, const char *path)
{
        return open_beneath(root_fd, path, O_PATH | O_DIRECTORY);
}

/* Makes the missing directories of path, one by one from the root. Each takes one of *left. */
static int make_directories(int root_fd, const char *path, uint64_t *left)
{
        char prefix[ENTRY_PATH_BYTES];
        int above = open_directory(root_fd, "");

        for (const char *at = path; above >= 0; at++) {
                size_t n = strcspn(at, "/");
                int next;

                memcpy(prefix, path, (size_t)(at - path) + n);
                prefix[(size_t)(at - path) + n] = '\0';
                next = open_directory(root_fd, prefix);
                if (next == -ENOENT && *left == 0) {
                        next = -E2BIG;
                } else if (next == -ENOENT) {
                        const char *base = prefix + (at - path);

                        --*left;
                        next = mkdirat(above, base, 0755) < 0 ? -errno : open_directory(root_fd, prefix);
                }
                close(above);
                above = next;
                at += n;
                if (*at == '\0')
                        break;
        }
        return above;
}

/* Counts the directories up to the root: links can make a tree deeper than any of its names. */
static int check_depth(int root_fd, int directory_fd)
{
        AUTO(auto_close) int at = fcntl(directory_fd, F_DUPFD_CLOEXEC, 0);
        struct stat root;
        struct stat here;

        if (at < 0 || fstat(root_fd, &root) < 0)
                return -errno;
        for (unsigned depth = 0; depth <= ENTRY_DEPTH_MAX; depth++) {
                int above;

                if (fstat(at, &here) < 0)
                        return -errno;
                if (here.st_ino == root.st_ino && here.st_dev == root.st_dev)
                        return 0;
                above = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (above < 0)
                        return -errno;
                close(at);
                at = above;
        }
        return -ENAMETOOLONG;
}

/* Without links on the path, a directory is as deep as its name, which entry_path bounds. */
static int find_directory(int root_fd, const char *path, uint64_t *left, int *ret_fd)
{
        AUTO(auto_close) int fd = open_resolved(root_fd, path, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
        bool is_plain = fd >= 0;
        int r = 0;

        if (fd == -ELOOP)
                fd = open_directory(root_fd, path);
        if (fd == -ENOENT && left != NULL)
                fd = make_directories(root_fd, path, left);
        if (fd >= 0 && !is_plain)
                r = check_depth(root_fd, fd);
        if (fd < 0 || r < 0)
                return fd < 0 ? fd : r;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int find_parent(int root_fd, const char *path, uint64_t *left, int *ret_fd, const char **ret_base)
{
        char parent[ENTRY_PATH_BYTES];
        const char *slash = strrchr(path, '/');
        size_t length = slash == NULL ? 0 : (size_t)(slash - path);
        int r;

        if (length >= sizeof parent)
                return -ENAMETOOLONG;
        memcpy(parent, path, length);
        parent[length] = '\0';
        r = find_directory(root_fd, parent, left, ret_fd);
        if (r < 0)
                return r;
        *ret_base = slash == NULL ? path : slash + 1;
        return 0;
}

int tree_parent(int root_fd, const char *path, int is_making, int *ret_fd, const char **ret_base)
{
        uint64_t left = UINT64_MAX;

        return find_parent(root_fd, path, is_making ? &left : NULL, ret_fd, ret_base);
}

int tree_way(int root_fd, const char *path, uint64_t *left)
{
        AUTO(auto_close) int fd = -1;
        const char *base;

        return find_parent(root_fd, path, left, &fd, &base);
}

/* ---- remove ---- */

/* A file beyond a link that leads out is not part of the image. */
static int forgive(int r)
{
        return r == -ENOENT || r == -ENOTDIR || r == -EXDEV || r == -ELOOP ? 0 : r;
}

int tree_remove_path(int root_fd, const char *path)
{
        AUTO(auto_close) int parent = -1;
        const char *base;
        int r = tree_parent(root_fd, path, 0, &parent, &base);

        return r < 0 ? forgive(r) : tree_remove(parent, base);
}

int tree_empty(int root_fd, const char *path)
{
        AUTO(auto_close) int fd = open_beneath(root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

        return fd < 0 ? forgive(fd) : tree_clear(fd, NULL, NULL);
}

/* ---- make ---- */

int tree_directory(int root_fd, const char *path, uint32_t mode)
{
        AUTO(auto_close) int parent = -1;
        const char *base;
        struct stat there;
        int r;

        if (path[0] == '\0')
                return fchmod(root_fd, mode) < 0 ? -errno : 0;
        r = tree_parent(root_fd, path, 1, &parent, &base);
        if (r < 0)
                return r;
        if (fstatat(parent, base, &there, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(there.st_mode)) {
                r = tree_remove(parent, base);
                if (r < 0 || mkdirat(parent, base, 0700) < 0)
                        return r < 0 ? r : -errno;
        }
        return fchmodat(parent, base, mode, 0) < 0 ? -errno : 0;
}

/* Removes what is at path, so that something can be made there. */
static int clear_place(int root_fd, const char *path, int *ret_parent, const char **ret_base)
{
        int r = tree_parent(root_fd, path, 1, ret_parent, ret_base);

        return r < 0 ? r : tree_remove(*ret_parent, *ret_base);
}

int tree_file(int root_fd, const char *path, uint32_t mode, int *ret_fd)
{
        AUTO(auto_close) int parent = -1;
        AUTO(auto_close) int fd = -1;
        const char *base;
        int r = clear_place(root_fd, path, &parent, &base);

        if (r < 0)
                return r;
        fd = openat(parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 || fchmod(fd, mode) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int tree_symlink(int root_fd, const char *path, const char *target, int64_t modified_s)
{
        const struct timespec times[2] = { { .tv_sec = modified_s }, { .tv_sec = modified_s } };
        AUTO(auto_close) int parent = -1;
        const char *base;
        int r = clear_place(root_fd, path, &parent, &base);

        if (r < 0)
                return r;
        if (symlinkat(target, parent, base) < 0 || utimensat(parent, base, times, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return 0;
}

int tree_hardlink(int root_fd, const char *path, const char *target)
{
        AUTO(auto_close) int parent = -1;
        AUTO(auto_close) int source = -1;
        const char *base;
        const char *source_base;
        struct stat there;
        int r = tree_parent(root_fd, target, 0, &source, &source_base);

        if (r < 0)
                return r;
        if (fstatat(source, source_base, &there, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (S_ISDIR(there.st_mode))
                return -EPERM;
        if (strcmp(path, target) == 0)
                return 0;
        r = clear_place(root_fd, path, &parent, &base);
        if (r == 0 && linkat(source, source_base, parent, base, 0) < 0)
                r = -errno;
        return r;
}

int tree_open(int root_fd, const char *path, int *ret_fd)
{
        struct stat about;
        int fd = open_beneath(root_fd, path, O_RDONLY | O_NONBLOCK);

        if (fd < 0)
                return fd;
        if (fstat(fd, &about) < 0 || !S_ISREG(about.st_mode)) {
                close(fd);
                return -EBADMSG;
        }
        *ret_fd = fd;
        return 0;
}
