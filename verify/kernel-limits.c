#include "kernel-limits.h"

#include <errno.h>
#include <inttypes.h>

enum { SOCKET_SHARE = 8, SOCKET_BYTES_LEAST = 8 << 20 };

/* An eighth of the memory: what a carrel may take of the host beyond it, where sockets are counted apart. The least is
 * what a few fast connections need (tcp_rmem and tcp_wmem go to 6 and 4 MiB). */
static uint64_t socket_bytes(const struct limits_promise *promise)
{
        uint64_t share = promise->memory_bytes / SOCKET_SHARE;

        return share > SOCKET_BYTES_LEAST ? share : SOCKET_BYTES_LEAST;
}

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
                { "socket memory", "memory", socket_bytes(promise), limits->socket_bytes },
        };

        for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
                if (bounds[i].found > bounds[i].promised)
                        return fault_set(why, FAULT_HARDENING_MISSING, EPERM,
                                         "the kernel does not hold the container to its %s limit of %" PRIu64
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
                return fault_set(why, FAULT_CARREL_LOST, ESRCH, "the container ended as soon as it was started");
        if (r < 0)
                return fault_set(why, FAULT_HARDENING_MISSING, -r,
                                 "the container's control groups cannot be found, so its limits cannot be verified");
        cgroup_bound_sockets(&cgroup, socket_bytes(promise));
        cgroup_read_limits(&cgroup, &limits);
        return kernel_limits_judge(&limits, promise, why);
}
