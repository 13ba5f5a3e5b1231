/* Whether a live container is a world of its own, and its user's: what its labels cannot tell. A container under our
 * labels that somebody else made or changed must not be taken over with the host's network or another user's files. */
#pragma once

#include <stdbool.h>

#include "fault.h"

/* /proc/<pid>/net/route and if_inet6 (proc(5)): the interfaces that lead somewhere. None but lo, and where
 * may_have_eth0 eth0: that is ours, or netpolicy_plug refuses it. NULL stands for an empty file. Pure. */
int isolation_judge_network(const char *routes, const char *addresses6, bool may_have_eth0, struct fault *why);

/* Of a live process: its mount, network, pid, IPC and UTS namespaces are not carreld's own, its network is as above,
 * and its /workspace is the directory of `user` below users_fd: the same inode, whatever the engine was told.
 * pidfd must be of pid: it is asked afterwards whether the process still lives. FAULT_HARDENING_MISSING;
 * FAULT_CARREL_LOST when it is gone. */
int isolation_check(int pid, int pidfd, int users_fd, const char *user, bool may_have_eth0, struct fault *why);
/* Of the process that holds a container with a kernel of its own: its mount and network namespaces are not carreld's
 * own, and nothing leads out of the latter. */
int isolation_check_monitor(int pid, int pidfd, struct fault *why);
