#include "capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int capabilities_permitted(uint64_t *ret_set)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2] = { 0 };

        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        *ret_set = (uint64_t)data[1].permitted << 32 | data[0].permitted;
        return 0;
}

/* EINVAL: the number is past the last capability of this kernel (prctl(2)). EPERM: there is no CAP_SETPCAP, because the
 * service manager has limited our capabilities already. */
static int bound(uint64_t set)
{
        for (int number = 0; number < 64; number++)
                if ((set & CAPABILITY(number)) == 0 && prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0)
                        return errno == EINVAL || errno == EPERM ? 0 : -errno;
        return 0;
}

int capabilities_keep(uint64_t set)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        const struct __user_cap_data_struct data[2] = {
                { .effective = (uint32_t)set, .permitted = (uint32_t)set },
                { .effective = (uint32_t)(set >> 32), .permitted = (uint32_t)(set >> 32) },
        };
        int r = bound(set);

        if (r < 0)
                return r;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &header, data) < 0)
                return -errno;
        return 0;
}
