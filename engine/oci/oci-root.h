/* Inside the embedded engine only: a root and device nodes for each container. Containers of one image have its files
 * in common. Without this they would share the inodes too: an inotify watch or a flock(2) in one would affect the
 * others. */
#pragma once

#include <stddef.h>

enum { OCI_TREES_MAX = 17 };
/* In the tmpfs at /dev, so that it cannot collide with paths of the host. */
#define OCI_FILLING "/dev/.filling"

struct container_spec;

/* Paths below OCI_FILLING, NULL-terminated: each target of a recursive bind of the spec, after the directories above
 * it. A path that ends with a slash is a directory, any other a file. 0 or -ENOMEM. */
int oci_points_make(const struct container_spec *spec, char ***ret_points);
void oci_points_free(char **points); /* NULL is fine */

/* The directories to cover: the image's root first, then those that the image binds. */
struct oci_root {
        const char *trees[OCI_TREES_MAX]; /* absolute paths; borrowed */
        size_t n;
        char *const *points; /* of oci_points_make, made if the image lacks them; NULL: none; borrowed */
};

/* For struct child_plan's `prepare`; arg is a struct oci_root. Gives the runtime a mount namespace of its own. In it, a
 * read-only overlay covers each tree with itself, and a tmpfs with new device nodes covers /dev. The container's mounts
 * are copies of these; the namespace ends with the runtime. The page cache is still shared. 0 or a negative errno
 * (-ENODEV: the kernel has no overlay). */
int oci_root_prepare(const void *arg);
