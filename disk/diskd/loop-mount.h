/* Mounts of an ext4 image that are attached nowhere (fsmount(2), loop(4)). */
#pragma once

#include <stdint.h>

#include "fault.h"

/* Whether this process may make loop devices and mounts. 0, or a negative errno with why. */
__attribute__((warn_unused_result)) int loop_mount_probe(struct fault *why);

/* Mounts the image, nosuid and nodev. The loop device has the caller's open file of the image, and so its flock(2),
 * until the kernel lets the device go with the mount. 0, or a negative errno with why. */
__attribute__((warn_unused_result)) int loop_mount(int image_fd, int *ret_mount_fd, struct fault *why);

/* Grows the mounted file system to the size of its image. 0, or a negative errno with why. */
__attribute__((warn_unused_result)) int loop_mount_grow(int mount_fd, uint64_t size_bytes, struct fault *why);
