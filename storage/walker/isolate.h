/* The process of a job gives up everything but its directories. Each of them becomes a mount of its own that is
 * attached nowhere (open_tree(2)): no "..", no link and no mistake leads out, mounts below it are not there, and one
 * that is only read is read-only. The root of the process is an empty directory, its user the owner of the files, and a
 * filter allows the system calls of a walk only (confine.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fault.h"

struct isolation {
        /* Replaced by descriptors of the mounts (open for reading), and closed. The root of a detached mount stays what
         * it is. target_fd -1: the job has no target. */
        int source_fd, target_fd;
        bool is_source_read_only;
        pid_t parent;      /* getppid() at the start of main: carreld, whose end was ours until then */
        uint32_t uid, gid; /* of the owner; never 0 */
        uint64_t capabilities;
};

/* 0, or a negative errno with why. Needs CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_SETUID and CAP_SETGID. */
__attribute__((warn_unused_result)) int isolate(struct isolation *isolation, struct fault *why);
