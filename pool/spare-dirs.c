#include "spare-dirs.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

enum { NAME_BYTES = 32, SPARE_MODE = 0700 };

static void name_spare(char name[static NAME_BYTES], int number)
{
        (void)snprintf(name, NAME_BYTES, ".carrel-spare-%02d", number);
}

void spare_dirs_fill(int users_fd)
{
        char name[NAME_BYTES];

        for (int i = 0; i < SPARE_DIRS; i++) {
                name_spare(name, i);
                if (mkdirat(users_fd, name, SPARE_MODE) < 0 && errno != EEXIST)
                        return;
        }
}

static int take_spare(int users_fd, const char *target)
{
        char name[NAME_BYTES];

        for (int i = 0; i < SPARE_DIRS; i++) {
                name_spare(name, i);
                if (renameat2(users_fd, name, users_fd, target, RENAME_NOREPLACE) == 0)
                        return 0;
                if (errno != ENOENT)
                        return -errno;
        }
        return -ENOSPC;
}

int spare_dirs_make(int users_fd, const char *name, mode_t mode)
{
        int r = mkdirat(users_fd, name, mode) < 0 ? -errno : 0;

        if (r == -ENOSPC || r == -EDQUOT)
                return take_spare(users_fd, name);
        if (r == 0)
                spare_dirs_fill(users_fd);
        return r;
}
