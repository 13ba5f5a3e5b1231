/* How much room the file system of a directory has, looked at every SPACE_LOOK_S seconds by a thread of its own: where
 * it is a network mount that does not answer, statvfs(3) does not return, and no loop may wait for that. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { SPACE_LOOK_S = 10 };

struct space_watch;

struct space {
        uint64_t size_bytes, free_bytes; /* free: for those who are not root */
        uint64_t inodes, free_inodes;    /* 0 inodes: this file system does not count them */
        double age_s;                    /* of these numbers: above some SPACE_LOOK_S it does not answer */
};

/* Copies directory, and begins to look. Returns 0 or a negative errno. */
__attribute__((warn_unused_result)) int space_watch_new(struct space_watch **ret_watch, const char *directory);
/* A look that does not return is left to itself. NULL is fine; returns NULL. */
struct space_watch *space_watch_free(struct space_watch *watch);

/* False: no look has succeeded yet. Never waits. */
bool space_watch_read(struct space_watch *watch, struct space *ret_space);
