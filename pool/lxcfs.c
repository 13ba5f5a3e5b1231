#include "lxcfs.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc-file.h"
#include "profile.h"
#include "scope.h"
#include "str.h"

/* The default of lxcfs(8), --pidfile. */
#define PID_FILE "/run/lxcfs.pid"

enum { SMALL_BYTES = 64 };

/* A mount point is another device than the directory that it is in. statx(2) with AT_STATX_DONT_SYNC takes what the
 * kernel has of a FUSE root, which no path walk asks for either. */
static bool is_mounted(void)
{
        const int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW;
        struct statx above, root;

        return statx(AT_FDCWD, LXCFS_DIRECTORY "/..", flags, STATX_TYPE, &above) == 0 &&
               statx(AT_FDCWD, LXCFS_DIRECTORY, flags, STATX_TYPE, &root) == 0 &&
               (above.stx_dev_major != root.stx_dev_major || above.stx_dev_minor != root.stx_dev_minor);
}

static bool has_process(void)
{
        AUTO(auto_free) char *pid = NULL;
        AUTO(auto_free) char *name = NULL;
        uint64_t number;

        if (proc_file_read(PID_FILE, SMALL_BYTES, &pid) < 0)
                return false;
        pid[strcspn(pid, "\n")] = '\0';
        return str_parse_u64(pid, 1, INT32_MAX, &number) == 0 &&
               proc_pid_read((pid_t)number, "comm", SMALL_BYTES, &name) == 0 && str_equal(name, "lxcfs\n");
}

enum lxcfs_state lxcfs_look(void)
{
        if (!is_mounted())
                return LXCFS_ABSENT;
        return has_process() ? LXCFS_RUNNING : LXCFS_ENDED;
}

static bool is_wanted(const struct pool_options *options)
{
        return options->lxcfs != POOL_LXCFS_OFF && options->hardening == POOL_HARDENING_WHOLE;
}

bool lxcfs_is_used(const struct pool_options *options)
{
        return is_wanted(options) && lxcfs_look() == LXCFS_RUNNING;
}

const char *lxcfs_describe(const struct pool_options *options)
{
        static const char *const NAMES[] = {
                [LXCFS_ABSENT] = "absent", [LXCFS_ENDED] = "ended", [LXCFS_RUNNING] = "running"
        };

        return is_wanted(options) ? NAMES[lxcfs_look()] : "off";
}
