/* A file system of its own for each user: an ext4 image in users_dir/.disks, which carrel-diskd makes and mounts. The
 * mount is attached nowhere on the host; it lives with its last descriptor or with the container that it was attached
 * to (attach.h). The kernel lets the loop device go with the mount (loop(4), LO_FLAGS_AUTOCLEAR). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "fault.h"

struct disk;
struct disk_call;
struct ev_loop;

#define DISK_DIRECTORY ".disks" /* in users_dir; belongs to root, 0700 */

/* The program of e2fsprogs that carrel-diskd runs. */
#define DISK_MKFS "/usr/sbin/mkfs.ext4"

#define DISK_SIZE_MIN (UINT64_C(16) << 20)
#define DISK_SIZE_MAX (UINT64_C(16) << 40)
#define DISK_FILES_MIN UINT64_C(256)
#define DISK_FILES_MAX UINT64_C(1000000000)

/* Starts the helper (helper_path: absolute) and does not wait for it. 0, or a negative errno with why. */
__attribute__((warn_unused_result)) int disk_new(struct disk **ret_disk, struct ev_loop *loop, const char *helper_path,
                                                 struct fault *why);
/* Ends the helper. Calls in flight are dropped: their done never runs. NULL is fine; returns NULL. */
struct disk *disk_free(struct disk *disk);

/* Why the helper cannot make and mount images: a sentence. "": it can. Valid until the next turn of the loop. */
const char *disk_obstacle(const struct disk *disk);

struct disk_request {
        int users_fd; /* users_dir; borrowed for the call of disk_mount */
        const char *user;
        uint32_t owner_uid, owner_gid; /* of the files; never 0 */
        uint64_t size_bytes;           /* DISK_SIZE_MIN to DISK_SIZE_MAX; a smaller image grows, a larger one stays */
        uint64_t files;                /* inodes of a new image */
};

/* why NULL: mount_fd is the detached mount, whose root is the user's directory, and the callee owns it. Else it is -1.
 * FAULT_STORAGE_FULL: no room for the image. FAULT_RESOURCE_EXHAUSTED: it is mounted elsewhere, the helper is being
 * restarted, or there are too many calls. FAULT_DEADLINE. FAULT_INTERNAL. */
typedef void (*disk_done)(void *arg, int mount_fd, const struct fault *why);

/* Mounts the user's image; makes it if the user has none. done runs once, from the loop, unless the call is cancelled.
 * 0, -EINVAL or -ENOMEM. */
__attribute__((warn_unused_result)) int disk_mount(struct disk *disk, const struct disk_request *request,
                                                   disk_done done, void *arg, struct disk_call **ret_call);
/* After this done never runs. NULL is fine; returns NULL. */
struct disk_call *disk_cancel(struct disk_call *call);

/* Removes the user's image. One that is mounted goes with its mount. 0, or a negative errno. */
__attribute__((warn_unused_result)) int disk_remove_image(int users_fd, const char *user);

/* The user's image, which belongs to the owner of the files in it. 0, or a negative errno (-ENOENT: the user has no
 * image). */
__attribute__((warn_unused_result)) int disk_stat_image(int users_fd, const char *user, struct stat *ret_status);
