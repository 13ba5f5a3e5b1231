#include "mountd-privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Each is named where it is needed: mounter.c, owner-map.c. */
static const struct {
        int number;
        bool is_optional; /* only for mounts with other owners, which not every engine needs */
} KEPT[] = {
        { CAP_SYS_ADMIN, false }, { CAP_SYS_CHROOT, false }, { CAP_SYS_PTRACE, false },
        { CAP_SETUID, true },     { CAP_SETGID, true },
};

static uint64_t bit_of(int capability)
{
        return UINT64_C(1) << capability;
}

/* EINVAL: the number is past the last capability of this kernel (prctl(2)). EPERM: there is no CAP_SETPCAP, because the
 * service manager has limited our capabilities already. */
static int bound(uint64_t kept)
{
        for (int capability = 0; capability < 64; capability++)
                if ((kept & bit_of(capability)) == 0 && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
                        return errno == EINVAL || errno == EPERM ? 0 : -errno;
        return 0;
}

int mountd_privileges_drop(struct fault *why)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2] = { 0 };
        uint64_t kept = 0;
        int r;

        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            syscall(SYS_capget, &header, data) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot give up privileges: %s", strerror(errno));
        for (size_t i = 0; i < sizeof KEPT / sizeof *KEPT; i++) {
                uint64_t had = (uint64_t)data[1].permitted << 32 | data[0].permitted;

                kept |= had & bit_of(KEPT[i].number);
                if (!KEPT[i].is_optional && (kept & bit_of(KEPT[i].number)) == 0)
                        return fault_set(why, FAULT_INTERNAL, EPERM,
                                         "carrel-mountd needs CAP_SYS_ADMIN, CAP_SYS_CHROOT and CAP_SYS_PTRACE");
        }
        data[0] = (struct __user_cap_data_struct){ .effective = (uint32_t)kept, .permitted = (uint32_t)kept };
        data[1] = (struct __user_cap_data_struct){ .effective = (uint32_t)(kept >> 32),
                                                   .permitted = (uint32_t)(kept >> 32) };
        r = bound(kept);
        if (r == 0 && syscall(SYS_capset, &header, data) < 0)
                r = -errno;
        return r < 0 ? fault_set(why, FAULT_INTERNAL, -r, "cannot limit the capabilities: %s", strerror(-r)) : 0;
}
