/* Gives up all rights before hostile bytes are read. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "fault.h"

/* Address space of the confined process. */
#define CONFINE_MEMORY_MAX_BYTES (UINT64_C(1) << 30)

/* Confines a process that has one directory to write to and only the descriptors it needs. It gets an empty network
 * namespace, its root in that directory, no capability, no new privileges, and bounds on files, memory and processor
 * time. Only the system calls that read and write files remain: it can make no process and signal none. It ends with
 * its parent; parent is the pid from before the fork. FAULT_INTERNAL when the kernel refuses a step. */
__attribute__((warn_unused_result)) int confine(pid_t parent, int directory_fd, uint64_t file_max_bytes,
                                                struct fault *why);

/* Bounds only processor time, to an hour: SIGXCPU ends the process then. For the process that measures the result. 0 or
 * -errno. */
__attribute__((warn_unused_result)) int confine_cpu(void);
