/* A user's files as a whole: their erasure. The work is done by jobs of storage/, and survives a kill of carreld. */
#pragma once

#include <stdint.h>

#include "fault.h"

struct ev_loop;
struct pool;
struct storage;
struct userfiles;
struct userfiles_wait;

/* Borrows all until userfiles_free. 0 or a negative errno with why. */
__attribute__((warn_unused_result)) int userfiles_new(struct userfiles **ret_files, struct ev_loop *loop,
                                                      struct pool *pool, struct storage *storage, struct fault *why);
/* Kills the jobs; the next carreld goes on. No callback runs. NULL is fine; returns NULL. */
struct userfiles *userfiles_free(struct userfiles *files);

/* n_removed: files and directories. */
typedef void (*userfiles_on_erased)(void *arg, uint64_t n_removed, const struct fault *why);

/* Removes the user's carrel and all of the user's files. First they are moved away, in one step: from then on nobody
 * can reach them, an ensure makes a new empty directory, and a carreld that is killed goes on at its next start.
 * on_erased runs when they are gone and the disk knows it. FAULT_NOT_FOUND: the user has neither.
 * FAULT_ENGINE_UNAVAILABLE: carreld has not reconciled. A directory that is not a user's (pool.h) is refused and stays.
 * Any other fault may be before or after that step; after it, the removal is tried again every minute. Answers at once
 * (*ret_wait is NULL) or later. */
void userfiles_erase(struct userfiles *files, const char *user, userfiles_on_erased on_erased, void *arg,
                     struct userfiles_wait **ret_wait);
/* The callback never runs; the erasure goes on. NULL is fine; returns NULL. */
struct userfiles_wait *userfiles_leave(struct userfiles_wait *wait);

struct userfiles_stats {
        unsigned erasing; /* trees of files that are still to be removed */
        uint64_t erased, failed;
};
void userfiles_stats(const struct userfiles *files, struct userfiles_stats *ret_stats);
