/* Giving everything up before hostile bytes are read. */
#pragma once

#include <stdint.h>

#include "fault.h"

/* For a process that has one directory to write below and no descriptor it does not need: a network namespace of its
 * own, its root in that directory, no capability, no new privileges, bounded files, and a filter that leaves the
 * system calls of reading and writing. It ends with its parent. FAULT_INTERNAL when the kernel refuses one of them. */
__attribute__((warn_unused_result)) int confine(int directory_fd, uint64_t file_max_bytes, struct fault *why);
