/* The reports of carrel-storage, and the bounds of its job. */
#pragma once

#include <time.h>

#include "storage-report.h"

struct progress {
        int fd;
        uint64_t max_bytes, max_entries; /* 0: unbounded */
        struct storage_tally tally;
        struct timespec reported; /* when the last report was sent */
        unsigned n_silent;        /* steps since the clock was read */
};

/* After each step, and after each piece of a large file: reports now and then. */
void progress_tick(struct progress *progress);

/* Adds an entry to the tally. 0, or -EDQUOT with why: it is one too many. */
struct stat;
__attribute__((warn_unused_result)) int progress_count(struct progress *progress, const struct stat *status,
                                                       struct fault *why);

/* why NULL or without a kind: it is done. 0 or a negative errno. */
__attribute__((warn_unused_result)) int progress_end(struct progress *progress, const struct fault *why);

/* A fault of this errno while carrel-storage did something ("write a file"). */
int progress_fail(const char *what, int r, struct fault *why);
