/* Users' images in users_dir/.disks. USER.ext4 is in service; USER.ext4.new is being made, and may be removed whenever
 * nobody has it locked. The rename from the one to the other is the moment at which the image exists. */
#pragma once

#include "disk-protocol.h"

/* Mounts the user's image; makes it first if the user has no image. users_fd: users_dir. Waits for an earlier mount of
 * the same image to go, but not for long. 0, or a negative errno with why. */
__attribute__((warn_unused_result)) int image_mount(int users_fd, const struct disk_order *order, int *ret_mount_fd,
                                                    struct fault *why);
