/* Spare directories in users_dir. They give a new user a directory even when other users' files have taken the disk's
 * last inode. Their names begin with a '.', which no user id does. They are empty and belong to root. */
#pragma once

#include <sys/types.h>

enum { SPARE_DIRS = 16 };

/* Makes the missing ones, as far as there is room. */
void spare_dirs_fill(int users_fd);

/* Makes users_fd/name, empty and owned by root; renames a spare directory if the disk is full. Replaces used spare
 * directories when there is room again. 0, -EEXIST, or another negative errno (-ENOSPC, -EDQUOT: the disk is full and
 * no spare directory is left). */
__attribute__((warn_unused_result)) int spare_dirs_make(int users_fd, const char *name, mode_t mode);
