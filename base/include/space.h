/* Watches the free space of a directory's file system. A thread of its own calls statvfs(3) every SPACE_LOOK_S seconds,
 * because that call never returns on a network mount that does not answer, and would block the loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { SPACE_LOOK_S = 10 };

struct space_watch;

struct space {
        uint64_t size_bytes, free_bytes; /* free for users other than root */
        uint64_t inodes, free_inodes;    /* 0 inodes: this file system does not count them */
        double age_s; /* of these numbers; well above SPACE_LOOK_S: the file system does not answer */
};

/* Copies directory and starts the thread. Returns 0 or a negative errno. */
__attribute__((warn_unused_result)) int space_watch_new(struct space_watch **ret_watch, const char *directory);
/* Does not wait long for a call that hangs: its thread frees the watch later. NULL is fine; returns NULL. */
struct space_watch *space_watch_free(struct space_watch *watch);

/* Reads the last numbers without blocking. False: there are no numbers yet. */
bool space_watch_read(struct space_watch *watch, struct space *ret_space);
