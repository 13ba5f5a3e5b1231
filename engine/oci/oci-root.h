/* Inside the embedded engine only: a root and device nodes that are each container's own. Containers of one image have
 * its files in common, and without this the inodes too: an inotify watch or a flock(2) of one would reach the others.
 */
#pragma once

#include <stddef.h>

enum { OCI_TREES_MAX = 17 };

/* What a runtime is to find covered: the image's root first, then the directories that the image binds. */
struct oci_root {
        const char *trees[OCI_TREES_MAX]; /* absolute paths; borrowed */
        size_t n;
};

/* For struct child_plan's `prepare`; arg is a struct oci_root. Gives the runtime a mount namespace of its own, in which
 * each tree is covered by a read-only overlay of itself and /dev by a tmpfs with device nodes of its own: a container's
 * mounts are copies of these, and the rest is gone with the runtime, however it ends. The files' pages stay shared.
 * 0 or a negative errno (-ENODEV: the kernel has no overlay). */
int oci_root_prepare(const void *arg);
