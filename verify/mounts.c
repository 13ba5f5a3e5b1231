#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "inside.h"
#include "proc-file.h"
#include "profile.h"
#include "scope.h"

enum { PROC_TEXT_MAX = 1 << 20, PROC_PATH_BYTES = 64 };

static int refuse_ended(struct fault *why)
{
        return fault_set(why, FAULT_CARREL_LOST, ESRCH, "the container ended right after its start");
}

static bool has_ended(int pidfd)
{
        struct pollfd poller = { .fd = pidfd, .events = POLLIN };

        return poll(&poller, 1, 0) != 0; /* readable once the process has ended (pidfd_open(2)); an error counts too */
}

/* ---- mountinfo ---- */

/* One line: "ID PARENT MAJOR:MINOR ROOT TARGET OPTIONS ...". Spaces in a target are written as \040. */
struct mount_line {
        uint64_t id, parent;
        const char *device;
        size_t device_length;
        const char *target;
        size_t target_length;
        const char *options;
        size_t options_length;
};

static const char *next_line(const char *line)
{
        const char *end = strchr(line, '\n');

        return end == NULL ? line + strlen(line) : end + 1;
}

static bool read_line(const char *line, struct mount_line *ret_line)
{
        if (sscanf(line, "%10" SCNu64 " %10" SCNu64, &ret_line->id, &ret_line->parent) != 2)
                return false;
        for (int field = 0; field < 4; field++) {
                if (field == 2)
                        ret_line->device = line;
                ret_line->device_length = field == 2 ? strcspn(line, " \n") : ret_line->device_length;
                line += strcspn(line, " \n");
                if (*line != ' ')
                        return false;
                line++;
        }
        ret_line->target = line;
        ret_line->target_length = strcspn(line, " \n");
        line += ret_line->target_length;
        if (*line != ' ')
                return false;
        ret_line->options = line + 1;
        ret_line->options_length = strcspn(line + 1, " \n");
        return true;
}

static bool has_option(const struct mount_line *line, const char *wanted)
{
        size_t length = strlen(wanted);
        const char *at = line->options;
        const char *end = line->options + line->options_length;

        while (at < end) {
                size_t word = strcspn(at, ", \n");

                if (word == length && strncmp(at, wanted, length) == 0)
                        return true;
                at += word + 1;
        }
        return false;
}

static bool is_at(const struct mount_line *line, const char *target)
{
        return strlen(target) == line->target_length && strncmp(line->target, target, line->target_length) == 0;
}

static bool is_below(const struct mount_line *line, const char *directory)
{
        size_t length = strlen(directory);

        return line->target_length > length && strncmp(line->target, directory, length) == 0 &&
               line->target[length] == '/';
}

static bool is_bare(const struct mount_line *line)
{
        for (const struct profile_option *option = PROFILE.bare; option->word != NULL; option++)
                if (!has_option(line, option->word))
                        return false;
        return true;
}

static bool is_in(const struct mount_line *line, const char *directory)
{
        return is_at(line, directory) || is_below(line, directory);
}

/* The operator's mount that this one is, or is below. */
static const struct mount_promise *find_promise(const struct mount_line *line, const struct mounts_promise *promise)
{
        for (size_t i = 0; i < promise->n_mounts; i++)
                if (is_in(line, promise->mounts[i].target))
                        return &promise->mounts[i];
        return NULL;
}

static bool may_be_writable(const struct mount_line *line, const struct mounts_promise *promise)
{
        const struct mount_promise *given = find_promise(line, promise);

        for (const struct profile_mount *mount = PROFILE.mounts; mount->target != NULL; mount++) {
                if (mount->writing == PROFILE_USERS && is_at(line, mount->target))
                        return is_bare(line);
                if (mount->writing == PROFILE_KERNELS && is_in(line, mount->target))
                        return true;
        }
        return given != NULL && !given->is_read_only && is_bare(line);
}

/* Searches the options of the file system, which are the last field of a line. */
static bool has_bound(const struct mount_line *line)
{
        const char *rest = line->options + line->options_length;

        return memmem(rest, strcspn(rest, "\n"), ",max=", strlen(",max=")) != NULL;
}

/* Whether another mount covers this one, at the same target. */
static bool is_covered(const char *mountinfo, const struct mount_line *line)
{
        struct mount_line over;

        for (const char *at = mountinfo; *at != '\0'; at = next_line(at))
                if (read_line(at, &over) && over.parent == line->id && over.target_length == line->target_length &&
                    memcmp(over.target, line->target, line->target_length) == 0)
                        return true;
        return false;
}

static bool is_device(const struct mount_line *line, const char *device)
{
        return strlen(device) == line->device_length && strncmp(line->device, device, line->device_length) == 0;
}

static int refuse_line(const struct mount_line *line, struct fault *why, const char *sentence)
{
        return fault_set(why, FAULT_HARDENING_MISSING, EPERM, "%.*s %s",
                         (int)(line->target_length < 128 ? line->target_length : 128), line->target, sentence);
}

/* The type stands after " - ", which no path can hold. */
static bool is_of_lxcfs(const struct mount_line *line)
{
        static const char TYPE[] = " - " LXCFS_TYPE " ";
        const char *rest = line->options + line->options_length;

        return memmem(rest, strcspn(rest, "\n"), TYPE, sizeof TYPE - 1) != NULL;
}

static int judge_lxcfs(const struct mount_line *line, struct fault *why)
{
        bool is_place = false;

        for (const struct profile_file *file = PROFILE.lxcfs; file->target != NULL; file++)
                is_place |= is_at(line, file->target);
        if (is_place == is_of_lxcfs(line) && (!is_place || has_option(line, "ro")))
                return 0;
        return refuse_line(line, why, "inside is not as lxcfs's files should be");
}

static bool has_lxcfs(const char *mountinfo)
{
        size_t n = 0;
        struct mount_line line;

        for (const char *at = mountinfo; *at != '\0'; at = next_line(at))
                n += read_line(at, &line) && is_of_lxcfs(&line);
        return n == PROFILE_LXCFS_FILES;
}

static int judge_line(const char *mountinfo, const struct mount_line *line, const char *hosts_devices,
                      const struct mounts_promise *promise, struct fault *why)
{
        bool is_writable = !has_option(line, "ro");

        if (is_writable && !may_be_writable(line, promise))
                return refuse_line(line, why,
                                   "is writable inside, or lacks nosuid or nodev: take an image without a VOLUME "
                                   "there");
        if (find_promise(line, promise) != NULL && !is_bare(line))
                return refuse_line(line, why, "inside lacks nosuid or nodev");
        if (is_at(line, INSIDE_TERMINALS) && !has_bound(line))
                return refuse_line(line, why, "has no limit inside: one carrel could take all terminals of the host");
        if (is_at(line, INSIDE_CGROUPS) && is_writable && !is_covered(mountinfo, line))
                return refuse_line(line, why, "is writable inside");
        if (is_device(line, hosts_devices) && !is_covered(mountinfo, line))
                return refuse_line(line, why, "inside is a device node of the host");
        return judge_lxcfs(line, why);
}

/* Whether the mount that is seen at the target is as promised. */
static int judge_promise(const char *mountinfo, const struct mount_promise *promise, struct fault *why)
{
        struct mount_line line;

        for (const char *at = mountinfo; *at != '\0'; at = next_line(at))
                if (read_line(at, &line) && is_at(&line, promise->target) && !is_covered(mountinfo, &line) &&
                    has_option(&line, "ro") == promise->is_read_only)
                        return 0;
        return fault_set(why, FAULT_HARDENING_MISSING, EPERM, "the container lacks the mount at %s, or its %s",
                         promise->target, promise->is_read_only ? "ro" : "rw");
}

int mounts_judge(const char *mountinfo, const char *hosts_devices, const struct mounts_promise *promise,
                 struct fault *why)
{
        bool has_root = false;
        bool has_workspace = false;
        struct mount_line line;
        int r = 0;

        for (const char *at = mountinfo; r == 0 && *at != '\0'; at = next_line(at)) {
                if (!read_line(at, &line))
                        return fault_set(why, FAULT_HARDENING_MISSING, EBADMSG,
                                         "the container's mounts cannot be read");
                r = judge_line(mountinfo, &line, hosts_devices, promise, why);
                has_root |= is_at(&line, "/");
                has_workspace |= is_at(&line, INSIDE_WORKSPACE) && has_option(&line, "ro") == promise->is_vacant;
        }
        if (r == 0 && (!has_root || !has_workspace))
                r = fault_set(why, FAULT_HARDENING_MISSING, EPERM, "the container lacks its %s",
                              has_root ? INSIDE_WORKSPACE : "root mount");
        if (r == 0 && promise->has_lxcfs && !has_lxcfs(mountinfo))
                r = fault_set(why, FAULT_HARDENING_MISSING, EPERM, "the container lacks a file of lxcfs");
        for (size_t i = 0; r == 0 && i < promise->n_mounts; i++)
                r = judge_promise(mountinfo, &promise->mounts[i], why);
        return r;
}

int mounts_judge_cwd(const char *mountinfo, uint64_t mount_id, struct fault *why)
{
        for (const char *at = mountinfo; *at != '\0'; at = next_line(at))
                if (strtoull(at, NULL, 10) == mount_id)
                        return 0;
        return fault_set(why, FAULT_HARDENING_MISSING, EPERM,
                         "the container's process was started in a directory of the host (CVE-2024-21626?): update the "
                         "OCI runtime");
}

static int read_cwd(int pid, uint64_t *ret_mount_id)
{
        struct statx about = { 0 };
        char path[64];

        (void)snprintf(path, sizeof path, "/proc/%d/cwd", pid);
        if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &about) < 0)
                return -errno;
        *ret_mount_id = about.stx_mnt_id;
        return (about.stx_mask & STATX_MNT_ID) != 0 ? 0 : -EOPNOTSUPP;
}

static int name_devices(char ret_text[static 32])
{
        struct stat status;

        if (stat("/dev/null", &status) < 0)
                return -errno;
        (void)snprintf(ret_text, 32, "%u:%u", major(status.st_dev), minor(status.st_dev));
        return 0;
}

static int check_mountinfo(int pid, int pidfd, const struct mounts_promise *promise, struct fault *why)
{
        char hosts_devices[32];
        AUTO(auto_free) char *mountinfo = NULL;
        uint64_t cwd = 0;
        int r = proc_pid_read(pid, "mountinfo", PROC_TEXT_MAX, &mountinfo) == 0 ? read_cwd(pid, &cwd) : 0;

        if (mountinfo == NULL || r == -ENOENT || r == -ESRCH || has_ended(pidfd))
                return refuse_ended(why);
        if (r < 0)
                return fault_set(why, FAULT_HARDENING_MISSING, -r,
                                 "cannot read the working directory of the container's process: %s",
                                 strerrordesc_np(-r));
        if ((r = name_devices(hosts_devices)) < 0)
                return fault_set(why, FAULT_HARDENING_MISSING, -r, "cannot read the host's /dev/null: %s",
                                 strerrordesc_np(-r));
        r = mounts_judge(mountinfo, hosts_devices, promise, why);
        return r == 0 ? mounts_judge_cwd(mountinfo, cwd, why) : r;
}

/* ---- what is at a place ---- */

/* path: absolute, as the container sees it. No link of the container's is followed. */
static int open_inside(int root, const char *path)
{
        const struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
                                      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };

        return (int)syscall(SYS_openat2, root, path + 1, &how, sizeof how);
}

/* STATX_ATTR_MOUNT_ROOT is in Linux 5.8. */
static bool is_mount_point(int fd)
{
        struct statx about;

        return statx(fd, "", AT_EMPTY_PATH, 0, &about) == 0 && (about.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/* Counted by the file system itself: mountinfo leaves out a bound that equals the kernel's default. A directory of an
 * image that lies on a tmpfs is no mount of its own; check_mountinfo has seen that it is read-only. */
static int check_tmpfs(int root, const struct tmpfs_promise *promise, struct fault *why)
{
        AUTO(auto_close) int fd = open_inside(root, promise->target);
        struct statfs about = { 0 };

        if (fd < 0 || !is_mount_point(fd) || fstatfs(fd, &about) < 0 || about.f_type != TMPFS_MAGIC)
                return 0;
        if (about.f_files > 0 && about.f_files <= promise->inodes)
                return 0;
        return fault_set(why, FAULT_HARDENING_MISSING, EPERM, "%s inside may have more than %" PRIu64 " inodes",
                         promise->target, promise->inodes);
}

static int check_mount(int root, const struct mount_promise *promise, struct fault *why)
{
        AUTO(auto_close) int fd = open_inside(root, promise->target);
        struct stat status;

        if (fd >= 0 && fstat(fd, &status) == 0 && status.st_dev == promise->device && status.st_ino == promise->inode)
                return 0;
        return fault_set(why, FAULT_HARDENING_MISSING, EPERM, "%s inside is not the source that the settings name",
                         promise->target);
}

static int check_places(int pid, const struct mounts_promise *promise, struct fault *why)
{
        char path[PROC_PATH_BYTES];
        AUTO(auto_close) int root = -1;
        int r = 0;

        (void)snprintf(path, sizeof path, "/proc/%d/root", pid);
        root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
                return refuse_ended(why);
        for (size_t i = 0; r == 0 && i < promise->n_tmpfs; i++)
                r = check_tmpfs(root, &promise->tmpfs[i], why);
        for (size_t i = 0; r == 0 && i < promise->n_mounts; i++)
                r = check_mount(root, &promise->mounts[i], why);
        return r;
}

int mounts_check(int pid, int pidfd, const struct mounts_promise *promise, struct fault *why)
{
        struct fault found = { 0 };
        int r = check_places(pid, promise, &found);

        if (r < 0 && has_ended(pidfd))
                return refuse_ended(why);
        return r < 0 ? fault_pass(why, &found) : check_mountinfo(pid, pidfd, promise, why);
}
