/* User namespaces that map one owner only, for idmapped mounts (mount_setattr(2), "ID-mapped mounts"). */
#pragma once

#include "attach-protocol.h"

/* Before the first: lets the kernel reap the children of this process. */
void owner_map_prepare(void);

/* Makes one that maps owner_uid to uid and owner_gid to gid; all other ids have no meaning in it. proc_fd: /proc. The
 * namespace ends with its last descriptor or mount. 0, or a negative errno. */
__attribute__((warn_unused_result)) int owner_map_new(int proc_fd, const struct attach_ids *ids, int *ret_userns_fd);
