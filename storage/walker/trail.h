/* The way from the root of a tree to the directory where a walk is. A few descriptors are enough for any depth: those
 * of the directories further up are closed, and opened again when the walk comes back, name by name beneath the root
 * (openat2(2): RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV). No ".." is ever resolved. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

enum {
        /* More than one path can name (PATH_MAX). The way back to a closed directory costs as much as it is deep: at
         * 80,000 a user's 20,000 directories took 40 s. */
        TRAIL_DEPTH_MAX = 4096,
        TRAIL_OPEN_MAX = 32, /* directories that are open at a time */
};

struct trail_level {
        char *name;
        dev_t device;
        ino_t inode;
        int fd; /* -1: closed for now */
};

/* Zero-initialise, and set root_fd (borrowed; open for reading). */
struct trail {
        int root_fd;
        struct trail_level *levels;
        size_t depth, capacity;
};
void trail_end(struct trail *trail);

/* The descriptor of the deepest directory (open for reading), which stays the trail's; or a negative errno. -ESTALE:
 * another directory is in its place now. */
__attribute__((warn_unused_result)) int trail_fd(struct trail *trail);

/* Goes down into the directory `name`. 0, or a negative errno and the trail is as before: -ENAMETOOLONG: the tree is
 * deeper than TRAIL_DEPTH_MAX; -ELOOP, -ENOTDIR, -ENOENT: it is no directory (any more); -EXDEV: it is a mount. */
__attribute__((warn_unused_result)) int trail_enter(struct trail *trail, const char *name);

/* Goes up. The trail has at least one level. */
void trail_leave(struct trail *trail);

/* Opens a name in a directory, beneath it and without following links. A descriptor or a negative errno. */
__attribute__((warn_unused_result)) int trail_open(int directory_fd, const char *name, int flags);
