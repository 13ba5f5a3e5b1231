/* The promises of the template, read back from the kernel: an engine's word that it set them is not enough. */
#pragma once

#include <stdint.h>

#include "fault.h"

/* /proc/<pid>/status (proc(5)): CapInh, CapPrm, CapEff, CapBnd and CapAmb are 0, NoNewPrivs is 1, Seccomp is 2
 * (filter), all four of Uid are uid and of Gid gid. FAULT_HARDENING_MISSING says which is not. Pure. */
int hardening_judge(const char *status, uint32_t uid, uint32_t gid, struct fault *why);

/* The same of a live process, which must also be in a cgroup of container_id (a lying or confused engine might name any
 * pid). pidfd must be of pid: it is asked afterwards whether the process still lives, so that what was read is its own
 * and not a successor's. FAULT_CARREL_LOST when it is gone. */
int hardening_check(int pid, int pidfd, const char *container_id, uint32_t uid, uint32_t gid, struct fault *why);
