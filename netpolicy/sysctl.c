#include "sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "scope.h"

int sysctl_set(const char *path, const char *value)
{
        size_t length = strlen(value);
        char full[128];
        char now[16] = "";
        AUTO(auto_close) int fd = -1;
        ssize_t n;

        if (snprintf(full, sizeof full, "/proc/sys/net/%s", path) >= (int)sizeof full)
                return -ENAMETOOLONG;
        fd = open(full, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = pread(fd, now, sizeof now - 1, 0);
        if (n > 0 && (size_t)n == length + 1 && memcmp(now, value, length) == 0)
                return 0;
        return pwrite(fd, value, length, 0) == (ssize_t)length ? 0 : -EIO;
}
