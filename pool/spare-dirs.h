/* Directories in users_dir that are made ahead, for users who come for the first time when other users' files have
 * taken the disk's last inode. Their names begin with a '.', so that no user has them; they are root's and empty. */
#pragma once

#include <sys/types.h>

enum { SPARE_DIRS = 16 };

/* Makes those that are missing, as far as there is room. */
void spare_dirs_fill(int users_fd);

/* Makes users_fd/name, empty and not yet its user's, of a spare one if there is no room for another. 0, -EEXIST, or
 * another negative errno (-ENOSPC, -EDQUOT: and no spare one is left). Makes up for what has been used. */
__attribute__((warn_unused_result)) int spare_dirs_make(int users_fd, const char *name, mode_t mode);
