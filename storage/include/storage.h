/* Long work on a user's files: copies, removals, measurements. Each job is one process of carrel-storage, which has the
 * descriptors of the job's directories and nothing else; a hostile tree can fail its job and no more. carreld never
 * walks a user's tree itself. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

struct ev_loop;
struct storage;
struct storage_job;

enum storage_verb {
        STORAGE_CLEAR,   /* removes all in the directory `source` and keeps it, empty; syncfs(2) before and after */
        STORAGE_COPY,    /* copies all in `source`, and source's own mode, time and attributes, to target/files */
        STORAGE_MEASURE, /* counts what is in `source` */
        STORAGE_VERB_COUNT
};

/* The work of a job so far. */
struct storage_tally {
        uint64_t entries;    /* files, directories and all else, without the root; each hard link counts */
        uint64_t bytes;      /* allocated on disk; a file with several hard links is counted once */
        uint64_t size_bytes; /* the sum of the files' sizes, in which a hole counts; each hard link counts */
        /* Of a copy: */
        uint64_t kept;    /* entries that an earlier copy had finished */
        uint64_t cloned;  /* files whose blocks are shared with the source (FICLONE) */
        uint64_t sockets; /* left out */
        uint64_t devices; /* left out */
        uint64_t changed; /* entries that vanished meanwhile; never in a tree whose programs are frozen or gone */
};

/* A copy keeps: contents with their holes, hard links within the tree, symbolic links, FIFOs, modes (without set-id
 * bits), modification times, and extended attributes user.*. Everything belongs to the owner. It leaves out sockets and
 * devices. A file or directory of another owner ends it with FAULT_FILE_REFUSED, because the copy would give the owner
 * what he may not read. So does a file on which a program has a lease, and, also of a MEASURE, a tree with more than
 * 4096 directories one in another.
 *
 * It goes on where an earlier copy into the same target was killed: a file is complete if its size and time are those
 * of the source; the time is set last. target/links has the inodes with several names until the copy is complete. At
 * the end it is written to the disk (syncfs(2)). After a crash of the machine, clear the target first. */
struct storage_order {
        enum storage_verb verb;
        const char *user;              /* whose share of the places it takes; "": the operator's own work */
        uint32_t owner_uid, owner_gid; /* of the files; the process becomes this user; uid never 0 */
        int source_fd;                 /* a directory, O_RDONLY; borrowed during storage_start */
        int target_fd;                 /* of COPY: a directory on any file system, as above; else -1 */
        uint64_t max_bytes;            /* a job with more of storage_tally's bytes ends with FAULT_RESOURCE_EXHAUSTED */
        uint64_t max_entries;          /* the same; both 0: unbounded */
};

struct storage_end {
        struct storage_tally tally; /* also after a fault: how far it came */
        double duration_s;
};

struct storage_events {
        void (*on_progress)(void *arg, const struct storage_tally *tally); /* a few times a second; NULL: not wanted */
        /* Once, from the loop. why NULL: it is done. FAULT_STORAGE_FULL: no room; FAULT_FILE_REFUSED; FAULT_DEADLINE;
         * FAULT_RESOURCE_EXHAUSTED; FAULT_INTERNAL. After a fault a COPY may go on, or the target be cleared. */
        void (*done)(void *arg, const struct storage_end *end, const struct fault *why);
};

/* At most max_jobs processes run at once, and of one user at most a part of them (base/share.h). helper_path: absolute;
 * copied. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int storage_new(struct storage **ret_storage, struct ev_loop *loop,
                                                    const char *helper_path, unsigned max_jobs);
/* Kills all jobs; their done never runs. NULL is fine; returns NULL. */
struct storage *storage_free(struct storage *storage);

/* Starts a job, or lets it wait for a place. Copies the order and duplicates its descriptors. events is borrowed for
 * the job's life. 0, or a negative errno with why: FAULT_QUEUE_FULL; FAULT_RESOURCE_EXHAUSTED. */
__attribute__((warn_unused_result)) int storage_start(struct storage *storage, const struct storage_order *order,
                                                      const struct storage_events *events, void *arg,
                                                      struct storage_job **ret_job, struct fault *why);
/* Kills the process; done never runs. NULL is fine; returns NULL. */
struct storage_job *storage_cancel(struct storage_job *job);

struct storage_stats {
        unsigned running, waiting;
        uint64_t done[STORAGE_VERB_COUNT], failed[STORAGE_VERB_COUNT];
};
void storage_stats(const struct storage *storage, struct storage_stats *ret_stats);
