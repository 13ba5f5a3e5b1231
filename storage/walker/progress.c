#include "progress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEPS_PER_LOOK = 64, REPORT_MS = 200, BLOCK_BYTES = 512 };

static int send_report(const struct progress *progress, uint16_t kind, const struct fault *why)
{
        struct storage_report report = {
                .magic = STORAGE_MAGIC, .version = STORAGE_VERSION, .kind = kind, .tally = progress->tally
        };

        if (why != NULL) {
                report.fault = why->kind;
                report.err = (uint32_t)why->err;
                (void)snprintf(report.message, sizeof report.message, "%s", why->message);
        }
        return write(progress->fd, &report, sizeof report) == (ssize_t)sizeof report ? 0 : -EIO;
}

void progress_tick(struct progress *progress)
{
        struct timespec now;
        long passed_ms;

        if (++progress->n_silent < STEPS_PER_LOOK)
                return;
        progress->n_silent = 0;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        passed_ms =
                (now.tv_sec - progress->reported.tv_sec) * 1000 + (now.tv_nsec - progress->reported.tv_nsec) / 1000000;
        if (passed_ms < REPORT_MS)
                return;
        progress->reported = now;
        (void)send_report(progress, STORAGE_PROGRESS, NULL); /* without a reader the end fails too */
}

int progress_count(struct progress *progress, const struct stat *status, struct fault *why)
{
        struct storage_tally *tally = &progress->tally;
        uint64_t bytes = (uint64_t)status->st_blocks * BLOCK_BYTES;

        tally->entries++;
        /* Each of a file's names adds its part, so that no table of inodes is needed. */
        tally->bytes += !S_ISDIR(status->st_mode) && status->st_nlink > 1 ? bytes / status->st_nlink : bytes;
        if (S_ISREG(status->st_mode))
                tally->size_bytes += (uint64_t)status->st_size;
        progress_tick(progress);
        if (progress->max_bytes != 0 && tally->bytes > progress->max_bytes)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, EDQUOT, "the files have more than %llu bytes",
                                 (unsigned long long)progress->max_bytes);
        if (progress->max_entries != 0 && tally->entries > progress->max_entries)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, EDQUOT, "there are more than %llu files",
                                 (unsigned long long)progress->max_entries);
        return 0;
}

int progress_end(struct progress *progress, const struct fault *why)
{
        return send_report(progress, STORAGE_END, why);
}

int progress_fail(const char *what, int r, struct fault *why)
{
        if (r == -ENOSPC || r == -EDQUOT)
                return fault_set(why, FAULT_STORAGE_FULL, -r, "cannot %s: the disk has no room", what);
        if (r == -ESTALE)
                return fault_set(why, FAULT_FILE_REFUSED, -r, "the files changed while they were read");
        if (r == -EXDEV)
                return fault_set(why, FAULT_FILE_REFUSED, -r, "another file system is mounted among the files");
        if (r == -ENAMETOOLONG)
                return fault_set(why, FAULT_FILE_REFUSED, -r, "the directories are nested too deeply");
        if (r == -EAGAIN)
                return fault_set(why, FAULT_FILE_REFUSED, -r,
                                 "a program has a lease on a file (F_SETLEASE): end the program first");
        return fault_set(why, r == -ENOMEM ? FAULT_RESOURCE_EXHAUSTED : FAULT_FILE_REFUSED, -r, "cannot %s: %s", what,
                         strerrordesc_np(-r));
}
