#include "privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "capabilities.h"

int privileges_drop(struct fault *why)
{
        int r = capabilities_keep(CAPABILITY(CAP_NET_ADMIN) | CAPABILITY(CAP_NET_RAW) | CAPABILITY(CAP_SYS_ADMIN) |
                                  CAPABILITY(CAP_SYS_PTRACE));

        if (r == -EPERM)
                return fault_set(why, FAULT_INTERNAL, -r,
                                 "needs CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN and CAP_SYS_PTRACE: %s",
                                 strerror(-r));
        return r < 0 ? fault_set(why, FAULT_INTERNAL, -r, "cannot limit the capabilities: %s", strerror(-r)) : 0;
}
