/* Counts what is in a tree. */
#pragma once

#include "progress.h"

/* 0, or a negative errno with why. */
__attribute__((warn_unused_result)) int measure_tree(int source_fd, struct progress *progress, struct fault *why);
