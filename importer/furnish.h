/* The mount points of the engine. All carrels share one tree, so none can be made later. */
#pragma once

#include <stdbool.h>

#include "fault.h"

/* How many entries it adds at most. */
enum { FURNISHED_MAX = 13 };

/* Makes the missing mount points: directories, and empty files. Existing ones of the right type stay; a link or another
 * type is replaced. */
__attribute__((warn_unused_result)) int furnish(int rootfs_fd, struct fault *why);
