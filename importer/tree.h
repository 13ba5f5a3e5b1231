/* Writes below one directory only: the kernel resolves every path beneath it (openat2(2), RESOLVE_BENEATH), so that no
 * link leads out. Relative links inside are followed on the path to an entry (bin -> usr/bin), absolute ones are not.
 * Paths are those of entry_path; "" is the directory itself. */
#pragma once

#include <stdint.h>

#include "fault.h"

/* Opens the parent directory of path, and makes missing directories on the path (0755) when is_making. *ret_base points
 * into path. -EXDEV: a link on the path leads out. -ENAMETOOLONG: it is deeper than ENTRY_DEPTH_MAX, by any name.
 * -ENOENT; -ENOTDIR. */
__attribute__((warn_unused_result)) int tree_parent(int root_fd, const char *path, int is_making, int *ret_fd,
                                                    const char **ret_base);
/* Makes the missing parent directories of path, each for one of *left; -E2BIG when none is left. */
__attribute__((warn_unused_result)) int tree_way(int root_fd, const char *path, uint64_t *left);

/* Each replaces whatever exists; only tree_directory keeps an existing directory and sets its mode. Returns 0 or a
 * negative errno. tree_file returns the file open for writing. */
__attribute__((warn_unused_result)) int tree_directory(int root_fd, const char *path, uint32_t mode);
__attribute__((warn_unused_result)) int tree_file(int root_fd, const char *path, uint32_t mode, int *ret_fd);
__attribute__((warn_unused_result)) int tree_symlink(int root_fd, const char *path, const char *target,
                                                     int64_t modified_s);
/* -ENOENT: no such target; -EPERM: it is a directory. */
__attribute__((warn_unused_result)) int tree_hardlink(int root_fd, const char *path, const char *target);

/* Opens a regular file for reading. */
__attribute__((warn_unused_result)) int tree_open(int root_fd, const char *path, int *ret_fd);

/* tree_remove (tree-remove.h) for path beneath the root. 0 if it does not exist, or a link leads out. */
__attribute__((warn_unused_result)) int tree_remove_path(int root_fd, const char *path);
/* Removes everything in the directory. 0 if there is no such directory. */
__attribute__((warn_unused_result)) int tree_empty(int root_fd, const char *path);
