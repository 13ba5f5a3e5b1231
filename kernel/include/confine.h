/* Gives up all rights before a process reads hostile bytes or walks a hostile tree. In a library of its own (`confine`
 * in kernel/meson.build), because it needs libseccomp. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fault.h"

/* Address space of the confined process. */
#define CONFINE_MEMORY_MAX_BYTES (UINT64_C(1) << 30)
/* No bound of the size of files. */
#define CONFINE_FILE_UNBOUNDED UINT64_MAX

/* A system call that is allowed beside those that read and write files, if an argument has a value: seccomp(2). */
struct confine_call {
        int number;
        unsigned argument; /* 0 to 5 */
        uint64_t mask;     /* 0: whatever its arguments are */
        uint64_t value;    /* of the bits in mask */
};

struct confinement {
        const char *program; /* for messages */
        pid_t parent;        /* the process ends with it; its pid from before the fork, or at the start of main */
        int root_fd;         /* becomes its root and its working directory */
        uint64_t file_max_bytes;
        /* It becomes this user with this group only. 0: it stays as it is. */
        uint32_t uid, gid;
        uint64_t capabilities; /* that it keeps, see capabilities.h */
        const struct confine_call *calls;
        size_t n_calls;
};

/* Confines a process that has only the descriptors it needs. A standard stream that is a device (/dev/null) becomes the
 * root directory, on which reads and writes fail. The process gets an empty network namespace, no new privileges, and
 * bounds on files, memory and processor time. Only the system calls that read and write files remain, and those of the
 * plan: it can make no process and signal none. FAULT_INTERNAL when the kernel refuses a step. */
__attribute__((warn_unused_result)) int confine(const struct confinement *plan, struct fault *why);

/* Bounds only processor time, to an hour: SIGXCPU ends the process then. For the process that measures the result. 0 or
 * -errno. */
__attribute__((warn_unused_result)) int confine_cpu(void);
