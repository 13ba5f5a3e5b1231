/* Reads the mounts of a container back from the kernel. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

/* A tmpfs that may have at most so many inodes. */
struct tmpfs_promise {
        const char *target;
        uint64_t inodes;
};

/* A mount of the operator's. The mounts below it have the same options. */
struct mount_promise {
        const char *target; /* absolute path inside */
        bool is_read_only;
        uint64_t device, inode; /* of its source (stat(2)); not judged by mounts_judge */
};

struct mounts_promise {
        bool is_vacant;                    /* the container has no user yet, and /workspace is read-only */
        bool has_lxcfs;                    /* its files must be there */
        const struct tmpfs_promise *tmpfs; /* not judged by mounts_judge; those that are no tmpfs mount are skipped */
        size_t n_tmpfs;
        const struct mount_promise *mounts;
        size_t n_mounts;
};

/* Judges /proc/<pid>/mountinfo (proc(5)). The root is read-only, /workspace exists, and /workspace, /tmp and all of the
 * operator's mounts are nosuid and nodev. /dev/pts, if it is there, has a limit (max=). /sys/fs/cgroup is read-only.
 * Otherwise only the kernel's own mounts (/proc, /dev and below) and the operator's may be writable: any other would be
 * a VOLUME of the image, unbounded space on the host's disk.
 *
 * A mount of lxcfs is read-only and at one of its places (profile.h), where no other mount is.
 *
 * hosts_devices: "MAJOR:MINOR" of the file system with the host's device nodes. No mount may show it, unless another
 * mount covers that one: a lock or watch on such an inode would reach the host and the other carrels. Pure. */
int mounts_judge(const char *mountinfo, const char *hosts_devices, const struct mounts_promise *promise,
                 struct fault *why);

/* Checks that the process's working directory is in one of its own mounts. A runtime that leaks a descriptor of the
 * host can be made to start it in a directory of the host, from which the whole host is open (CVE-2024-21626: runc
 * before 1.1.12). Pure. */
int mounts_judge_cwd(const char *mountinfo, uint64_t mount_id, struct fault *why);

/* Both for a live process, and what the promise says of inodes. pidfd must be of pid: it shows whether the process
 * still lives. FAULT_HARDENING_MISSING; FAULT_CARREL_LOST when the process is gone. */
int mounts_check(int pid, int pidfd, const struct mounts_promise *promise, struct fault *why);
