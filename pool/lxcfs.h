/* lxcfs(8): files of /proc that speak of the reader's control group. No call here asks the file system itself, which
 * would block the loop while lxcfs hangs. */
#pragma once

#include "pool.h"

enum lxcfs_state {
        LXCFS_ABSENT, /* nothing is mounted at LXCFS_DIRECTORY */
        LXCFS_ENDED,  /* it is mounted, but its process is gone: every read fails with ENOTCONN */
        LXCFS_RUNNING
};

enum lxcfs_state lxcfs_look(void);
/* Whether a carrel that is made now gets its files. */
bool lxcfs_is_used(const struct pool_options *options);
/* "off" (by the setting or the runtime), "absent", "ended" or "running". */
const char *lxcfs_describe(const struct pool_options *options);
