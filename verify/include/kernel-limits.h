/* Whether a live container is bounded as its carrel was promised: the kernel's numbers, not the engine's word. Docker
 * only warns where the host has no memory controller, and anybody may `docker update` a container. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"
#include "fault.h"

/* What a carrel was promised. */
struct limits_promise {
        uint64_t memory_bytes;
        uint64_t pids;
};

/* FAULT_HARDENING_MISSING names the limit that is not there. Pure. */
int kernel_limits_judge(const struct cgroup_limits *limits, const struct limits_promise *promise, struct fault *why);

/* Of the container's process; first it bounds the memory of sockets where cgroup v1 counts them apart, which no engine
 * does, before anything but our init runs. FAULT_CARREL_LOST when it is not in that container any more. */
int kernel_limits_check(const struct cgroup_mounts *mounts, pid_t pid, const char *container_id,
                        const struct limits_promise *promise, struct fault *why);
