#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "hold.h"
#include "pool-inside.h"
#include "scope.h"
#include "userdir.h"

int pool_users_fd(const struct pool *pool)
{
        return pool->users_fd;
}

/* userdir_prepare makes a directory as root and then gives it away; a root's directory with content is not a user's. */
static int remove_unowned(const struct pool *pool, const char *user, struct fault *why)
{
        if (unlinkat(pool->users_fd, user, AT_REMOVEDIR) < 0)
                return fault_set(why, FAULT_INTERNAL, EPERM,
                                 "the directory of %s belongs to root and is not empty: carreld did not make it. "
                                 "Remove it, or move it away",
                                 user);
        return fault_set(why, FAULT_NOT_FOUND, ENOENT, "user %s has no files", user);
}

static int refuse_unknown(const char *user, int r, struct fault *why)
{
        return fault_set(why, FAULT_INTERNAL, -r, "cannot look for the image of %s: %s", user, strerrordesc_np(-r));
}

/* The image goes at once. An empty directory is left to erase in its place. */
static int remove_image(const struct pool *pool, const char *user, const struct stat *image, int to_fd,
                        const char *name, struct fault *why)
{
        int r = mkdirat(to_fd, name, 0700) < 0 || fchownat(to_fd, name, image->st_uid, image->st_gid, 0) < 0 ? -errno
                                                                                                             : 0;

        if (r == 0)
                r = disk_remove_image(pool->users_fd, user);
        return r < 0 ? fault_set(why, FAULT_INTERNAL, -r, "cannot remove the image of %s: %s", user,
                                 strerrordesc_np(-r))
                     : 0;
}

int pool_move_files(struct pool *pool, const char *user, int to_fd, const char *name, struct fault *why)
{
        struct pool_owner owner;
        struct stat status;
        int r = hold_check(pool, user, why);

        if (r < 0)
                return r;
        if (table_find(&pool->table, user) != NULL)
                return fault_set(why, FAULT_SPEC_CONFLICT, EBUSY, "user %s has a carrel", user);
        r = disk_stat_image(pool->users_fd, user, &status);
        if (r < 0 && r != -ENOENT)
                return refuse_unknown(user, r, why);
        if (r == 0)
                return remove_image(pool, user, &status, to_fd, name, why);
        if (fstatat(pool->users_fd, user, &status, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? fault_set(why, FAULT_NOT_FOUND, ENOENT, "user %s has no files", user)
                                       : fault_set(why, FAULT_INTERNAL, errno, "cannot stat the directory of %s: %s",
                                                   user, strerrordesc_np(errno));
        if (!S_ISDIR(status.st_mode))
                return fault_set(why, FAULT_INTERNAL, ENOTDIR, "the directory of %s is a file or a link: move it away",
                                 user);
        r = userdir_owner(pool->users_fd, user, &pool->options.owner, &owner, why);
        if (r < 0)
                return r;
        if (status.st_uid == geteuid())
                return remove_unowned(pool, user, why);
        if (renameat2(pool->users_fd, user, to_fd, name, RENAME_NOREPLACE) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot move the directory of %s: %s", user,
                                 strerrordesc_np(errno));
        return 0;
}

/* A copy of an image is not made yet, and the files inside are on no mount of ours. */
static int refuse_image(const struct pool *pool, const char *user, struct fault *why)
{
        struct stat status;
        int r = disk_stat_image(pool->users_fd, user, &status);

        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return refuse_unknown(user, r, why);
        return fault_set(why, FAULT_REQUEST_INVALID, EOPNOTSUPP,
                         "the files of user %s are in an image (disk = image): snapshots and forks of images are not "
                         "possible yet",
                         user);
}

int pool_open_files(const struct pool *pool, const char *user, struct pool_owner *ret_owner, int *ret_fd,
                    struct fault *why)
{
        AUTO(auto_close) int fd = userdir_open_user(pool->users_fd, user);
        struct stat status;
        int r = refuse_image(pool, user, why);

        if (r < 0)
                return r;
        if (fd == -ENOENT)
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "user %s has no files", user);
        if (fd < 0 || fstat(fd, &status) < 0)
                return fault_set(why, FAULT_INTERNAL, fd < 0 ? -fd : errno, "cannot open the directory of %s", user);
        r = userdir_owner(pool->users_fd, user, &pool->options.owner, ret_owner, why);
        if (r < 0)
                return r;
        if (status.st_uid == geteuid())
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "user %s has no files", user);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int pool_check_put(const struct pool *pool, const char *user, bool is_replacing, struct fault *why)
{
        struct stat status;
        int r = refuse_image(pool, user, why);

        if (r < 0 || !pool->options.has_images ||
            (is_replacing && fstatat(pool->users_fd, user, &status, AT_SYMLINK_NOFOLLOW) == 0))
                return r;
        return fault_set(why, FAULT_REQUEST_INVALID, EOPNOTSUPP,
                         "user %s would get a directory without a bound (disk = image): copies into images are not "
                         "possible yet",
                         user);
}

int pool_put_files(struct pool *pool, const char *user, int from_fd, const char *name, bool is_replacing,
                   struct fault *why)
{
        int r = hold_check(pool, user, why);

        if (r == 0)
                r = pool_check_put(pool, user, is_replacing, why);
        if (r < 0)
                return r;
        if (table_find(&pool->table, user) != NULL)
                return fault_set(why, FAULT_CARREL_BUSY, EBUSY, "user %s has a carrel", user);
        if (is_replacing && renameat2(from_fd, name, pool->users_fd, user, RENAME_EXCHANGE) == 0)
                return 0;
        if (is_replacing && errno != ENOENT)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot exchange the files of %s: %s", user,
                                 strerrordesc_np(errno));
        if (renameat2(from_fd, name, pool->users_fd, user, RENAME_NOREPLACE) == 0)
                return 0;
        if (errno == EEXIST)
                return fault_set(why, FAULT_NAME_TAKEN, EEXIST, "user %s has files already", user);
        return fault_set(why, FAULT_INTERNAL, errno, "cannot move the files of %s: %s", user, strerrordesc_np(errno));
}
