/* Whether a live container has the limits that its carrel was promised, by the kernel's numbers. Docker only warns if
 * the host has no memory controller, and an admin may `docker update` a container. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"
#include "fault.h"

/* The promised limits. */
struct limits_promise {
        uint64_t memory_bytes;
        uint64_t pids;
};

/* FAULT_HARDENING_MISSING names the missing limit. Pure. */
int kernel_limits_judge(const struct cgroup_limits *limits, const struct limits_promise *promise, struct fault *why);

/* For the container's process. On cgroup v1, which counts the memory of sockets apart, it first sets a limit for that,
 * as no engine does. At that time only carrel-init runs inside. FAULT_CARREL_LOST when the process is not in that
 * container any more. */
int kernel_limits_check(const struct cgroup_mounts *mounts, pid_t pid, const char *container_id,
                        const struct limits_promise *promise, struct fault *why);
