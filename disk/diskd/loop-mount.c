#include "loop-mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "scope.h"

enum { TRIES = 64, BLOCK_BYTES = 4096, PATH_BYTES = 128 };

/* EXT4_IOC_RESIZE_FS of fs/ext4/ext4.h: the new number of blocks. */
#define RESIZE_FS _IOW('f', 16, uint64_t)

static int fail(struct fault *why, int r, const char *what)
{
        enum fault_kind kind = r == -EAGAIN || r == -EBUSY || r == -ENOMEM || r == -EMFILE || r == -ENFILE
                                       ? FAULT_RESOURCE_EXHAUSTED
                                       : FAULT_INTERNAL;

        return fault_set(why, kind, -r, "carrel-diskd cannot %s: %s", what, strerrordesc_np(-r));
}

int loop_mount_probe(struct fault *why)
{
        AUTO(auto_close) int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        AUTO(auto_close) int context = -1;

        if (control < 0)
                return fail(why, -errno, "open /dev/loop-control: load the module loop, or set disk = none");
        context = fsopen("ext4", FSOPEN_CLOEXEC);
        return context < 0 ? fail(why, -errno,
                                  "mount ext4: load its module and use the rights of dist/carreld.service, "
                                  "or set disk = none")
                           : 0;
}

/* Another process may take the free number first. */
static int attach(int control, int image_fd, int *ret_device_fd, int *ret_number)
{
        const struct loop_config config = { .fd = (uint32_t)image_fd,
                                            .block_size = BLOCK_BYTES,
                                            .info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO };

        for (int i = 0; i < TRIES; i++) {
                char path[PATH_BYTES];
                AUTO(auto_close) int fd = -1;
                int number = ioctl(control, LOOP_CTL_GET_FREE);

                if (number < 0)
                        return -errno;
                (void)snprintf(path, sizeof path, "/dev/loop%d", number);
                fd = open(path, O_RDWR | O_CLOEXEC);
                if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
                        *ret_device_fd = TAKE_FD(fd);
                        *ret_number = number;
                        return 0;
                }
                if (errno != EBUSY && errno != ENXIO && errno != ENOENT)
                        return -errno;
        }
        return -EBUSY;
}

static void write_zero(const char *path)
{
        AUTO(auto_close) int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd >= 0 && write(fd, "0", 1) != 1) {
                /* An older kernel: the image is allocated again at the next mount. */
        }
}

/* A block that is given back to the host may be missing when it is written again. So nothing may punch a hole into the
 * image: no discard, and no zeroing by a hole (lo_fallocate in drivers/block/loop.c, ext4_ext_zeroout). */
static void keep_blocks(int number)
{
        static const char *const FILES[] = {
                "/sys/block/loop%d/queue/discard_max_bytes",
                "/sys/block/loop%d/queue/write_zeroes_unmap_max_bytes",
                "/sys/fs/ext4/loop%d/extent_max_zeroout_kb",
        };
        char path[PATH_BYTES];

        for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                (void)snprintf(path, sizeof path, FILES[i], number);
#pragma GCC diagnostic pop
                write_zero(path);
        }
}

static int mount_device(int number, int *ret_mount_fd)
{
        AUTO(auto_close) int context = fsopen("ext4", FSOPEN_CLOEXEC);
        char path[PATH_BYTES];
        int fd;

        (void)snprintf(path, sizeof path, "/dev/loop%d", number);
        if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "source", path, 0) < 0 ||
            fsconfig(context, FSCONFIG_SET_STRING, "errors", "remount-ro", 0) < 0 ||
            fsconfig(context, FSCONFIG_SET_FLAG, "noinit_itable", NULL, 0) < 0 ||
            fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return -errno;
        fd = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
        if (fd < 0)
                return -errno;
        *ret_mount_fd = fd;
        return 0;
}

int loop_mount(int image_fd, int *ret_mount_fd, struct fault *why)
{
        AUTO(auto_close) int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        AUTO(auto_close) int device = -1;
        int number = -1;
        int r = control < 0 ? -errno : attach(control, image_fd, &device, &number);

        if (r < 0)
                return fail(why, r, "attach a loop device to the user's image");
        keep_blocks(number);
        r = mount_device(number, ret_mount_fd);
        if (r < 0)
                return fail(why, r, "mount the user's image");
        keep_blocks(number); /* some are there only now */
        return 0;
}

int loop_mount_grow(int mount_fd, uint64_t size_bytes, struct fault *why)
{
        AUTO(auto_close) int root = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        AUTO(auto_close) int device = -1;
        uint64_t blocks = size_bytes / BLOCK_BYTES;
        char path[PATH_BYTES];
        struct stat status;

        if (root < 0 || fstat(root, &status) < 0)
                return fail(why, -errno, "open the user's image");
        (void)snprintf(path, sizeof path, "/dev/loop%u", minor(status.st_dev));
        device = open(path, O_RDWR | O_CLOEXEC);
        if (device < 0 || ioctl(device, LOOP_SET_CAPACITY) < 0 || ioctl(root, RESIZE_FS, &blocks) < 0)
                return fail(why, -errno, "grow the user's image");
        return 0;
}
