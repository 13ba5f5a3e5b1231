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
