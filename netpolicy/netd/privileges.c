#include "privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int KEPT[] = { CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN, CAP_SYS_PTRACE };

static uint64_t kept_set(void)
{
        uint64_t set = 0;

        for (size_t i = 0; i < sizeof KEPT / sizeof *KEPT; i++)
                set |= UINT64_C(1) << KEPT[i];
        return set;
}

/* EINVAL: the number is past the last capability of this kernel (prctl(2)). */
static int bound(uint64_t kept)
{
        for (int capability = 0; capability < 64; capability++) {
                if ((kept >> capability & 1) != 0)
                        continue;
                if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
                        return errno == EINVAL ? 0 : -errno;
        }
        return 0;
}

int privileges_drop(struct fault *why)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        uint64_t kept = kept_set();
        struct __user_cap_data_struct data[2] = {
                { .effective = (uint32_t)kept, .permitted = (uint32_t)kept },
                { .effective = (uint32_t)(kept >> 32), .permitted = (uint32_t)(kept >> 32) },
        };
        int r = bound(kept);

        /* CAP_SETPCAP is missing if the service manager has limited our capabilities already, which is fine. */
        if (r < 0 && r != -EPERM)
                return fault_set(why, FAULT_INTERNAL, -r, "cannot limit the capabilities: %s", strerror(-r));
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot set no-new-privileges: %s", strerror(errno));
        if (syscall(SYS_capset, &header, data) < 0)
                return fault_set(why, FAULT_INTERNAL, errno,
                                 "needs CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN and CAP_SYS_PTRACE: %s",
                                 strerror(errno));
        return 0;
}
