#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy-file.h"
#include "scope.h"
#include "trail.h"
#include "tree-remove.h"
#include "walk.h"

static const char FILES[] = "files";
static const char LINKS[] = "links";

enum { WORK_MODE = 0700, MODE_BITS = 07777 };

struct copying {
        struct copier copier;
        struct trail target; /* where the copies are made */
        uid_t owner;
        int links_fd; /* by inode number: each file with several names that was copied already */
        struct fault *why;
};

static struct storage_tally *tally_of(struct copying *copying)
{
        return &copying->copier.progress->tally;
}

/* ---- files ---- */

static bool is_same_time(const struct stat *a, const struct stat *b)
{
        return a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Whether an earlier copy has finished this file: the time is set last. */
static bool is_complete(int directory_fd, const char *name, const struct stat *source)
{
        struct stat there;

        return fstatat(directory_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(there.st_mode) &&
               there.st_size == source->st_size && is_same_time(&there, source);
}

/* Opens the file that was looked at, or fails: it may have been replaced by a link, a FIFO, or another file. */
static int open_source(const struct walk_step *step, int *ret_fd)
{
        AUTO(auto_close) int fd = trail_open(step->directory_fd, step->name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
        struct stat status;

        if (fd < 0 || fstat(fd, &status) < 0)
                return fd < 0 ? fd : -errno;
        if (!S_ISREG(status.st_mode) || status.st_ino != step->status.st_ino)
                return -ENOENT;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int copy_regular(struct copying *copying, const struct walk_step *step, int to_fd)
{
        AUTO(auto_close) int from = -1;
        AUTO(auto_close) int to = -1;
        int r = open_source(step, &from);

        if (r < 0)
                return r;
        r = tree_remove(to_fd, step->name);
        if (r < 0)
                return r;
        to = openat(to_fd, step->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, WORK_MODE);
        if (to < 0)
                return -errno;
        r = copy_contents(&copying->copier, from, to, step->status.st_size);
        if (r == 0)
                r = copy_attributes(from, to);
        return r < 0 ? r : copy_mode_and_time(to, &step->status);
}

static int copy_once(struct copying *copying, const struct walk_step *step, int to_fd)
{
        if (!is_complete(to_fd, step->name, &step->status))
                return copy_regular(copying, step, to_fd);
        tally_of(copying)->kept++;
        return 0;
}

/* A file with several names: the first copy also gets a name in `links`, and is found there for the others. So the
 * table of inodes is on the disk, survives a kill, and needs no memory. */
static int copy_linked(struct copying *copying, const struct walk_step *step, int to_fd)
{
        char inode[32];
        int r;

        (void)snprintf(inode, sizeof inode, "%llx", (unsigned long long)step->status.st_ino);
        if (is_complete(copying->links_fd, inode, &step->status)) {
                r = tree_remove(to_fd, step->name);
                if (r < 0)
                        return r;
                if (linkat(copying->links_fd, inode, to_fd, step->name, 0) == 0)
                        return 0;
                if (errno != EMLINK) /* `links` has one more than the source */
                        return -errno;
        }
        r = copy_once(copying, step, to_fd);
        if (r == 0)
                r = tree_remove(copying->links_fd, inode);
        if (r == 0 && linkat(to_fd, step->name, copying->links_fd, inode, 0) < 0 && errno != EMLINK)
                r = -errno;
        return r;
}

/* ---- what is no file ---- */

static int set_time(int to_fd, const struct walk_step *step)
{
        const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, step->status.st_mtim };

        return utimensat(to_fd, step->name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int copy_symlink(const struct walk_step *step, int to_fd)
{
        char target[PATH_MAX];
        ssize_t n = readlinkat(step->directory_fd, step->name, target, sizeof target - 1);
        int r;

        if (n < 0)
                return errno == EINVAL ? -ENOENT : -errno; /* EINVAL: it is no link any more */
        target[n] = '\0';
        r = tree_remove(to_fd, step->name);
        if (r < 0)
                return r;
        return symlinkat(target, to_fd, step->name) < 0 ? -errno : set_time(to_fd, step);
}

static int copy_fifo(const struct walk_step *step, int to_fd)
{
        int r = tree_remove(to_fd, step->name);

        if (r < 0)
                return r;
        if (mkfifoat(to_fd, step->name, WORK_MODE) < 0 ||
            fchmodat(to_fd, step->name, step->status.st_mode & (S_IRWXU | S_IRWXG | S_IRWXO), 0) < 0)
                return -errno;
        return set_time(to_fd, step);
}

static int check_owner(const struct copying *copying, const struct stat *status)
{
        if (status->st_uid == copying->owner)
                return 0;
        return fault_set(copying->why, FAULT_FILE_REFUSED, EPERM,
                         "a file belongs to uid %u, not to the owner of the directory (%u): give it to him (chown -R), "
                         "or move it away",
                         status->st_uid, copying->owner);
}

static int copy_entry(struct copying *copying, const struct walk_step *step)
{
        int to_fd = trail_fd(&copying->target);

        if (to_fd < 0)
                return to_fd;
        switch (step->status.st_mode & S_IFMT) {
        case S_IFREG:
                if (check_owner(copying, &step->status) < 0)
                        return -EPERM;
                return step->status.st_nlink > 1 ? copy_linked(copying, step, to_fd) : copy_once(copying, step, to_fd);
        case S_IFLNK:
                return copy_symlink(step, to_fd);
        case S_IFIFO:
                return copy_fifo(step, to_fd);
        case S_IFSOCK:
                tally_of(copying)->sockets++;
                return 0;
        default:
                tally_of(copying)->devices++;
                return 0;
        }
}

/* ---- directories ---- */

/* One that an earlier copy has made may be closed already. */
static int enter_directory(struct copying *copying, const struct walk_step *step)
{
        const char *name = step->name[0] != '\0' ? step->name : FILES;
        int above = trail_fd(&copying->target);
        struct stat there;
        int r = 0;

        if (above < 0)
                return above;
        if (check_owner(copying, &step->status) < 0)
                return -EPERM;
        if (fstatat(above, name, &there, AT_SYMLINK_NOFOLLOW) == 0) {
                if (!S_ISDIR(there.st_mode))
                        r = tree_remove(above, name);
                else if ((there.st_mode & WORK_MODE) != WORK_MODE && fchmodat(above, name, WORK_MODE, 0) < 0)
                        r = -errno;
        }
        if (r == 0 && mkdirat(above, name, WORK_MODE) < 0 && errno != EEXIST)
                r = -errno;
        return r < 0 ? r : trail_enter(&copying->target, name);
}

static int leave_directory(struct copying *copying, const struct walk_step *step)
{
        int to_fd = trail_fd(&copying->target);
        int r = to_fd < 0 ? to_fd : copy_attributes(step->directory_fd, to_fd);

        if (r == 0)
                r = copy_mode_and_time(to_fd, &step->status);
        if (r == 0)
                trail_leave(&copying->target);
        return r;
}

static int take_step(struct copying *copying, const struct walk_step *step)
{
        int r = 0;

        if (step->kind == WALK_LEAVE)
                return leave_directory(copying, step);
        if (step->name[0] != '\0')
                r = progress_count(copying->copier.progress, &step->status, copying->why);
        if (r == 0)
                r = step->kind == WALK_ENTER ? enter_directory(copying, step) : copy_entry(copying, step);
        if (step->kind != WALK_ENTRY || (r != -ENOENT && r != -ELOOP))
                return r;
        tally_of(copying)->changed++; /* it vanished between the look and the copy */
        return 0;
}

static int walk_source(struct copying *copying, int source_fd)
{
        struct walk *walk = NULL;
        struct walk_step step = { .kind = WALK_END, .name = "" };
        int r = walk_new(&walk, source_fd);

        while (r == 0) {
                r = walk_next(walk, &step);
                if (r < 0 || step.kind == WALK_END)
                        break;
                r = take_step(copying, &step);
        }
        if (walk != NULL)
                tally_of(copying)->changed += walk_changed(walk);
        (void)walk_free(walk);
        return r;
}

/* ---- the whole ---- */

static int make_links(int target_fd, int *ret_fd)
{
        if (mkdirat(target_fd, LINKS, WORK_MODE) < 0 && errno != EEXIST)
                return -errno;
        *ret_fd = trail_open(target_fd, LINKS, O_RDONLY | O_DIRECTORY);
        return *ret_fd < 0 ? *ret_fd : 0;
}

int copy_tree(int source_fd, int target_fd, uid_t owner, struct progress *progress, struct fault *why)
{
        AUTO(auto_close) int links_fd = -1;
        struct copying copying = {
                .copier = { .progress = progress },
                .target = { .root_fd = target_fd },
                .owner = owner,
                .why = why,
        };
        int r = make_links(target_fd, &links_fd);

        copying.links_fd = links_fd;
        if (r == 0)
                r = walk_source(&copying, source_fd);
        trail_end(&copying.target);
        if (r == 0)
                r = tree_remove(target_fd, LINKS);
        if (r == 0 && syncfs(target_fd) < 0)
                r = -errno;
        return r == 0 || why->kind != FAULT_NONE ? r : progress_fail("copy the files", r, why);
}
