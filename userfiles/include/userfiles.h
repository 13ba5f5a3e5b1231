/* A user's files as a whole: their erasure, snapshots and forks. The work is done by jobs of storage/, and survives a
 * kill of carreld. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

struct ev_loop;
struct pool;
struct storage;
struct userfiles;
struct userfiles_wait;
struct userfiles_operation;
struct storage_tally;

struct userfiles_options {
        unsigned snapshots_max;   /* of one user */
        uint64_t snapshots_bytes; /* of one user's snapshots together, on disk; 0: no bound */
};

/* Borrows loop, pool and storage until userfiles_free; copies options. 0 or a negative errno with why. */
__attribute__((warn_unused_result)) int userfiles_new(struct userfiles **ret_files, struct ev_loop *loop,
                                                      struct pool *pool, struct storage *storage,
                                                      const struct userfiles_options *options, struct fault *why);
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

/* ---- snapshots and forks ---- */

enum { SNAPSHOT_NAME_MAX = 64 };

struct snapshot {
        char name[SNAPSHOT_NAME_MAX + 1];
        int64_t created_wall_ms;
        uint64_t entries, bytes; /* as of storage_tally */
};

/* The grammar of user ids. FAULT_REQUEST_INVALID. */
int snapshot_name_check(const char *name, struct fault *why);

/* snapshot: of a SNAPSHOT_CREATE and a SNAPSHOT_RESTORE. tally: of the copy. */
typedef void (*userfiles_on_copied)(void *arg, const struct storage_tally *tally, const struct fault *why);

enum userfiles_copy {
        USERFILES_SNAPSHOT, /* the user's files to the snapshot `name` */
        USERFILES_RESTORE,  /* the snapshot `name` to the user's files, which are erased */
        USERFILES_FORK,     /* the user's files to those of the user `name`, who has none */
};

/* Each result appears in one step, or not at all, also after a kill. While a user's files are read the carrel is frozen
 * (pool_hold, pool_freeze); a restore retires it at the end. Each user has one copy at a time.
 *
 * FAULT_NOT_FOUND: no files, no such snapshot. FAULT_NAME_TAKEN: the snapshot exists, or that user has files.
 * FAULT_CARREL_BUSY: a program, a file operation or a lease uses the carrel, or another copy runs. FAULT_STORAGE_FULL:
 * the disk has no room, or a bound of the options is reached. FAULT_FILE_REFUSED: as of storage.h. on_copied runs once;
 * it runs before this returns if *ret_operation is NULL. */
void userfiles_copy(struct userfiles *files, enum userfiles_copy what, const char *user, const char *name,
                    userfiles_on_copied on_copied, void *arg, struct userfiles_operation **ret_operation);
/* The callback never runs; the copy goes on. NULL is fine; returns NULL. */
struct userfiles_operation *userfiles_forget(struct userfiles_operation *operation);

/* Calls visit for each snapshot of the user, in no order; some microseconds each. 0 or a negative errno with why. */
int userfiles_snapshots(const struct userfiles *files, const char *user,
                        void (*visit)(void *arg, const struct snapshot *snapshot), void *arg, struct fault *why);
/* FAULT_NOT_FOUND. */
int userfiles_snapshot(const struct userfiles *files, const char *user, const char *name, struct snapshot *ret_snapshot,
                       struct fault *why);
/* The snapshot is gone at once, its files soon. FAULT_NOT_FOUND; FAULT_CARREL_BUSY: it is being restored. */
int userfiles_snapshot_remove(struct userfiles *files, const char *user, const char *name, struct fault *why);

struct userfiles_stats {
        unsigned erasing; /* trees of files that are still to be removed */
        uint64_t erased, failed;
};
void userfiles_stats(const struct userfiles *files, struct userfiles_stats *ret_stats);
