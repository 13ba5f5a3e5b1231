#include "file-system.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342 /* linux/magic.h has it since Linux 4.20 */
#endif

/* EXT4_SUPER_MAGIC is also that of ext2 and ext3. */
static const struct {
        unsigned long magic;
        const char *name;
        bool is_in_memory;
} KNOWN[] = {
        { TMPFS_MAGIC, "tmpfs", true },
        { RAMFS_MAGIC, "ramfs", true },
        { BTRFS_SUPER_MAGIC, "btrfs", false },
        { EXT4_SUPER_MAGIC, "ext4", false },
        { F2FS_SUPER_MAGIC, "f2fs", false },
        { NFS_SUPER_MAGIC, "nfs", false },
        { OVERLAYFS_SUPER_MAGIC, "overlay", false },
        { XFS_SUPER_MAGIC, "xfs", false },
};

int file_system_read(struct file_system *ret_system, const char *path)
{
        struct file_system result = { 0 };
        struct statfs status;
        unsigned long magic;

        if (statfs(path, &status) < 0)
                return -errno;
        /* Its type differs between architectures; the number has 32 bits. */
        magic = (unsigned long)status.f_type & 0xffffffff;
        (void)snprintf(result.name, sizeof result.name, "0x%lx", magic);
        for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
                if (KNOWN[i].magic != magic)
                        continue;
                (void)snprintf(result.name, sizeof result.name, "%s", KNOWN[i].name);
                result.is_in_memory = KNOWN[i].is_in_memory;
        }
        *ret_system = result;
        return 0;
}
