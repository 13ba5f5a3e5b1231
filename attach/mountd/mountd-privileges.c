#include "mountd-privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>

#include "capabilities.h"

/* Each is named where it is needed: mounter.c, owner-map.c. The optional ones are only for mounts with other owners,
 * which not every engine needs. */
#define NEEDED (CAPABILITY(CAP_SYS_ADMIN) | CAPABILITY(CAP_SYS_CHROOT) | CAPABILITY(CAP_SYS_PTRACE))
#define OPTIONAL (CAPABILITY(CAP_SETUID) | CAPABILITY(CAP_SETGID))

int mountd_privileges_drop(struct fault *why)
{
        uint64_t permitted = 0;
        int r = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : capabilities_permitted(&permitted);

        if (r == 0)
                r = capabilities_keep(NEEDED | (permitted & OPTIONAL));
        if (r == -EPERM)
                return fault_set(why, FAULT_INTERNAL, -r,
                                 "carrel-mountd needs CAP_SYS_ADMIN, CAP_SYS_CHROOT and CAP_SYS_PTRACE");
        return r < 0 ? fault_set(why, FAULT_INTERNAL, -r, "cannot limit the capabilities: %s", strerror(-r)) : 0;
}
