/* The privileges of carrel-netd. */
#pragma once

#include "fault.h"

/* Keeps CAP_NET_ADMIN and CAP_NET_RAW (x_tables, links), CAP_SYS_ADMIN (setns(2)) and CAP_SYS_PTRACE (opening
 * /proc/<pid>/ns of another uid), gives up all others for good, and sets no-new-privileges. Returns 0 or a negative
 * errno with why. */
__attribute__((warn_unused_result)) int privileges_drop(struct fault *why);
