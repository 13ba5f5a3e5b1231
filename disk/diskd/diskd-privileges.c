#include "diskd-privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>

#include "capabilities.h"

/* SYS_ADMIN: loop devices and mounts. SYS_RESOURCE: growing a file system. CHOWN, FOWNER and DAC_OVERRIDE: the owner
 * and mode of a new one's root. */
#define NEEDED                                                                                                         \
        (CAPABILITY(CAP_SYS_ADMIN) | CAPABILITY(CAP_CHOWN) | CAPABILITY(CAP_FOWNER) | CAPABILITY(CAP_DAC_OVERRIDE))
#define OPTIONAL CAPABILITY(CAP_SYS_RESOURCE)

int diskd_privileges_drop(struct fault *why)
{
        uint64_t permitted = 0;
        int r = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : capabilities_permitted(&permitted);

        if (r == 0)
                r = capabilities_keep(NEEDED | (permitted & OPTIONAL));
        if (r == -EPERM)
                return fault_set(why, FAULT_INTERNAL, -r,
                                 "carrel-diskd needs CAP_SYS_ADMIN, CAP_CHOWN, CAP_FOWNER and CAP_DAC_OVERRIDE");
        return r < 0 ? fault_set(why, FAULT_INTERNAL, -r, "cannot limit the capabilities: %s", strerror(-r)) : 0;
}
