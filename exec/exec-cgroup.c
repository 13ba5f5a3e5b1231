#include "exec-cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc-file.h"
#include "scope.h"
#include "str.h"

#define PREFIX "carrel-exec-"
/* A child group as a mark: the exec has finished, and what lives in its group may stay. */
#define RETIRED "retired"

enum { MEMBERS_MAX_BYTES = 1 << 20, PROC_CGROUP_BYTES = 16384, FREEZE_PASSES = 4 };

void exec_cgroups_open_at(struct exec_cgroups *ret_cgroups, enum freezer_kind kind, const char *path)
{
        *ret_cgroups = EXEC_CGROUPS_NONE;
        freezer_open_at(&ret_cgroups->freezer, kind, path);
}

void exec_cgroups_open(struct exec_cgroups *ret_cgroups, const struct cgroup_mounts *mounts, pid_t init,
                       const char *container_id)
{
        *ret_cgroups = EXEC_CGROUPS_NONE;
        freezer_open(&ret_cgroups->freezer, mounts, init, container_id);
}

void exec_cgroups_close(struct exec_cgroups *cgroups)
{
        exec_cgroups_drop_spares(cgroups);
        freezer_close(&cgroups->freezer);
        *cgroups = EXEC_CGROUPS_NONE;
}

/* ---- files ---- */

static int write_at(int directory, const char *name, const char *text)
{
        AUTO(auto_close) int fd = openat(directory, name, O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* ---- making ---- */

/* The file through which a thread can move itself without a grace period of the kernel, if there is such a file. -1:
 * see errno. */
static int open_join(enum freezer_kind kind, int directory)
{
        const char *file = "tasks";

        if (directory < 0)
                return -1;
        if (kind == FREEZER_V2)
                file = write_at(directory, "cgroup.type", "threaded") == 0 ? "cgroup.threads" : "cgroup.procs";
        return openat(directory, file, O_WRONLY | O_CLOEXEC);
}

static void discard(const struct exec_cgroups *cgroups, struct exec_cgroup *cgroup)
{
        (void)exec_cgroup_remove(cgroups, cgroup);
        exec_cgroup_close(cgroup); /* if it could not be removed */
}

static int make_group(const struct exec_cgroups *cgroups, struct exec_cgroup *ret_cgroup)
{
        struct exec_cgroup cgroup = EXEC_CGROUP_NONE_YET;
        uint64_t random = 0;
        int r = 0;

        if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
                return -EIO;
        (void)snprintf(cgroup.name, sizeof cgroup.name, PREFIX "%016" PRIx64, random);
        if (mkdirat(cgroups->freezer.directory, cgroup.name, 0755) != 0)
                return -errno;
        cgroup.directory =
                openat(cgroups->freezer.directory, cgroup.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        cgroup.join = open_join(cgroups->freezer.kind, cgroup.directory);
        if (cgroup.join < 0) {
                r = -errno;
                discard(cgroups, &cgroup);
                return r;
        }
        *ret_cgroup = cgroup;
        return 0;
}

int exec_cgroup_make(struct exec_cgroups *cgroups, struct exec_cgroup *ret_cgroup, int *ret_join_fd)
{
        struct exec_cgroup cgroup = EXEC_CGROUP_NONE_YET;
        int join, error = 0;

        if (cgroups->freezer.kind == FREEZER_NONE)
                return -EOPNOTSUPP;
        if (cgroups->n_spares > 0)
                cgroup = cgroups->spares[--cgroups->n_spares];
        else
                error = make_group(cgroups, &cgroup);
        if (error != 0)
                return error;
        join = fcntl(cgroup.join, F_DUPFD_CLOEXEC, 0);
        if (join < 0) {
                error = -errno;
                discard(cgroups, &cgroup);
                return error;
        }
        *ret_cgroup = cgroup;
        *ret_join_fd = join;
        return 0;
}

/* On cgroup v1 the path of a process becomes "/" as soon as it is ending, while it still looks alive. This happens line
 * by line, so only the freezer's line counts. v2 keeps the path (proc_cgroup_show in kernel/cgroup/cgroup.c). */
static bool is_ending(const char *text)
{
        const char *freezer = strstr(text, "freezer");
        const char *path = freezer != NULL ? strchr(freezer, ':') : NULL;

        return path != NULL && (strncmp(path, ":/\n", 3) == 0 || strcmp(path, ":/") == 0);
}

bool exec_cgroup_holds(const struct exec_cgroups *cgroups, const struct exec_cgroup *cgroup, pid_t pid)
{
        AUTO(auto_free) char *text = NULL;

        if (proc_pid_read(pid, "cgroup", PROC_CGROUP_BYTES, &text) != 0 || strstr(text, cgroup->name) != NULL)
                return true;
        return cgroups->freezer.kind == FREEZER_V1 && is_ending(text);
}

/* ---- members ---- */

/* The pidfd is opened before the membership is read. If the pid is reused in between, the pidfd is of the dead process
 * and the signal reaches no process (pidfd_open(2)). */
static bool signal_member(const struct exec_cgroup *cgroup, pid_t pid, int signal)
{
        AUTO(auto_close) int pidfd = -1;

        if (pid <= 1 || pid == getpid())
                return false;
        pidfd = pidfd_open(pid, 0);
        if (pidfd < 0 || !cgroup_holds_named(pid, cgroup->name))
                return false;
        if (pidfd_send_signal(pidfd, signal, NULL, 0) != 0)
                return false;
        if (signal != SIGKILL && signal != SIGSTOP && signal != SIGTSTP)
                (void)pidfd_send_signal(pidfd, SIGCONT, NULL, 0);
        return true;
}

/* A threaded group does not list its processes. They are among those of its domain, the container's group. */
static int read_candidates(const struct exec_cgroups *cgroups, const struct exec_cgroup *cgroup, char **ret_text)
{
        int r = proc_file_read_at(cgroup->directory, "cgroup.procs", MEMBERS_MAX_BYTES, ret_text);

        return r != -EOPNOTSUPP
                       ? r
                       : proc_file_read_at(cgroups->freezer.directory, "cgroup.procs", MEMBERS_MAX_BYTES, ret_text);
}

int exec_cgroup_signal(const struct exec_cgroups *cgroups, const struct exec_cgroup *cgroup, int signal)
{
        AUTO(auto_free) char *text = NULL;
        int sent = 0;
        int r = read_candidates(cgroups, cgroup, &text);

        if (r != 0)
                return r;
        for (const char *at = text; at != NULL && *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n')
                sent += signal_member(cgroup, (pid_t)strtol(at, NULL, 10), signal);
        return sent;
}

/* ---- killing ---- */

/* The next pass kills a process that froze late. A killed process dies when it is thawed. */
static void kill_by_freezer(const struct exec_cgroups *cgroups, struct exec_cgroup *cgroup)
{
        enum freezer_kind kind = cgroups->freezer.kind;

        if (freezer_set_at(kind, cgroup->directory, true) == 0)
                freezer_await_at(kind, cgroup->directory);
        for (int pass = 0; pass < FREEZE_PASSES; pass++)
                if (exec_cgroup_signal(cgroups, cgroup, SIGKILL) <= 0)
                        break;
        cgroup->is_left_frozen = freezer_set_at(kind, cgroup->directory, false) != 0;
}

void exec_cgroup_kill(const struct exec_cgroups *cgroups, struct exec_cgroup *cgroup)
{
        if (cgroup->directory < 0 || cgroups->freezer.kind == FREEZER_NONE)
                return;
        /* The kernel kills no threaded group, and no group at all before Linux 5.14. */
        if (cgroups->freezer.kind == FREEZER_V1 || write_at(cgroup->directory, "cgroup.kill", "1") != 0)
                kill_by_freezer(cgroups, cgroup);
}

void exec_cgroup_close(struct exec_cgroup *cgroup)
{
        if (cgroup->directory >= 0)
                close(cgroup->directory);
        if (cgroup->join >= 0)
                close(cgroup->join);
        *cgroup = EXEC_CGROUP_NONE_YET;
}

int exec_cgroup_remove(const struct exec_cgroups *cgroups, struct exec_cgroup *cgroup)
{
        if (cgroup->name[0] == '\0')
                return 0;
        if (unlinkat(cgroups->freezer.directory, cgroup->name, AT_REMOVEDIR) != 0 && errno != ENOENT && errno != ENODEV)
                return -EBUSY;
        exec_cgroup_close(cgroup);
        return 0;
}

bool exec_cgroup_retire(struct exec_cgroups *cgroups, struct exec_cgroup *cgroup)
{
        if (exec_cgroup_remove(cgroups, cgroup) == 0)
                return false;
        (void)mkdirat(cgroup->directory, RETIRED, 0755);
        exec_cgroup_close(cgroup);
        if (++cgroups->n_retired < EXEC_CGROUPS_RETIRED_MAX)
                return true;
        cgroups->n_retired = 0;
        return exec_cgroups_tidy(cgroups) > 0;
}

static bool has_members(int directory)
{
        AUTO(auto_free) char *text = NULL;
        int r = proc_file_read_at(directory, "cgroup.procs", MEMBERS_MAX_BYTES, &text);

        if (r == -EOPNOTSUPP)
                r = proc_file_read_at(directory, "cgroup.threads", MEMBERS_MAX_BYTES, &text);
        return r != 0 || text[0] != '\0';
}

bool exec_cgroup_spare(struct exec_cgroups *cgroups, struct exec_cgroup *cgroup)
{
        if (cgroup->name[0] == '\0' || cgroups->n_spares == EXEC_CGROUPS_SPARE_MAX || cgroup->is_left_frozen ||
            has_members(cgroup->directory))
                return false;
        cgroups->spares[cgroups->n_spares++] = *cgroup;
        *cgroup = EXEC_CGROUP_NONE_YET;
        return true;
}

void exec_cgroups_drop_spares(struct exec_cgroups *cgroups)
{
        while (cgroups->n_spares > 0)
                (void)exec_cgroup_retire(cgroups, &cgroups->spares[--cgroups->n_spares]);
}

/* ---- groups of an earlier carreld, and retired groups ---- */

static bool is_retired(int directory)
{
        struct stat status;

        return fstatat(directory, RETIRED, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

static void remove_retired(const struct exec_cgroups *cgroups, struct exec_cgroup *cgroup)
{
        if (!has_members(cgroup->directory))
                (void)unlinkat(cgroup->directory, RETIRED, AT_REMOVEDIR);
        (void)exec_cgroup_remove(cgroups, cgroup);
}

/* Returns whether the group is left: with is_killing a group of an unfinished exec, else a retired one. */
static bool clear_one(const struct exec_cgroups *cgroups, const char *name, bool is_killing)
{
        struct exec_cgroup cgroup = { .directory = openat(cgroups->freezer.directory, name,
                                                          O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW),
                                      .join = -1 };
        bool is_left = false;

        if (cgroup.directory < 0 || str_copy(cgroup.name, sizeof cgroup.name, name) != 0)
                return false;
        if (is_retired(cgroup.directory)) {
                remove_retired(cgroups, &cgroup);
                is_left = !is_killing && cgroup.directory >= 0;
        } else if (is_killing) {
                exec_cgroup_kill(cgroups, &cgroup);
                is_left = exec_cgroup_remove(cgroups, &cgroup) != 0;
        }
        if (cgroup.directory >= 0)
                close(cgroup.directory);
        return is_left;
}

static unsigned walk(const struct exec_cgroups *cgroups, bool is_killing)
{
        unsigned n_left = 0;
        const struct dirent *entry;
        int copy = cgroups->freezer.kind == FREEZER_NONE
                           ? -1
                           : openat(cgroups->freezer.directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = copy >= 0 ? fdopendir(copy) : NULL;

        if (directory == NULL) {
                if (copy >= 0)
                        close(copy);
                return 0;
        }
        while ((entry = readdir(directory)) != NULL)
                if (str_has_prefix(entry->d_name, PREFIX))
                        n_left += clear_one(cgroups, entry->d_name, is_killing);
        closedir(directory);
        return n_left;
}

unsigned exec_cgroups_clear(const struct exec_cgroups *cgroups)
{
        return walk(cgroups, true);
}

unsigned exec_cgroups_tidy(const struct exec_cgroups *cgroups)
{
        return walk(cgroups, false);
}
