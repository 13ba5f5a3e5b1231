#include "sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "scope.h"
#include "str.h"

static int open_setting(const char *path, int mode)
{
        char full[128];
        int fd;

        if (snprintf(full, sizeof full, "/proc/sys/net/%s", path) >= (int)sizeof full)
                return -ENAMETOOLONG;
        fd = open(full, mode | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static bool holds(int fd, const char *value)
{
        size_t length = strlen(value);
        char now[32] = "";
        ssize_t n = pread(fd, now, sizeof now - 1, 0);

        return n > 0 && (size_t)n == length + 1 && memcmp(now, value, length) == 0;
}

/* former NULL: whatever it is. */
static int change(const char *path, const char *former, const char *value)
{
        size_t length = strlen(value);
        AUTO(auto_close) int fd = open_setting(path, O_RDWR);

        if (fd < 0)
                return fd;
        if (former == NULL ? holds(fd, value) : !holds(fd, former))
                return 0;
        return pwrite(fd, value, length, 0) == (ssize_t)length ? 0 : -EIO;
}

int sysctl_set(const char *path, const char *value)
{
        return change(path, NULL, value);
}

int sysctl_replace(const char *path, const char *former, const char *value)
{
        return change(path, former, value);
}

int sysctl_lower_default(const char *path, uint32_t most)
{
        AUTO(auto_close) int fd = open_setting(path, O_RDWR);
        char text[48] = "";
        unsigned values[3];
        ssize_t n = fd < 0 ? fd : pread(fd, text, sizeof text - 1, 0);

        if (n < 0)
                return fd < 0 ? fd : -errno;
        if (sscanf(text, "%10u %10u %10u", &values[0], &values[1], &values[2]) != 3)
                return -EINVAL;
        if (values[1] <= most)
                return 0;
        n = snprintf(text, sizeof text, "%u %u %u", values[0], most, values[2]);
        return pwrite(fd, text, (size_t)n, 0) == n ? 0 : -EIO;
}

int sysctl_get_u32(const char *path, uint32_t *ret_value)
{
        AUTO(auto_close) int fd = open_setting(path, O_RDONLY);
        char text[24] = "";
        uint64_t value = 0;
        ssize_t n = fd < 0 ? fd : pread(fd, text, sizeof text - 1, 0);

        if (n < 0)
                return fd < 0 ? fd : -errno;
        text[strcspn(text, "\n")] = '\0';
        if (str_parse_u64(text, 0, UINT32_MAX, &value) < 0)
                return -EINVAL;
        *ret_value = (uint32_t)value;
        return 0;
}
