/* The promises of the template, read back from the kernel: an engine's word that it set them is not enough. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

/* /proc/<pid>/status (proc(5)): CapInh, CapPrm, CapEff, CapBnd and CapAmb are 0, NoNewPrivs is 1, Seccomp is 2
 * (filter), all four of Uid are uid and of Gid gid, and Groups has none beside gid. FAULT_HARDENING_MISSING says which
 * is not. Pure. */
int hardening_judge(const char *status, uint32_t uid, uint32_t gid, struct fault *why);

/* /proc/<pid>/limits (proc(5)): the hard limits of what the kernel counts per user are no higher than the engine's
 * ENGINE_SIGNALS_MAX and ENGINE_QUEUE_BYTES_MAX. Pure. */
int hardening_judge_counts(const char *limits, struct fault *why);

/* /proc/<pid>/mountinfo (proc(5)): the root is read-only, /workspace is there, and it and /tmp are nosuid and nodev;
 * /dev/pts, if it is there, has a bound (max=).
 * Beside these two only the kernel's own (/proc, /dev, and what is below) may be writable: anything else is a VOLUME
 * that the image brings, and would be a place on the host's disk that nobody bounds.
 * hosts_devices: "MAJOR:MINOR" of the file system that holds the host's device nodes; nothing of it may be mounted,
 * unless something else covers it: whoever locks or watches such an inode meets the host and the other carrels. NULL:
 * that is not asked, nor whether /sys/fs/cgroup is read-only (both came with TEMPLATE_2). Pure. */
int hardening_judge_mounts(const char *mountinfo, const char *hosts_devices, struct fault *why);

/* The mount that the process stands in is one of its own. A runtime that leaks a descriptor of the host's can be made
 * to start it in a directory of the host, from where all is open (CVE-2024-21626: runc before 1.1.12). Pure. */
int hardening_judge_cwd(const char *mountinfo, uint64_t mount_id, struct fault *why);

/* Both of a live process, as hardening_check. */
int hardening_check_mounts(int pid, int pidfd, bool has_own_devices, struct fault *why);

/* The same of a process that holds a container with a kernel of its own (gVisor's sentry): NoNewPrivs is 1, Seccomp
 * is 2. What else its programs may or may not do is that kernel's word. Pure. */
int hardening_judge_monitor(const char *status, struct fault *why);

/* The first judgement of a live process, which must also be in a cgroup of container_id (a lying or confused engine
 * might name any pid). pidfd must be of pid: it is asked afterwards whether the process still lives, so that what was
 * read is its own and not a successor's. FAULT_CARREL_LOST when it is gone. */
int hardening_check(int pid, int pidfd, const char *container_id, uint32_t uid, uint32_t gid, struct fault *why);
/* Of a live process, as hardening_check. */
int hardening_check_counts(int pid, int pidfd, struct fault *why);
/* The same as hardening_check by hardening_judge_monitor. */
int hardening_check_monitor(int pid, int pidfd, const char *container_id, struct fault *why);
