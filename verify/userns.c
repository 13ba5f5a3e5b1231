#include "userns.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "proc-file.h"
#include "profile.h"
#include "scope.h"

enum { MAP_MAX = 4096, PROC_PATH_BYTES = 64 };

static int refuse(struct fault *why, const char *what)
{
        return fault_set(why, FAULT_HARDENING_MISSING, EPERM, "the started container lacks a promise: %s", what);
}

int userns_judge_map(const char *map, uint32_t *ret_base, struct fault *why)
{
        uint64_t inside, base, count;
        int end = 0;

        if (sscanf(map, " %10" SCNu64 " %10" SCNu64 " %10" SCNu64 " %n", &inside, &base, &count, &end) != 3 ||
            map[end] != '\0' || inside != 0 || count != PROFILE_USERNS_IDS)
                return refuse(why, "its user namespace does not map exactly one range of ids");
        if (base < PROFILE_USERNS_IDS || base + count > UINT32_MAX)
                return refuse(why, "its user namespace maps ids that belong to the host");
        *ret_base = (uint32_t)base;
        return 0;
}

static int check_namespace(int pid, struct fault *why)
{
        char path[PROC_PATH_BYTES];
        struct stat ours;
        struct stat theirs;

        (void)snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
        if (stat("/proc/self/ns/user", &ours) < 0 || stat(path, &theirs) < 0)
                return fault_set(why, FAULT_CARREL_LOST, ESRCH, "the container ended right after its start");
        if (ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
                return refuse(why, "it has no user namespace of its own");
        return 0;
}

static int read_map(int pid, const char *name, uint32_t *ret_base, struct fault *why)
{
        AUTO(auto_free) char *map = NULL;

        if (proc_pid_read(pid, name, MAP_MAX, &map) < 0)
                return fault_set(why, FAULT_CARREL_LOST, ESRCH, "the container ended right after its start");
        return userns_judge_map(map, ret_base, why);
}

int userns_judge_maker(uint32_t maker, uint32_t base, struct fault *why)
{
        if (maker < base || maker - base >= PROFILE_USERNS_IDS)
                return refuse(why, "its user namespace was made by an id outside its range, with which it shares "
                                   "the limits that the kernel counts per user");
        return 0;
}

static int check_maker(int pid, uint32_t base, struct fault *why)
{
        AUTO(auto_close) int namespace = -1;
        char path[PROC_PATH_BYTES];
        uid_t maker = 0;

        (void)snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
        namespace = open(path, O_RDONLY | O_CLOEXEC);
        if (namespace < 0 || ioctl(namespace, NS_GET_OWNER_UID, &maker) < 0)
                return fault_set(why, FAULT_CARREL_LOST, ESRCH, "the container ended right after its start");
        return userns_judge_maker(maker, base, why);
}

int userns_check(int pid, uint32_t *ret_base, struct fault *why)
{
        uint32_t users = 0;
        uint32_t groups = 0;
        int r = check_namespace(pid, why);

        if (r == 0)
                r = read_map(pid, "uid_map", &users, why);
        if (r == 0)
                r = read_map(pid, "gid_map", &groups, why);
        if (r == 0 && users != groups)
                r = refuse(why, "its users and its groups are in different ranges");
        if (r == 0)
                r = check_maker(pid, users, why);
        if (r == 0)
                *ret_base = users;
        return r;
}
