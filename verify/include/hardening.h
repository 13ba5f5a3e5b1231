/* Reads the hardened profile (profile.h) back from the kernel: it is not enough that an engine says it has set it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

/* Judges /proc/<pid>/status (proc(5)) by the profile's rules: no capability in any set, NoNewPrivs 1, Seccomp 2
 * (filter). All four of Uid must be uid, all four of Gid gid, and Groups may have only gid. FAULT_HARDENING_MISSING
 * names the line that differs. Pure. */
int hardening_judge(const char *status, uint32_t uid, uint32_t gid, struct fault *why);

/* Judges /proc/<pid>/limits (proc(5)): the hard limits that the kernel counts per user are at most those of the
 * profile. Pure. */
int hardening_judge_counts(const char *limits, struct fault *why);

/* As hardening_judge, for the process that holds a container with a kernel of its own (gVisor's sentry): NoNewPrivs is
 * 1, Seccomp is 2. For the rest, carrel relies on that kernel. Pure. */
int hardening_judge_monitor(const char *status, struct fault *why);

/* hardening_judge for a live process, which must also be in a cgroup of container_id (a wrong engine might name any
 * pid). pidfd must be of pid: afterwards it shows whether the process still lives, so that the data were not those of a
 * later process. FAULT_CARREL_LOST when it is gone. */
int hardening_check(int pid, int pidfd, const char *container_id, uint32_t uid, uint32_t gid, struct fault *why);
/* hardening_judge_counts for a live process, as hardening_check. */
int hardening_check_counts(int pid, int pidfd, struct fault *why);
/* As hardening_check, with hardening_judge_monitor. */
int hardening_check_monitor(int pid, int pidfd, const char *container_id, struct fault *why);
