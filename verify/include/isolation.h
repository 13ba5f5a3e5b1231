/* Whether a live container is isolated and belongs to its user, which its labels cannot prove. A container with our
 * labels that somebody else made or changed must not be adopted with the host's network or another user's files. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

/* Judges /proc/<pid>/net/route and if_inet6 (proc(5)). Only lo may be there, and eth0 if may_have_eth0: netpolicy_plug
 * refuses an eth0 that is not ours. NULL stands for an empty file. Pure. */
int isolation_judge_network(const char *routes, const char *addresses6, bool may_have_eth0, struct fault *why);

/* For a live process: its mount, network, pid, IPC and UTS namespaces are not carreld's, its network is as above, and
 * its /workspace is the same inode as the directory of `user` below users_fd, or the root of the ext4 on his image
 * (disk.h), if he has one: the loop device below it is asked for its file. user NULL: the container has no user yet,
 * and its /workspace is the directory users_fd itself. pidfd must be of pid: afterwards it shows whether the process
 * still lives. FAULT_HARDENING_MISSING; FAULT_CARREL_LOST when it is gone. */
int isolation_check(int pid, int pidfd, int users_fd, const char *user, bool may_have_eth0, struct fault *why);
/* For a live process whose /workspace was just attached (attach.h): it is that same inode, its mount is nosuid and
 * nodev, and through the mount it belongs to uid, which counts on the host. As above otherwise. Some twenty
 * microseconds. */
int isolation_check_workspace(int pid, int pidfd, int users_fd, const char *user, uint32_t uid, struct fault *why);
/* For the process that holds a container with a kernel of its own: its mount and network namespaces are not carreld's,
 * and the latter has no interface but lo. */
int isolation_check_monitor(int pid, int pidfd, struct fault *why);
