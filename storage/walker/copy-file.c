#include "copy-file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "scope.h"

/* A piece is reported as progress. */
enum { PIECE_BYTES = 16 << 20, BUFFER_BYTES = 1 << 18, MODE_BITS = S_IRWXU | S_IRWXG | S_IRWXO | S_ISVTX };

/* ---- contents ---- */

static int write_all(int to, const char *bytes, size_t length, off_t at)
{
        while (length > 0) {
                ssize_t n = pwrite(to, bytes, length, at);

                if (n < 0)
                        return -errno;
                bytes += n;
                length -= (size_t)n;
                at += n;
        }
        return 0;
}

/* For file systems between which the kernel does not copy. */
static int copy_by_buffer(struct copier *copier, int from, int to, off_t at, off_t end)
{
        AUTO(auto_free) char *buffer = malloc(BUFFER_BYTES);
        int r = buffer == NULL ? -ENOMEM : 0;

        while (r == 0 && at < end) {
                size_t length = end - at < BUFFER_BYTES ? (size_t)(end - at) : BUFFER_BYTES;
                ssize_t n = pread(from, buffer, length, at);

                if (n <= 0)
                        return n < 0 ? -errno : 0; /* it was cut meanwhile */
                r = write_all(to, buffer, (size_t)n, at);
                at += n;
                progress_tick(copier->progress);
        }
        return r;
}

static bool is_unsupported(int err)
{
        return err == EXDEV || err == EINVAL || err == ENOSYS || err == EOPNOTSUPP || err == ETXTBSY;
}

static int copy_extent(struct copier *copier, int from, int to, off_t at, off_t end)
{
        while (at < end) {
                off_t out = at;
                size_t length = end - at < PIECE_BYTES ? (size_t)(end - at) : PIECE_BYTES;
                ssize_t n = copy_file_range(from, &at, to, &out, length, 0);

                if (n < 0)
                        return is_unsupported(errno) ? copy_by_buffer(copier, from, to, at, end) : -errno;
                if (n == 0)
                        return 0; /* it was cut meanwhile */
                progress_tick(copier->progress);
        }
        return 0;
}

/* ENXIO: there is no data at or after that offset (lseek(2)). */
static int copy_extents(struct copier *copier, int from, int to, off_t size)
{
        off_t at = 0;

        while (at < size) {
                off_t data = lseek(from, at, SEEK_DATA);
                off_t hole;
                int r;

                if (data < 0 && errno == ENXIO)
                        break;
                hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);
                if (data < 0 || hole < 0)
                        return -errno;
                if (data >= size)
                        break;
                hole = hole < size ? hole : size;
                r = copy_extent(copier, from, to, data, hole);
                if (r < 0)
                        return r;
                at = hole;
        }
        return ftruncate(to, size) < 0 ? -errno : 0;
}

int copy_contents(struct copier *copier, int from, int to, off_t size)
{
        if (size == 0)
                return 0;
        if (!copier->cannot_clone) {
                if (ioctl(to, FICLONE, from) == 0) {
                        copier->progress->tally.cloned++;
                        return 0;
                }
                if (errno == ENOSPC || errno == EDQUOT)
                        return -errno;
                copier->cannot_clone = true;
        }
        return copy_extents(copier, from, to, size);
}

/* ---- attributes ---- */

static int copy_attribute(int from, int to, const char *name)
{
        AUTO(auto_free) char *value = malloc(XATTR_SIZE_MAX);
        ssize_t n;

        if (value == NULL)
                return -ENOMEM;
        n = fgetxattr(from, name, value, XATTR_SIZE_MAX);
        if (n < 0)
                return errno == ENODATA ? 0 : -errno;
        return fsetxattr(to, name, value, (size_t)n, 0) < 0 ? -errno : 0;
}

int copy_attributes(int from, int to)
{
        static const char PREFIX[] = "user.";
        AUTO(auto_free) char *names = NULL;
        ssize_t length = flistxattr(from, NULL, 0);
        int r = 0;

        if (length <= 0)
                return length == 0 || errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
        names = malloc(XATTR_LIST_MAX);
        if (names == NULL)
                return -ENOMEM;
        length = flistxattr(from, names, XATTR_LIST_MAX);
        if (length < 0)
                return -errno;
        for (const char *name = names; r == 0 && name < names + length; name += strlen(name) + 1)
                if (strncmp(name, PREFIX, strlen(PREFIX)) == 0)
                        r = copy_attribute(from, to, name);
        return r;
}

int copy_mode_and_time(int to, const struct stat *status)
{
        const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, status->st_mtim };

        if (fchmod(to, status->st_mode & MODE_BITS) < 0 || futimens(to, times) < 0)
                return -errno;
        return 0;
}
