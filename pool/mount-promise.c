#include "mount-promise.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "carrel.h"
#include "inside.h"
#include "pool-inside.h"
#include "profile.h"
#include "scope.h"

static int promise_mount(const struct host_mount *mount, struct mount_promise *ret_promise, struct fault *why)
{
        AUTO(auto_close) int fd = -1;
        struct stat status;
        int r = host_mount_open(mount, &fd, why);

        if (r < 0)
                return r;
        if (fstat(fd, &status) < 0)
                return fault_set(why, FAULT_SETTING_INVALID, errno, "mounts: %s: %s", mount->source,
                                 strerrordesc_np(errno));
        *ret_promise = (struct mount_promise){ mount->target, mount->is_read_only, status.st_dev, status.st_ino };
        return 0;
}

/* /var/tmp is a tmpfs like /tmp on Podman only. */
static void promise_inodes(const struct pool_options *options, struct mount_promises *promises)
{
        uint64_t tmp = profile_inodes(options->tmp_bytes);
        const struct tmpfs_promise tmpfs[TMPFS_PROMISES] = {
                { INSIDE_TMP, tmp },
                { "/var/tmp", tmp },
                { INSIDE_SHM, profile_inodes(options->shm_bytes) },
        };

        memcpy(promises->tmpfs, tmpfs, sizeof tmpfs);
        promises->whole.tmpfs = promises->tmpfs;
        promises->whole.n_tmpfs = TMPFS_PROMISES;
}

int mount_promises_make(const struct carrel *carrel, struct mount_promises *ret_promises, struct fault *why)
{
        size_t n_mounts = carrel->mounts != NULL ? carrel->mounts->n : 0;
        int r = 0;

        *ret_promises = (struct mount_promises){
                .whole = { .is_vacant = carrel_is_vacant(carrel),
                           .has_lxcfs = carrel->has_lxcfs,
                           .mounts = ret_promises->mounts,
                           .n_mounts = n_mounts },
        };
        if (carrel->template_version >= TEMPLATE_4)
                promise_inodes(&carrel->pool->options, ret_promises);
        for (size_t i = 0; r == 0 && i < n_mounts; i++)
                r = promise_mount(&carrel->mounts->at[i], &ret_promises->mounts[i], why);
        return r;
}
