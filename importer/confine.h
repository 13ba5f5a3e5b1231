/* Giving everything up before hostile bytes are read. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "fault.h"

/* Of the confined process, in total. */
#define CONFINE_MEMORY_MAX_BYTES (UINT64_C(1) << 30)

/* For a process that has one directory to write below and no descriptor it does not need: a network namespace of its
 * own, its root in that directory, no capability, no new privileges, bounded files, memory and processor time, and the
 * system calls of reading and writing files alone: it makes no process and signals none. It ends with parent, its
 * parent's process id from before the fork. FAULT_INTERNAL when the kernel refuses one of them. */
__attribute__((warn_unused_result)) int confine(pid_t parent, int directory_fd, uint64_t file_max_bytes,
                                                struct fault *why);

/* Processor time alone, an hour: SIGXCPU ends what takes more. For the process that weighs the result. 0 or -errno. */
__attribute__((warn_unused_result)) int confine_cpu(void);
