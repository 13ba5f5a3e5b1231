/* The places that the engine mounts over. All carrels share one tree, so nothing can be made in it later. */
#pragma once

#include <stdbool.h>

#include "fault.h"

/* How many entries it adds at most. */
enum { FURNISHED_MAX = 13 };

/* Makes the mount points that are missing: directories, and empty files. An existing one of the right kind stays as it
 * is; a link or any other kind is replaced. */
__attribute__((warn_unused_result)) int furnish(int rootfs_fd, struct fault *why);
