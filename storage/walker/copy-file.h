/* The contents and the attributes of one file. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "progress.h"

struct copier {
        struct progress *progress;
        bool cannot_clone; /* FICLONE was refused: it is not tried again */
};

/* Copies the contents of a regular file of this size. Holes stay holes. The target is new and empty. 0 or a negative
 * errno. */
__attribute__((warn_unused_result)) int copy_contents(struct copier *copier, int from, int to, off_t size);

/* Copies the extended attributes user.*. Those that the target's file system has no room for, or does not know, are an
 * error. 0 or a negative errno. */
__attribute__((warn_unused_result)) int copy_attributes(int from, int to);

/* Sets the mode without set-id bits, and last the modification time. 0 or a negative errno. */
__attribute__((warn_unused_result)) int copy_mode_and_time(int to, const struct stat *status);
