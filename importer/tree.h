/* Writing below one directory and nowhere else: every path is resolved by the kernel beneath it (openat2(2),
 * RESOLVE_BENEATH), so that no link, whoever made it, leads out. Relative links inside are followed on the way to an
 * entry (bin -> usr/bin), absolute ones are not. Paths are entry_path's; "" is the directory itself. */
#pragma once

#include <stdint.h>

#include "fault.h"

/* Opens the directory that path's last component is in, and makes missing ones on the way (0755) when is_making.
 * *ret_base points into path. -EXDEV: a link on the way leads out; -ENAMETOOLONG: it is deeper than ENTRY_DEPTH_MAX,
 * however it is named; -ENOENT; -ENOTDIR. */
__attribute__((warn_unused_result)) int tree_parent(int root_fd, const char *path, int is_making, int *ret_fd,
                                                    const char **ret_base);
/* Makes the directories that are missing on the way to path, each for one of *left; -E2BIG when it reaches 0. */
__attribute__((warn_unused_result)) int tree_way(int root_fd, const char *path, uint64_t *left);

/* Each replaces what is there (but a directory by a directory, whose mode it sets) and returns 0 or a negative errno.
 * tree_file gives the file open for writing. */
__attribute__((warn_unused_result)) int tree_directory(int root_fd, const char *path, uint32_t mode);
__attribute__((warn_unused_result)) int tree_file(int root_fd, const char *path, uint32_t mode, int *ret_fd);
__attribute__((warn_unused_result)) int tree_symlink(int root_fd, const char *path, const char *target,
                                                     int64_t modified_s);
/* -ENOENT: no such target; -EPERM: it is a directory. */
__attribute__((warn_unused_result)) int tree_hardlink(int root_fd, const char *path, const char *target);

/* Opens a regular file for reading. */
__attribute__((warn_unused_result)) int tree_open(int root_fd, const char *path, int *ret_fd);

/* Removes name and all below it, however deep, without following anything; on one file system. Absent is 0. */
int tree_remove(int directory_fd, const char *name);
/* The same for what path names beneath the root; a path that is absent, or passes a link that leads out, is 0. */
__attribute__((warn_unused_result)) int tree_remove_path(int root_fd, const char *path);
/* Removes all that is in the directory; no directory is 0. */
__attribute__((warn_unused_result)) int tree_empty(int root_fd, const char *path);
