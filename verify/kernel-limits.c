#include "kernel-limits.h"

#include <errno.h>
#include <inttypes.h>

#include "profile.h"

int kernel_limits_judge(const struct cgroup_limits *limits, const struct limits_promise *promise, struct fault *why)
{
        const struct {
                const char *name;
                const char *controller;
                uint64_t promised;
                uint64_t found;
        } bounds[] = {
                { "memory", "memory", promise->memory_bytes, limits->memory_bytes },
                { "pids", "pids", promise->pids, limits->pids },
                { "socket memory", "memory", profile_socket_bytes(promise->memory_bytes), limits->socket_bytes },
        };

        for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
                if (bounds[i].found > bounds[i].promised)
                        return fault_set(why, FAULT_HARDENING_MISSING, EPERM,
                                         "the kernel does not enforce the container's %s limit of %" PRIu64
                                         ": enable the %s cgroup controller on this host",
                                         bounds[i].name, bounds[i].promised, bounds[i].controller);
        return 0;
}

int kernel_limits_check(const struct cgroup_mounts *mounts, pid_t pid, const char *container_id,
                        const struct limits_promise *promise, struct fault *why)
{
        struct cgroup_limits limits;
        struct cgroup cgroup;
        int r = cgroup_find(mounts, pid, container_id, &cgroup);

        if (r == -ESRCH)
                return fault_set(why, FAULT_CARREL_LOST, ESRCH, "the container ended right after its start");
        if (r < 0)
                return fault_set(why, FAULT_HARDENING_MISSING, -r,
                                 "the container's control groups cannot be found, so its limits cannot be verified");
        cgroup_bound_sockets(&cgroup, profile_socket_bytes(promise->memory_bytes));
        cgroup_read_limits(&cgroup, &limits);
        return kernel_limits_judge(&limits, promise, why);
}
