/* Finds the network namespace of a container by the pid of one of its processes. */
#pragma once

#include "fault.h"

/* Opens /proc/<pid>/ns/net, after three checks: the process's cgroup path has container_id as a whole word
 * ("/docker/<id>", "docker-<id>.scope"), the namespace is not ours, and a pidfd opened first (pidfd_open(2)) shows that
 * the process still runs, so that the pid was not reused in between. -ESRCH (FAULT_CARREL_LOST) it has ended, or is of
 * another container; -EPERM (FAULT_INTERNAL) it is in the host's own network. */
__attribute__((warn_unused_result)) int target_open(int pid, const char *container_id, int *ret_netns_fd,
                                                    struct fault *why);
