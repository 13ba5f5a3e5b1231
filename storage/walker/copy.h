/* Copies a tree, as storage.h describes it. */
#pragma once

#include <sys/types.h>

#include "progress.h"

/* source_fd and target_fd: open for reading. 0, or a negative errno with why. */
__attribute__((warn_unused_result)) int copy_tree(int source_fd, int target_fd, uid_t owner, struct progress *progress,
                                                  struct fault *why);
