#include "temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "str.h"

/* For file systems without O_TMPFILE (open(2)), such as overlayfs on older kernels. */
static int open_named(const char *directory)
{
        struct buffer path = { 0 };
        int fd = -1;
        int r = ENOMEM;

        (void)buffer_format(&path, "%s/.carrel-XXXXXX", directory);
        if (!path.has_failed) {
                fd = mkostemp(path.data, O_CLOEXEC);
                r = errno;
        }
        if (fd >= 0)
                (void)unlink(path.data);
        buffer_free(&path);
        return fd < 0 ? -r : fd;
}

int temporary_open(const char *directory)
{
        int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        if (fd >= 0)
                return fd;
        /* A kernel without the flag refuses to open a directory for writing. */
        return errno == EOPNOTSUPP || errno == EISDIR ? open_named(directory) : -errno;
}
