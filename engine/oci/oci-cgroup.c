/* The cgroups of containers, in every hierarchy of the host: v1, v2, or both at once (cgroups(7)). A runtime makes and
 * removes them; this clears what a killed runtime has left. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oci-engine.h"
#include "scope.h"
#include "str.h"

enum { DEPTH_MAX = 3, PATH_BYTES = 1024, COUNTER_BYTES = 4096, CGROUP_TEXT_BYTES = 16384, MEMBERS_MAX = 512 };

int oci_cgroup_each(const char *cgroup, const char *type, oci_cgroup_visit visit, void *arg)
{
        FILE *mounts = setmntent("/proc/self/mounts", "re");
        char text[PATH_BYTES];
        char path[PATH_BYTES];
        struct mntent entry;
        bool goes_on = true;

        if (mounts == NULL)
                return errno > 0 ? -errno : -ENOMEM;
        while (goes_on && getmntent_r(mounts, &entry, text, sizeof text) != NULL) {
                bool is_wanted =
                        type != NULL ? strcmp(entry.mnt_type, type) == 0
                                     : strcmp(entry.mnt_type, "cgroup") == 0 || strcmp(entry.mnt_type, "cgroup2") == 0;

                if (!is_wanted)
                        continue;
                if (snprintf(path, sizeof path, "%s%s", entry.mnt_dir, cgroup) < (int)sizeof path)
                        goes_on = visit(arg, path);
        }
        endmntent(mounts);
        return 0;
}

/* If the file does not exist or refuses, the processes stay and the caller finds them. */
static void write_file(const char *path, const char *name, const char *text)
{
        AUTO(auto_close) int fd = -1;
        char file[PATH_BYTES + 16];

        (void)snprintf(file, sizeof file, "%s/%s", path, name);
        fd = open(file, O_WRONLY | O_CLOEXEC);
        if (fd >= 0 && write(fd, text, strlen(text)) < 0)
                return;
}

static int compare_pids(const void *one, const void *other)
{
        const pid_t a = *(const pid_t *)one;
        const pid_t b = *(const pid_t *)other;

        return (a > b) - (a < b);
}

/* Sorted. A pid of 0 is a process outside our pid namespace. */
static size_t read_members(const char *path, pid_t ret_pids[static MEMBERS_MAX])
{
        char file[PATH_BYTES + 16];
        FILE *members;
        size_t n = 0;
        int pid;

        (void)snprintf(file, sizeof file, "%s/cgroup.procs", path);
        members = fopen(file, "re");
        while (members != NULL && n < MEMBERS_MAX && fscanf(members, "%d", &pid) == 1)
                if (pid > 1)
                        ret_pids[n++] = pid;
        if (members != NULL)
                (void)fclose(members);
        qsort(ret_pids, n, sizeof *ret_pids, compare_pids);
        return n;
}

/* A pid may belong to another process since it was read. A pid that is a member after its pidfd was opened is the
 * pidfd's process. Otherwise that process is dead, and the signal has no effect (pidfd_open(2)). */
static void kill_members(const char *path)
{
        pid_t pids[MEMBERS_MAX];
        pid_t still[MEMBERS_MAX];
        int pidfds[MEMBERS_MAX];
        size_t n = read_members(path, pids);
        size_t n_still;

        for (size_t i = 0; i < n; i++)
                pidfds[i] = (int)syscall(SYS_pidfd_open, pids[i], 0);
        n_still = n > 0 ? read_members(path, still) : 0;
        for (size_t i = 0; i < n; i++) {
                if (pidfds[i] < 0)
                        continue;
                if (bsearch(&pids[i], still, n_still, sizeof *still, compare_pids) != NULL)
                        (void)syscall(SYS_pidfd_send_signal, pidfds[i], SIGKILL, NULL, 0);
                close(pidfds[i]);
        }
}

/* The group is never used again. No process is added from outside, so each pass leaves fewer. A frozen process dies
 * when it is thawed (v1: freezer.state; v2: cgroup.freeze, where SIGKILL works anyway). */
static void kill_all(const char *path)
{
        write_file(path, "pids.max", "0");
        write_file(path, "cgroup.kill", "1"); /* v2, Linux 5.14 */
        kill_members(path);
        write_file(path, "freezer.state", "THAWED");
}

/* 0, or the errno of the last rmdir(2). The cgroups of execs are children (exec/exec-cgroup.h). Those may have
 * children, which have none. */
static int clear_tree(const char *path, unsigned depth)
{
        DIR *children = NULL;

        if (rmdir(path) == 0 || errno == ENOENT)
                return 0;
        kill_all(path);
        if (depth > 0)
                children = opendir(path);
        for (struct dirent *entry = children != NULL ? readdir(children) : NULL; entry != NULL;
             entry = readdir(children)) {
                char child[PATH_BYTES];

                if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
                    snprintf(child, sizeof child, "%s/%s", path, entry->d_name) < (int)sizeof child)
                        (void)clear_tree(child, depth - 1);
        }
        if (children != NULL)
                (void)closedir(children);
        return rmdir(path) == 0 || errno == ENOENT ? 0 : errno;
}

static bool clear_one(void *arg, const char *path)
{
        int *ret_err = arg;
        int r = clear_tree(path, DEPTH_MAX);

        if (r != 0)
                *ret_err = r == EBUSY || r == ENOTEMPTY ? -EAGAIN : -r;
        return true;
}

int oci_cgroup_clear(const char *cgroup)
{
        int r = 0;

        if (oci_cgroup_each(cgroup, NULL, clear_one, &r) < 0)
                return -EAGAIN; /* a group that cannot be looked up may still exist */
        return r;
}

static bool exists_one(void *arg, const char *path)
{
        struct stat status;
        bool *ret_exists = arg;

        *ret_exists = stat(path, &status) == 0;
        return !*ret_exists;
}

bool oci_cgroup_exists(const char *cgroup)
{
        bool exists = false;

        return oci_cgroup_each(cgroup, NULL, exists_one, &exists) < 0 || exists;
}

struct freeze_search {
        size_t cgroup_length;
        char *ret_path;
        size_t size;
};

/* Each group on the path, the outermost first: v1's file, then v2's. */
static bool find_frozen_one(void *arg, const char *path)
{
        static const char *const FILES[] = { "freezer.self_freezing", "cgroup.freeze" };
        struct freeze_search *search = arg;
        char group[PATH_BYTES];
        char value[8];

        for (const char *end = path + strlen(path) - search->cgroup_length; *end == '/';) {
                end = strchrnul(end + 1, '/');
                (void)snprintf(group, sizeof group, "%.*s", (int)(end - path), path);
                for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
                        if (oci_cgroup_read(group, FILES[i], value, sizeof value) == 0 || value[0] != '1')
                                continue;
                        (void)snprintf(search->ret_path, search->size, "%s", group);
                        return false;
                }
        }
        return true;
}

void oci_cgroup_find_frozen(const char *cgroup, char *ret_path, size_t size)
{
        struct freeze_search search = { strlen(cgroup), ret_path, size };

        ret_path[0] = '\0';
        (void)oci_cgroup_each(cgroup, NULL, find_frozen_one, &search);
}

size_t oci_cgroup_read(const char *directory, const char *name, char *ret_text, size_t size)
{
        char file[PATH_BYTES + 32];
        ssize_t n = -1;
        int fd;

        (void)snprintf(file, sizeof file, "%s/%s", directory, name);
        fd = open(file, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
                n = read(fd, ret_text, size - 1);
                close(fd);
        }
        ret_text[n > 0 ? n : 0] = '\0';
        return n > 0 ? (size_t)n : 0;
}

/* "oom_kill N": in v1's memory.oom_control and in v2's memory.events. */
static bool count_one(void *arg, const char *path)
{
        static const char *const FILES[] = { "memory.events", "memory.oom_control" };
        uint64_t *ret_count = arg;
        char text[COUNTER_BYTES];

        for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
                const char *line;

                if (oci_cgroup_read(path, FILES[i], text, sizeof text) == 0 ||
                    (line = strstr(text, "oom_kill ")) == NULL)
                        continue;
                *ret_count = strtoull(line + strlen("oom_kill "), NULL, 10);
                return false;
        }
        return true;
}

uint64_t oci_cgroup_oom_kills(const char *cgroup)
{
        uint64_t count = 0;

        (void)oci_cgroup_each(cgroup, NULL, count_one, &count);
        return count;
}

/* An id is 256 random bits, so a process in a cgroup of that name is in the container. */
bool oci_cgroup_holds(int pid, const char *id)
{
        char directory[32];
        char text[CGROUP_TEXT_BYTES];

        (void)snprintf(directory, sizeof directory, "/proc/%d", pid);
        return oci_cgroup_read(directory, "cgroup", text, sizeof text) > 0 && strstr(text, id) != NULL;
}
