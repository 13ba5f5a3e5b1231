#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lock.h"
#include "scope.h"
#include "str.h"

enum { LISTEN_BACKLOG = 1024 };

static int make_directory(const char *path, unsigned mode, struct fault *why)
{
        if (mkdir(path, mode) == 0 || errno == EEXIST)
                return 0;
        return fault_set(why, FAULT_INTERNAL, errno, "cannot create the directory %s: %s", path, strerror(errno));
}

static bool is_ours(const struct stat *status)
{
        return status->st_uid == geteuid() || status->st_uid == 0;
}

/* root may write unless the file system is read-only. */
static int check_writable(const char *path, const char *whole, struct fault *why)
{
        if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0)
                return 0;
        return fault_set(why, FAULT_SETTING_INVALID, errno,
                         "%s cannot be written: %s: %s: mount it writable, or name it in ReadWritePaths= of the unit",
                         whole, path, strerrordesc_np(errno));
}

/* A user who can write to the directory of the lock and the ledger could create his own there first. */
static int check_directory(const char *path, struct fault *why)
{
        struct stat status;

        if (stat(path, &status) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot stat the directory %s: %s", path, strerror(errno));
        if (!S_ISDIR(status.st_mode))
                return fault_set(why, FAULT_SETTING_INVALID, ENOTDIR, "%s is not a directory", path);
        if (status.st_uid != geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
                return fault_set(why, FAULT_SETTING_INVALID, EPERM,
                                 "%s must belong to root, and must not be writable by its group or by others", path);
        return check_writable(path, path, why);
}

/* A user who can write to a parent directory could replace our directory with his own. The sticky bit prevents that:
 * our directory belongs to us. */
static int check_ancestor(const char *path, const char *whole, struct fault *why)
{
        struct stat status;

        if (stat(path, &status) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot stat the directory %s: %s", path, strerror(errno));
        if (is_ours(&status) && ((status.st_mode & (S_IWGRP | S_IWOTH)) == 0 || (status.st_mode & S_ISVTX) != 0))
                return 0;
        return fault_set(why, FAULT_SETTING_INVALID, EPERM,
                         "%s, above %s, must belong to root, and must not be writable by its group or by others", path,
                         whole);
}

/* Walks the directories above path, from the root down. Makes the missing ones; if it must not, the last existing one
 * must be writable. *ret_is_whole: all of them exist. */
static int visit_ancestors(const char *path, bool is_making, bool *ret_is_whole, struct fault *why)
{
        char partial[PATH_MAX];
        int r = str_copy(partial, sizeof partial, path);

        if (r < 0)
                return fault_set(why, FAULT_SETTING_INVALID, -r, "the path %s is too long", path);
        r = check_ancestor("/", path, why);
        *ret_is_whole = true;
        for (char *slash = strchr(partial + 1, '/'); r == 0 && slash != NULL; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (is_making) {
                        r = make_directory(partial, 0755, why);
                } else if (access(partial, F_OK) < 0 && errno == ENOENT) {
                        *strrchr(partial, '/') = '\0';
                        *ret_is_whole = false;
                        return check_writable(partial[0] != '\0' ? partial : "/", path, why);
                }
                if (r == 0)
                        r = check_ancestor(partial, path, why);
                *slash = '/';
        }
        return r;
}

/* A link on the way (/var/run) is as safe as its own directory and its target. */
static int check_real_path(const char *path, struct fault *why)
{
        AUTO(auto_free) char *real = realpath(path, NULL);
        bool is_whole = false;

        return real != NULL ? visit_ancestors(real, false, &is_whole, why)
                            : fault_set(why, FAULT_INTERNAL, errno, "cannot resolve %s: %s", path, strerror(errno));
}

int claim_directory(const char *path, unsigned mode, struct fault *why)
{
        bool is_whole = false;
        int r = visit_ancestors(path, true, &is_whole, why);

        if (r == 0)
                r = make_directory(path, mode, why);
        if (r == 0)
                r = check_directory(path, why);
        return r < 0 ? r : check_real_path(path, why);
}

int check_claimable(const char *path, struct fault *why)
{
        char above[PATH_MAX];
        bool is_whole = false;
        int r = visit_ancestors(path, false, &is_whole, why);

        if (r < 0 || !is_whole)
                return r;
        if (access(path, F_OK) == 0) {
                r = check_directory(path, why);
                return r < 0 ? r : check_real_path(path, why);
        }
        if (str_copy(above, sizeof above, path) < 0)
                return fault_set(why, FAULT_SETTING_INVALID, ENAMETOOLONG, "the path %s is too long", path);
        *strrchr(above, '/') = '\0';
        return check_writable(above[0] != '\0' ? above : "/", path, why);
}

int claim_lock(const char *directory, const char *pool, int patience_ms, int *ret_fd, struct fault *why)
{
        char path[PATH_MAX];
        AUTO(auto_close) int fd = -1;

        if (snprintf(path, sizeof path, "%s/carreld-%s.lock", directory, pool) >= (int)sizeof path)
                return fault_set(why, FAULT_SETTING_INVALID, ENAMETOOLONG, "runtime_dir is too long");
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot open the lock %s: %s", path, strerror(errno));
        if (lock_exclusive(fd, patience_ms) < 0)
                return fault_set(why, FAULT_INTERNAL, EBUSY,
                                 "another carreld keeps the pool \"%s\" (it holds %s): stop it, or set another pool",
                                 pool, path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Whether some process accepts connections at the address. The lock excludes other carrelds of this pool, so this finds
 * two pools that are configured with one socket. */
static bool is_answered(const struct sockaddr_un *address)
{
        AUTO(auto_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        /* EAGAIN: a process listens, and its backlog is full. */
        return fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN);
}

static int find_group(const char *name, gid_t *ret_gid, struct fault *why)
{
        const struct group *group;

        if (name[0] == '\0') {
                *ret_gid = 0;
                return 0;
        }
        group = getgrnam(name);
        if (group == NULL)
                return fault_set(why, FAULT_SETTING_INVALID, ENOENT,
                                 "socket_group: there is no group \"%s\": create it with `groupadd --system %s`", name,
                                 name);
        *ret_gid = group->gr_gid;
        return 0;
}

int listen_unix(const char *path, const char *group, int *ret_fd, struct fault *why)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct sockaddr_un final = { .sun_family = AF_UNIX };
        AUTO(auto_close) int fd = -1;
        gid_t gid = 0;
        int r;

        if (str_copy(final.sun_path, sizeof final.sun_path, path) < 0 ||
            snprintf(address.sun_path, sizeof address.sun_path, "%s.new", path) >= (int)sizeof address.sun_path)
                return fault_set(why, FAULT_SETTING_INVALID, ENAMETOOLONG, "socket: the path %s is too long", path);
        r = find_group(group, &gid, why);
        if (r < 0)
                return r;
        if (is_answered(&final))
                return fault_set(why, FAULT_SETTING_INVALID, EADDRINUSE,
                                 "another process already answers on %s: stop it, or set another socket", path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)unlink(address.sun_path);
        if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
            chown(address.sun_path, 0, gid) < 0 || chmod(address.sun_path, 0660) < 0 ||
            listen(fd, LISTEN_BACKLOG) < 0 || rename(address.sun_path, path) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot listen on %s: %s", path, strerror(errno));
        *ret_fd = TAKE_FD(fd);
        return 0;
}
