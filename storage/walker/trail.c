#include "trail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scope.h"

enum { DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW };

int trail_open(int directory_fd, const char *name, int flags)
{
        const struct open_how how = {
                .flags = (unsigned)flags | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
        };
        long fd = syscall(SYS_openat2, directory_fd, name, &how, sizeof how);

        return fd < 0 ? -errno : (int)fd;
}

static void close_level(struct trail_level *level)
{
        if (level->fd >= 0)
                close(level->fd);
        level->fd = -1;
}

void trail_end(struct trail *trail)
{
        while (trail->depth > 0)
                trail_leave(trail);
        free(trail->levels);
        trail->levels = NULL;
}

void trail_leave(struct trail *trail)
{
        struct trail_level *level = &trail->levels[--trail->depth];

        close_level(level);
        free(level->name);
}

/* ---- coming back to a directory that was closed ---- */

/* As many of the names from *from up to `to` as one path can have. */
static void join_names(const struct trail *trail, size_t *from, size_t to, char path[static PATH_MAX])
{
        size_t length = 0;

        while (*from < to) {
                const char *name = trail->levels[*from].name;
                size_t n = strlen(name);

                if (length + n + 2 > PATH_MAX)
                        break;
                if (length > 0)
                        path[length++] = '/';
                memcpy(path + length, name, n);
                length += n;
                ++*from;
        }
        path[length] = '\0';
}

/* Opens the directory at this depth from the root. */
static int open_from_root(const struct trail *trail, size_t depth)
{
        int at = fcntl(trail->root_fd, F_DUPFD_CLOEXEC, 0);

        for (size_t done = 0; at >= 0 && done < depth;) {
                char path[PATH_MAX];
                int next;

                join_names(trail, &done, depth, path);
                next = trail_open(at, path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
                close(at);
                at = next;
        }
        return at;
}

static int check_level(const struct trail_level *level, int fd)
{
        struct stat status;

        if (fstat(fd, &status) < 0)
                return -errno;
        return status.st_dev == level->device && status.st_ino == level->inode ? 0 : -ESTALE;
}

/* Opens the deepest TRAIL_OPEN_MAX directories again, so that the next steps up find theirs. */
static int open_again(struct trail *trail)
{
        size_t first = trail->depth > TRAIL_OPEN_MAX ? trail->depth - TRAIL_OPEN_MAX : 0;
        AUTO(auto_close) int above = open_from_root(trail, first);
        int r = above < 0 ? above : 0;

        for (size_t i = first; r == 0 && i < trail->depth; i++) {
                struct trail_level *level = &trail->levels[i];

                if (level->fd < 0)
                        level->fd = trail_open(i == first ? above : level[-1].fd, level->name, DIRECTORY_FLAGS);
                r = level->fd < 0 ? level->fd : check_level(level, level->fd);
                if (r < 0)
                        close_level(level);
        }
        return r;
}

int trail_fd(struct trail *trail)
{
        int r = 0;

        if (trail->depth == 0)
                return trail->root_fd;
        if (trail->levels[trail->depth - 1].fd < 0)
                r = open_again(trail);
        return r < 0 ? r : trail->levels[trail->depth - 1].fd;
}

/* ---- going down ---- */

static int make_room(struct trail *trail)
{
        size_t capacity = trail->capacity > 0 ? trail->capacity * 2 : 64;
        struct trail_level *levels;

        if (trail->depth >= TRAIL_DEPTH_MAX)
                return -ENAMETOOLONG;
        if (trail->depth < trail->capacity)
                return 0;
        levels = reallocarray(trail->levels, capacity, sizeof *levels);
        if (levels == NULL)
                return -ENOMEM;
        trail->levels = levels;
        trail->capacity = capacity;
        return 0;
}

int trail_enter(struct trail *trail, const char *name)
{
        AUTO(auto_free) char *copy = strdup(name);
        AUTO(auto_close) int fd = -1;
        struct stat status;
        int above = trail_fd(trail);
        int r = above < 0 ? above : make_room(trail);

        if (r < 0 || copy == NULL)
                return r < 0 ? r : -ENOMEM;
        fd = trail_open(above, name, DIRECTORY_FLAGS);
        if (fd < 0 || fstat(fd, &status) < 0)
                return fd < 0 ? fd : -errno;
        if (trail->depth >= TRAIL_OPEN_MAX)
                close_level(&trail->levels[trail->depth - TRAIL_OPEN_MAX]);
        trail->levels[trail->depth++] = (struct trail_level){ TAKE(copy), status.st_dev, status.st_ino, TAKE_FD(fd) };
        return 0;
}
