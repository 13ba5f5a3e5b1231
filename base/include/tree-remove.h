/* Removes trees of files of any depth and width, on one file system, without following links (openat2(2),
 * RESOLVE_NO_XDEV: a mount inside ends it with -EXDEV). Memory and descriptors are bounded. A tree that changes
 * meanwhile is no danger: what is removed is always below the given directory. */
#pragma once

#include <stddef.h>

/* Removes name in the directory and everything below it. 0 if it does not exist; else a negative errno. */
int tree_remove(int directory_fd, const char *name);

/* Removes everything in the directory (open for reading), and keeps the directory. on_removed, which may be NULL, gets
 * each removed entry. 0 or a negative errno. */
__attribute__((warn_unused_result)) int tree_clear(int directory_fd, void (*on_removed)(void *arg), void *arg);
