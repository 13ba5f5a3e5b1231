/* The cgroups of a container on a host with cgroup v1. carreld makes them, and the runtime enters them as it starts.
 *
 * crun would make the same groups and then move its child into each of them. To move another process the kernel waits
 * for a grace period (9 ms of a start, measured on Linux 6.18). A thread that writes "0" into the old file `tasks`
 * moves only itself and does not wait (kernel/cgroup/cgroup.c, cgroup_procs_write_start). cgroup v2 has no such file,
 * and there the runtime sets the device rules by BPF: it keeps its own manager. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci-engine.h"
#include "scope.h"
#include "str.h"

enum { PATH_BYTES = 1024, VALUE_BYTES = 256 };

/* ---- limits ---- */

enum limit { LIMIT_DEVICES, LIMIT_MEMORY, LIMIT_PERIOD, LIMIT_PIDS, LIMIT_QUOTA };

/* In the order of writing: memory before memory with swap. The profile's devices are allowed after all are denied. */
static const struct setting {
        const char *file;
        enum limit limit;
        bool is_optional; /* not every kernel has it */
} SETTINGS[] = {
        { "memory.limit_in_bytes", LIMIT_MEMORY, false },
        { "memory.memsw.limit_in_bytes", LIMIT_MEMORY, true }, /* not with swapaccount=0 */
        { "cpu.cfs_period_us", LIMIT_PERIOD, false },
        { "cpu.cfs_quota_us", LIMIT_QUOTA, false },
        { "pids.max", LIMIT_PIDS, false },
        { "devices.deny", LIMIT_DEVICES, false },
};
enum { N_SETTINGS = sizeof SETTINGS / sizeof *SETTINGS };

static void print_value(const struct setting *setting, const struct container_spec *spec, char *ret_text, size_t size)
{
        switch (setting->limit) {
        case LIMIT_MEMORY:
                (void)snprintf(ret_text, size, "%" PRIu64, spec->memory_bytes);
                return;
        case LIMIT_PERIOD:
                (void)snprintf(ret_text, size, "%d", OCI_CPU_PERIOD_US);
                return;
        case LIMIT_QUOTA:
                (void)snprintf(ret_text, size, "%" PRIu64, spec->cpu_millis * OCI_CPU_PERIOD_US / 1000);
                return;
        case LIMIT_PIDS:
                (void)snprintf(ret_text, size, "%" PRIu32, spec->pids);
                return;
        case LIMIT_DEVICES:
                (void)snprintf(ret_text, size, "a");
                return;
        }
}

/* ---- files of a group ---- */

static int open_file(const char *group, const char *file)
{
        char path[PATH_BYTES + 64];
        int fd;

        (void)snprintf(path, sizeof path, "%s/%s", group, file);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int write_file(const char *group, const char *file, const char *value)
{
        AUTO(auto_close) int fd = open_file(group, file);

        if (fd < 0)
                return fd;
        return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

/* ---- making ---- */

struct making {
        const struct container_spec *spec;
        size_t cgroup_length;
        bool is_set[N_SETTINGS];
        int err;           /* negative; 0: none so far */
        const char *where; /* the file it came from */
};

/* A new cpuset group has no CPU and no memory node, and no process can enter it. */
static int inherit_cpuset(const char *group, const char *parent)
{
        static const char *const FILES[] = { "cpuset.cpus", "cpuset.mems" };
        char value[VALUE_BYTES];
        int r = 0;

        for (size_t i = 0; r == 0 && i < sizeof FILES / sizeof *FILES; i++) {
                if (oci_cgroup_read(group, FILES[i], value, sizeof value) > 1) /* more than a newline */
                        return 0;
                if (oci_cgroup_read(parent, FILES[i], value, sizeof value) > 1)
                        r = write_file(group, FILES[i], value);
        }
        return r;
}

/* Makes each directory of the path below the hierarchy's root. All but the last are shared with other containers. */
static int make_group(const char *path, size_t root_length)
{
        char group[PATH_BYTES];
        char parent[PATH_BYTES];
        int r = 0;

        for (const char *end = path + root_length; r == 0 && *end == '/';) {
                size_t length = (size_t)(end - path);

                (void)snprintf(parent, sizeof parent, "%.*s", (int)length, path);
                end = strchrnul(end + 1, '/');
                (void)snprintf(group, sizeof group, "%.*s", (int)(end - path), path);
                r = mkdir(group, 0755) < 0 && errno != EEXIST ? -errno : inherit_cpuset(group, parent);
        }
        return r;
}

/* Files of one controller: "cpu.cfs_period_us", "cpu.cfs_quota_us". */
static bool is_of_one(const char *file, const char *other)
{
        size_t length = strcspn(file, ".");

        return strncmp(file, other, length + 1) == 0;
}

static int allow_devices(const char *group)
{
        char rule[VALUE_BYTES];
        char minor[16];
        int r = 0;

        for (const struct profile_device *device = PROFILE.devices; r == 0 && device->path != NULL; device++) {
                (void)snprintf(minor, sizeof minor, "%d", device->minor);
                (void)snprintf(rule, sizeof rule, "c %u:%s rwm", device->major, device->minor < 0 ? "*" : minor);
                r = write_file(group, "devices.allow", rule);
        }
        return r;
}

static int set_limits(struct making *making, const char *group)
{
        const char *absent = "";
        char value[VALUE_BYTES];

        for (size_t i = 0; i < N_SETTINGS; i++) {
                int r;

                if (is_of_one(SETTINGS[i].file, absent))
                        continue;
                print_value(&SETTINGS[i], making->spec, value, sizeof value);
                r = write_file(group, SETTINGS[i].file, value);
                if (r == -ENOENT) { /* the file is in another hierarchy */
                        absent = SETTINGS[i].file;
                        continue;
                }
                making->where = SETTINGS[i].file;
                if (r == 0 && SETTINGS[i].limit == LIMIT_DEVICES)
                        r = allow_devices(group);
                if (r < 0)
                        return r;
                making->is_set[i] = true;
        }
        return 0;
}

static bool make_one(void *arg, const char *path)
{
        struct making *making = arg;

        making->where = path;
        making->err = make_group(path, strlen(path) - making->cgroup_length);
        if (making->err == 0)
                making->err = set_limits(making, path);
        return making->err == 0;
}

static int judge(const struct making *making, struct fault *why)
{
        for (size_t i = 0; i < N_SETTINGS; i++)
                if (!making->is_set[i] && !SETTINGS[i].is_optional)
                        return fault_set(
                                why, FAULT_HARDENING_MISSING, ENOENT,
                                "no limit can be set: this host has no %s in its cgroups (mount /sys/fs/cgroup "
                                "with that controller)",
                                SETTINGS[i].file);
        return 0;
}

int oci_cgroup_make(const char *cgroup, const struct container_spec *spec, struct fault *why)
{
        struct making making = { .spec = spec, .cgroup_length = strlen(cgroup), .where = "/proc/self/mounts" };
        int r = oci_cgroup_each(cgroup, "cgroup", make_one, &making);

        if (r == 0)
                r = making.err;
        if (r == 0)
                return judge(&making, why);
        return fault_set(why,
                         r == -ENOSPC || r == -ENOMEM || r == -EAGAIN ? FAULT_RESOURCE_EXHAUSTED : FAULT_ENGINE_REFUSED,
                         -r, "cannot make the container's cgroup: %s: %s", making.where, strerrordesc_np(-r));
}

/* ---- entering ---- */

struct opening {
        struct cgroup_fds *fds;
        size_t cgroup_length;
};

/* The root of a hierarchy cannot be frozen. */
static int open_freezer(struct child_freezer *freezer, const char *path, size_t cgroup_length)
{
        char name[PATH_BYTES + 64];

        (void)snprintf(name, sizeof name, "%s/freezer.state", path);
        freezer->state_fd = open(name, O_RDONLY | O_CLOEXEC);
        if (freezer->state_fd < 0)
                return errno == ENOENT ? 0 : -errno;
        (void)snprintf(name, sizeof name, "%.*s/tasks", (int)(strlen(path) - cgroup_length), path);
        freezer->release_fd = open(name, O_WRONLY | O_CLOEXEC);
        return freezer->release_fd < 0 ? -errno : 0;
}

static bool open_one(void *arg, const char *path)
{
        const struct opening *opening = arg;
        struct cgroup_fds *fds = opening->fds;
        int fd = fds->n < OCI_HIERARCHIES_MAX ? open_file(path, "tasks") : -E2BIG;

        fds->err = fd < 0 ? fd : 0;
        if (fd < 0)
                return false;
        fds->fds[fds->n++] = fd;
        if (fds->freezer.state_fd < 0)
                fds->err = open_freezer(&fds->freezer, path, opening->cgroup_length);
        return fds->err == 0;
}

int oci_cgroup_open(const char *cgroup, struct cgroup_fds *ret_fds)
{
        struct opening opening = { ret_fds, strlen(cgroup) };
        int r;

        *ret_fds = (struct cgroup_fds)CGROUP_FDS_NONE;
        r = oci_cgroup_each(cgroup, "cgroup", open_one, &opening);
        return r < 0 ? r : ret_fds->err;
}

void oci_cgroup_close(struct cgroup_fds *fds)
{
        while (fds->n > 0)
                close(fds->fds[--fds->n]);
        if (fds->freezer.state_fd >= 0)
                close(TAKE_FD(fds->freezer.state_fd));
        if (fds->freezer.release_fd >= 0)
                close(TAKE_FD(fds->freezer.release_fd));
}

/* ---- pausing ---- */

struct pausing {
        const char *state;
        int err;
};

static bool freeze_one(void *arg, const char *path)
{
        struct pausing *pausing = arg;
        int r = write_file(path, "freezer.state", pausing->state);

        if (r != -ENOENT)
                pausing->err = r;
        return r == -ENOENT;
}

int oci_cgroup_pause(const char *cgroup, bool is_paused)
{
        struct pausing pausing = { is_paused ? "FROZEN" : "THAWED", -ENOENT };
        int r = oci_cgroup_each(cgroup, "cgroup", freeze_one, &pausing);

        return r < 0 ? r : pausing.err;
}

/* ---- whether this host is such a one ---- */

static bool is_memory(void *arg, const char *path)
{
        char value[VALUE_BYTES];
        bool *ret_is_found = arg;

        *ret_is_found = oci_cgroup_read(path, "memory.limit_in_bytes", value, sizeof value) > 0;
        return !*ret_is_found;
}

bool oci_cgroup_is_v1(void)
{
        bool is_found = false;

        return oci_cgroup_each("", "cgroup", is_memory, &is_found) == 0 && is_found;
}
