#include "tree-remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scope.h"

/* A tree may be too deep for descriptors or stack. So directories inside a directory's own directories are first moved
 * up beside them. Two descriptors are then enough for any depth, and each directory moves at most once. */

struct removal {
        int root_fd;
        uint64_t number; /* of the next directory that is moved up */
        void (*on_removed)(void *arg);
        void *arg;
};

static void auto_closedir(DIR **directory)
{
        if (*directory != NULL)
                (void)closedir(*directory);
}

static int open_directory(int directory_fd, const char *name)
{
        const struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                                      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };
        long fd = syscall(SYS_openat2, directory_fd, name, &how, sizeof how);

        return fd < 0 ? -errno : (int)fd;
}

static int list_directory(int directory_fd, const char *name, DIR **ret_directory)
{
        AUTO(auto_close) int fd = open_directory(directory_fd, name);

        if (fd < 0)
                return fd;
        *ret_directory = fdopendir(fd);
        if (*ret_directory == NULL)
                return -errno;
        (void)TAKE_FD(fd);
        return 0;
}

static bool is_itself(const char *name)
{
        return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* NULL with *ret_r 0: the directory has no more. */
static const struct dirent *next_entry(DIR *directory, int *ret_r)
{
        const struct dirent *entry;

        do {
                errno = 0;
                entry = readdir(directory);
        } while (entry != NULL && is_itself(entry->d_name));
        if (entry == NULL)
                *ret_r = -errno;
        return entry;
}

/* -ENOTEMPTY: a directory that is not empty. */
static int remove_simple(const struct removal *removal, int directory_fd, const char *name)
{
        if (unlinkat(directory_fd, name, 0) < 0) {
                if (errno == ENOENT)
                        return 0;
                if (errno != EISDIR && errno != EPERM)
                        return -errno;
                if (unlinkat(directory_fd, name, AT_REMOVEDIR) < 0)
                        return errno == ENOENT ? 0 : errno == EEXIST ? -ENOTEMPTY : -errno;
        }
        if (removal->on_removed != NULL)
                removal->on_removed(removal->arg);
        return 0;
}

/* The tree may have the same name; then the next one is tried. */
static int move_up(struct removal *removal, int from_fd, const char *name)
{
        char moved[32];

        do {
                (void)snprintf(moved, sizeof moved, ".gone-%llu", (unsigned long long)removal->number++);
                if (renameat(from_fd, name, removal->root_fd, moved) == 0)
                        return 0;
        } while (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR);
        return -errno;
}

/* Removes the entries of the directory up to the first directory that is not empty, which it opens: *ret_below, or
 * NULL. */
static int remove_until_directory(const struct removal *removal, DIR *directory, DIR **ret_below)
{
        const struct dirent *entry;
        int r = 0;

        *ret_below = NULL;
        while (r == 0 && (entry = next_entry(directory, &r)) != NULL)
                r = remove_simple(removal, dirfd(directory), entry->d_name);
        return r == -ENOTEMPTY ? list_directory(dirfd(directory), entry->d_name, ret_below) : r;
}

/* Goes down from the directory `name`, which is not empty, and empties the one at the end of the way. */
static int make_room(const struct removal *removal, int directory_fd, const char *name)
{
        AUTO(auto_closedir) DIR *directory = NULL;
        int r = list_directory(directory_fd, name, &directory);

        while (r == 0 && directory != NULL) {
                DIR *below;

                r = remove_until_directory(removal, directory, &below);
                (void)closedir(directory);
                directory = below;
        }
        return r;
}

/* A full disk may have no room for one more name in the root. Then something else is removed first. */
static int remove_or_move_up(struct removal *removal, int from_fd, const char *name)
{
        int r = remove_simple(removal, from_fd, name);

        while (r == -ENOTEMPTY) {
                r = move_up(removal, from_fd, name);
                if (r != -ENOSPC && r != -EDQUOT)
                        return r;
                r = make_room(removal, from_fd, name);
                if (r == 0)
                        r = remove_simple(removal, from_fd, name);
        }
        return r;
}

/* Removes the directory `name` below the root and moves its own directories into the root. */
static int remove_level(struct removal *removal, const char *name)
{
        AUTO(auto_closedir) DIR *directory = NULL;
        const struct dirent *entry;
        int r = list_directory(removal->root_fd, name, &directory);

        if (r < 0)
                return r;
        while (r == 0 && (entry = next_entry(directory, &r)) != NULL)
                r = remove_or_move_up(removal, dirfd(directory), entry->d_name);
        return r < 0 ? r : remove_simple(removal, removal->root_fd, name);
}

/* One pass. Directories that are moved up meanwhile may wait for the next. *ret_more: there was something. */
static int remove_pass(struct removal *removal, bool *ret_more)
{
        AUTO(auto_closedir) DIR *directory = NULL;
        const struct dirent *entry;
        int r = list_directory(removal->root_fd, ".", &directory);

        *ret_more = false;
        while (r == 0 && (entry = next_entry(directory, &r)) != NULL) {
                *ret_more = true;
                r = remove_simple(removal, removal->root_fd, entry->d_name);
                if (r == -ENOTEMPTY)
                        r = remove_level(removal, entry->d_name);
                /* readdir(3) may have skipped entries while the directory shrank: the next pass removes them */
                r = r == -ENOTEMPTY ? 0 : r;
        }
        return r;
}

static int clear(struct removal *removal)
{
        bool has_more = true;
        int r = 0;

        while (r == 0 && has_more)
                r = remove_pass(removal, &has_more);
        return r;
}

int tree_clear(int directory_fd, void (*on_removed)(void *arg), void *arg)
{
        struct removal removal = { .root_fd = directory_fd, .on_removed = on_removed, .arg = arg };

        return clear(&removal);
}

int tree_remove(int directory_fd, const char *name)
{
        AUTO(auto_close) int fd = -1;
        struct removal removal = { .root_fd = -1 };
        int r = remove_simple(&removal, directory_fd, name);

        if (r != -ENOTEMPTY)
                return r;
        /* by any path: tests name one */
        fd = openat(directory_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        removal.root_fd = fd;
        r = clear(&removal);
        return r < 0 ? r : remove_simple(&removal, directory_fd, name);
}
