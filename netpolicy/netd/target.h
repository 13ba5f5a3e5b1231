/* From a pid to the network namespace of the container it is said to be in. */
#pragma once

#include "fault.h"

/* Opens /proc/<pid>/ns/net, after making sure that the process's cgroup path has container_id as a whole word
 * ("/docker/<id>", "docker-<id>.scope"), that the namespace is not ours, and, by a pidfd held from before, that all
 * of it was one and the same living process (pidfd_open(2)): a reused pid is refused.
 * -ESRCH (FAULT_CARREL_LOST) gone or another's; -EPERM (FAULT_INTERNAL) in the host's own network. */
__attribute__((warn_unused_result)) int target_open(int pid, const char *container_id, int *ret_netns_fd,
                                                    struct fault *why);
