#include "hardening.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cgroup.h"
#include "inside.h"
#include "proc-file.h"
#include "profile.h"
#include "scope.h"

enum { PROC_TEXT_MAX = 1 << 20 };

/* The text of the line after "Key:" and blanks, or NULL. */
static const char *find_line(const char *status, const char *key)
{
        size_t length = strlen(key);

        for (const char *line = status; line != NULL; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, key, length) == 0 && line[length] == ':')
                        return line + length + 1 + strspn(line + length + 1, "\t ");
        }
        return NULL;
}

static bool line_is(const char *status, const char *key, const char *wanted)
{
        const char *found = find_line(status, key);
        size_t length = strlen(wanted);

        return found != NULL && strncmp(found, wanted, length) == 0 && (found[length] == '\n' || found[length] == '\0');
}

/* Whether there is no supplementary group other than the process's own. */
static bool has_no_groups(const char *status, uint32_t gid)
{
        const char *at = find_line(status, "Groups");

        while (at != NULL && *at != '\0' && *at != '\n') {
                char *end;

                if (strtoul(at, &end, 10) != gid || end == at)
                        return false;
                at = end + strspn(end, "\t ");
        }
        return at != NULL;
}

static int judge_line(const char *status, const char *key, const char *wanted, struct fault *why)
{
        if (line_is(status, key, wanted))
                return 0;
        return fault_set(why, FAULT_HARDENING_MISSING, EPERM,
                         "the started container lacks a promise: %s is not %s; it was removed", key, wanted);
}

static int judge_rules(const char *status, bool is_monitor, struct fault *why)
{
        int r = 0;

        for (const struct profile_rule *rule = PROFILE.rules; r == 0 && rule->promise != NULL; rule++)
                if (rule->status_key != NULL && (rule->is_monitors || !is_monitor))
                        r = judge_line(status, rule->status_key, rule->status_value, why);
        return r;
}

/* All four: real, effective, saved and of the file system. */
static int judge_ids(const char *status, const char *key, uint32_t id, struct fault *why)
{
        char ids[64];

        (void)snprintf(ids, sizeof ids, "%" PRIu32 "\t%" PRIu32 "\t%" PRIu32 "\t%" PRIu32, id, id, id, id);
        return judge_line(status, key, ids, why);
}

int hardening_judge_monitor(const char *status, struct fault *why)
{
        return judge_rules(status, true, why);
}

int hardening_judge(const char *status, uint32_t uid, uint32_t gid, struct fault *why)
{
        if (judge_rules(status, false, why) < 0 || judge_ids(status, "Uid", uid, why) < 0 ||
            judge_ids(status, "Gid", gid, why) < 0)
                return -EPERM;
        if (!has_no_groups(status, gid))
                return fault_set(why, FAULT_HARDENING_MISSING, EPERM,
                                 "the started container lacks a promise: it has supplementary groups; it was removed");
        if (uid == 0 || gid == 0)
                return fault_set(why, FAULT_HARDENING_MISSING, EPERM, "a carrel must not run as root");
        return 0;
}

/* A whole file of /proc, malloc'd; NULL if it cannot be read or is unreasonably large. */
static char *read_proc(int pid, const char *name)
{
        char *text = NULL;

        return proc_pid_read(pid, name, PROC_TEXT_MAX, &text) == 0 ? text : NULL;
}

static int refuse_ended(struct fault *why)
{
        return fault_set(why, FAULT_CARREL_LOST, ESRCH, "the container ended right after its start");
}

static bool has_ended(int pidfd)
{
        struct pollfd poller = { .fd = pidfd, .events = POLLIN };

        return poll(&poller, 1, 0) != 0; /* readable once the process has ended (pidfd_open(2)); an error counts too */
}

/* Its status, malloc'd, if it is the container's. */
static int read_status(int pid, int pidfd, const char *container_id, char **ret_status, struct fault *why)
{
        AUTO(auto_free) char *status = read_proc(pid, "status");
        AUTO(auto_free) char *cgroups = read_proc(pid, "cgroup");

        if (status == NULL || cgroups == NULL || has_ended(pidfd))
                return refuse_ended(why);
        if (!cgroup_text_names(cgroups, container_id))
                return fault_set(why, FAULT_HARDENING_MISSING, EPERM,
                                 "process %d is not in a cgroup of the container, though the engine reported it", pid);
        *ret_status = TAKE(status);
        return 0;
}

int hardening_check(int pid, int pidfd, const char *container_id, uint32_t uid, uint32_t gid, struct fault *why)
{
        AUTO(auto_free) char *status = NULL;
        int r = read_status(pid, pidfd, container_id, &status, why);

        return r < 0 ? r : hardening_judge(status, uid, gid, why);
}

/* ---- limits that the kernel counts per user ---- */

/* A line is "Max pending signals       16384                16384                signals": the soft limit, then the
 * hard one. */
static uint64_t find_hard_limit(const char *limits, const char *title)
{
        size_t length = strlen(title);
        uint64_t soft, hard;

        for (const char *line = limits; line != NULL; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, title, length) == 0 && line[length] == ' ')
                        return sscanf(line + length, "%20" SCNu64 " %20" SCNu64, &soft, &hard) == 2 ? hard : UINT64_MAX;
        }
        return UINT64_MAX;
}

int hardening_judge_counts(const char *limits, struct fault *why)
{
        for (const struct profile_rlimit *limit = PROFILE.rlimits; limit->oci_type != NULL; limit++)
                if (limit->per_user_title != NULL && find_hard_limit(limits, limit->per_user_title) > limit->most)
                        return fault_set(why, FAULT_HARDENING_MISSING, EPERM,
                                         "the started container lacks a promise: its limit \"%s\" is above %" PRIu64
                                         "; it was removed",
                                         limit->per_user_title, limit->most);
        return 0;
}

int hardening_check_counts(int pid, int pidfd, struct fault *why)
{
        AUTO(auto_free) char *limits = read_proc(pid, "limits");

        if (limits == NULL || has_ended(pidfd))
                return refuse_ended(why);
        return hardening_judge_counts(limits, why);
}

int hardening_check_monitor(int pid, int pidfd, const char *container_id, struct fault *why)
{
        AUTO(auto_free) char *status = NULL;
        int r = read_status(pid, pidfd, container_id, &status, why);

        return r < 0 ? r : hardening_judge_monitor(status, why);
}

/* ---- mounts ---- */

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

static bool may_be_writable(const struct mount_line *line)
{
        for (const struct profile_mount *mount = PROFILE.mounts; mount->target != NULL; mount++) {
                if (mount->writing == PROFILE_USERS && is_at(line, mount->target))
                        return is_bare(line);
                if (mount->writing == PROFILE_KERNELS && (is_at(line, mount->target) || is_below(line, mount->target)))
                        return true;
        }
        return false;
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

int hardening_judge_mounts(const char *mountinfo, const char *hosts_devices, bool is_vacant, struct fault *why)
{
        bool has_root = false;
        bool has_workspace = false;
        struct mount_line line;

        for (const char *at = mountinfo; *at != '\0'; at = next_line(at)) {
                if (!read_line(at, &line))
                        return fault_set(why, FAULT_HARDENING_MISSING, EBADMSG,
                                         "the container's mounts cannot be read");
                if (!has_option(&line, "ro") && !may_be_writable(&line))
                        return fault_set(why, FAULT_HARDENING_MISSING, EPERM,
                                         "%.*s is writable inside, or lacks nosuid or nodev: take an image without a "
                                         "VOLUME there",
                                         (int)(line.target_length < 128 ? line.target_length : 128), line.target);
                if (is_at(&line, INSIDE_TERMINALS) && !has_bound(&line))
                        return fault_set(why, FAULT_HARDENING_MISSING, EPERM,
                                         INSIDE_TERMINALS
                                         " has no limit inside: one carrel could take all terminals of the host");
                if (hosts_devices != NULL && is_at(&line, INSIDE_CGROUPS) && !has_option(&line, "ro") &&
                    !is_covered(mountinfo, &line))
                        return fault_set(why, FAULT_HARDENING_MISSING, EPERM, INSIDE_CGROUPS " is writable inside");
                if (hosts_devices != NULL && is_device(&line, hosts_devices) && !is_covered(mountinfo, &line))
                        return fault_set(why, FAULT_HARDENING_MISSING, EPERM,
                                         "%.*s inside is a device node of the host",
                                         (int)(line.target_length < 128 ? line.target_length : 128), line.target);
                has_root |= is_at(&line, "/");
                has_workspace |= is_at(&line, INSIDE_WORKSPACE) && has_option(&line, "ro") == is_vacant;
        }
        if (!has_root || !has_workspace)
                return fault_set(why, FAULT_HARDENING_MISSING, EPERM, "the container lacks its %s",
                                 has_root ? INSIDE_WORKSPACE : "root mount");
        return 0;
}

int hardening_judge_cwd(const char *mountinfo, uint64_t mount_id, struct fault *why)
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

int hardening_check_mounts(int pid, int pidfd, bool has_own_devices, bool is_vacant, struct fault *why)
{
        char hosts_devices[32];
        AUTO(auto_free) char *mountinfo = read_proc(pid, "mountinfo");
        uint64_t cwd = 0;
        int r = mountinfo != NULL ? read_cwd(pid, &cwd) : 0;

        if (mountinfo == NULL || r == -ENOENT || r == -ESRCH || has_ended(pidfd))
                return refuse_ended(why);
        if (r < 0)
                return fault_set(why, FAULT_HARDENING_MISSING, -r,
                                 "cannot read the working directory of the container's process: %s",
                                 strerrordesc_np(-r));
        if (has_own_devices && (r = name_devices(hosts_devices)) < 0)
                return fault_set(why, FAULT_HARDENING_MISSING, -r, "cannot read the host's /dev/null: %s",
                                 strerrordesc_np(-r));
        r = hardening_judge_mounts(mountinfo, has_own_devices ? hosts_devices : NULL, is_vacant, why);
        return r == 0 ? hardening_judge_cwd(mountinfo, cwd, why) : r;
}
