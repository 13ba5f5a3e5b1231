#include "userdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "disk.h"
#include "host-path.h"
#include "scope.h"
#include "spare-dirs.h"
#include "str.h"

enum { DIRECTORY_MODE = 0700, PERMISSIONS = 07777 };

int userdir_open(const char *users_dir, int *ret_fd, struct fault *why)
{
        return host_path_open("users_dir", users_dir, HOST_PATH_OWN, ret_fd, why);
}

int userdir_open_user(int users_fd, const char *user)
{
        const struct open_how how = {
                .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };

        int fd = (int)syscall(SYS_openat2, users_fd, user, &how, sizeof how);

        return fd < 0 ? -errno : fd;
}

static bool is_empty(int fd)
{
        int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = copy >= 0 ? fdopendir(copy) : NULL;
        const struct dirent *entry;

        if (directory == NULL) {
                if (copy >= 0)
                        close(copy);
                return false;
        }
        do {
                errno = 0;
                entry = readdir(directory);
        } while (entry != NULL && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
        bool has_ended = entry == NULL && errno == 0;
        closedir(directory);
        return has_ended;
}

/* A directory that is root's was just made, perhaps by a carreld that was then killed. */
static int judge_owner(const struct stat *status, const char *user, const struct pool_owner *now,
                       struct pool_owner *ret_owner, struct fault *why)
{
        if (status->st_uid == geteuid()) {
                *ret_owner = *now;
                return 0;
        }
        if (status->st_uid != now->uid && status->st_uid != OWNER_BEFORE)
                return fault_set(why, FAULT_INTERNAL, EPERM,
                                 "the directory of %s belongs to uid %u: give all in it to %u:%u (chown -R), set uid = "
                                 "%u, or move it away",
                                 user, status->st_uid, now->uid, now->gid, status->st_uid);
        /* No program inside runs with root's group. */
        *ret_owner = (struct pool_owner){ status->st_uid, status->st_gid != 0 ? status->st_gid : now->gid };
        return 0;
}

/* Programs on Docker and Podman run with this group: a directory must not give them a group of the host. */
static int judge_group(const struct stat *status, const char *user, const struct pool_owner *now, struct fault *why)
{
        if (status->st_uid == geteuid() || status->st_gid == now->gid || status->st_gid == OWNER_BEFORE ||
            status->st_gid == 0)
                return 0;
        return fault_set(why, FAULT_INTERNAL, EPERM,
                         "the directory of %s belongs to gid %u: give all in it to %u:%u (chown -R), set gid = %u, or "
                         "move it away",
                         user, status->st_gid, status->st_uid, now->gid, status->st_gid);
}

bool userdir_has_image(int users_fd, const char *user, bool has_images)
{
        AUTO(auto_close) int fd = -1;
        struct stat status;

        if (disk_stat_image(users_fd, user, &status) != -ENOENT) /* one that cannot be looked at fails the start */
                return true;
        if (!has_images)
                return false;
        fd = userdir_open_user(users_fd, user);
        return fd == -ENOENT || (fd >= 0 && is_empty(fd));
}

int userdir_owner(int users_fd, const char *user, const struct pool_owner *now, struct pool_owner *ret_owner,
                  struct fault *why)
{
        struct stat status;
        int r = disk_stat_image(users_fd, user, &status);

        if (r < 0 && r != -ENOENT)
                return fault_set(why, FAULT_INTERNAL, -r, "cannot look for the image of %s: %s", user,
                                 strerrordesc_np(-r));
        if (r == 0 || fstatat(users_fd, user, &status, AT_SYMLINK_NOFOLLOW) == 0)
                return judge_owner(&status, user, now, ret_owner, why);
        if (errno != ENOENT)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot stat the directory of %s: %s", user,
                                 strerrordesc_np(errno));
        *ret_owner = *now;
        return 0;
}

/* A directory that is root's and not empty was not made by carreld: users_dir may be set to a directory with other
 * things in it. */
static int own(int fd, const struct stat *status, const char *user, const struct pool_owner *owner, struct fault *why)
{
        bool is_its = status->st_uid == owner->uid && status->st_gid == owner->gid;

        if (!is_its && !is_empty(fd))
                return fault_set(why, FAULT_INTERNAL, ENOTEMPTY,
                                 "the directory of %s belongs to %u:%u and is not empty: give it to %u:%u, or move it "
                                 "away",
                                 user, status->st_uid, status->st_gid, owner->uid, owner->gid);
        if (!is_its && fchown(fd, owner->uid, owner->gid) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot give the directory of %s to %u:%u", user,
                                 owner->uid, owner->gid);
        if ((status->st_mode & PERMISSIONS) != DIRECTORY_MODE && fchmod(fd, DIRECTORY_MODE) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot set the mode of the directory of %s", user);
        return 0;
}

int userdir_prepare(int users_fd, const char *user, const struct pool_owner *now, struct pool_owner *ret_owner,
                    struct fault *why)
{
        AUTO(auto_close) int fd = -1;
        struct pool_owner owner = *now;
        struct stat status;
        int r;

        r = spare_dirs_make(users_fd, user, DIRECTORY_MODE);
        if (r == -ENOSPC || r == -EDQUOT)
                return fault_set(
                        why, FAULT_STORAGE_FULL, -r,
                        "cannot make the directory of %s: the disk of users_dir is full of other users' files. "
                        "The operator must make room there",
                        user);
        if (r < 0 && r != -EEXIST)
                return fault_set(why, r == -EROFS ? FAULT_SETTING_INVALID : FAULT_RESOURCE_EXHAUSTED, -r,
                                 "cannot make the directory of %s in users_dir: %s", user, strerrordesc_np(-r));
        fd = userdir_open_user(users_fd, user);
        if (fd == -ELOOP || fd == -ENOTDIR)
                return fault_set(why, FAULT_INTERNAL, -fd, "the directory of %s is a file or a link: move it away",
                                 user);
        if (fd < 0)
                return fault_set(why, FAULT_INTERNAL, -fd, "cannot open the directory of %s: %s", user,
                                 strerrordesc_np(-fd));
        if (fstat(fd, &status) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "fstat of the directory of %s", user);
        r = judge_owner(&status, user, now, &owner, why);
        if (r == 0)
                r = judge_group(&status, user, now, why);
        if (r == 0)
                r = own(fd, &status, user, &owner, why);
        if (r == 0)
                *ret_owner = owner;
        return r;
}
