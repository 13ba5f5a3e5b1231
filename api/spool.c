#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "temporary.h"

/* A peer has read_deadline_s for each piece of this size. */
enum { PIECE_BYTES = 1 << 20 };

int spool_new(struct spool **ret_spool, struct spool_quota *quota, const char *directory, struct fault *why)
{
        struct spool *spool;

        if (quota->max_spools > 0 && quota->n_spools >= quota->max_spools)
                return fault_set(why, FAULT_QUEUE_FULL, EAGAIN,
                                 "%u files and images are on their way here already (max_uploads)", quota->n_spools);
        spool = calloc(1, sizeof *spool);
        if (spool == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        spool->quota = quota;
        spool->credit = PIECE_BYTES;
        spool->fd = temporary_open(directory);
        if (spool->fd < 0) {
                int err = -spool->fd;

                free(spool);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, err, "cannot make a temporary file in %s: %s",
                                 directory, strerror(err));
        }
        quota->n_spools++;
        *ret_spool = spool;
        return 0;
}

struct spool *spool_free(struct spool *spool)
{
        if (spool == NULL)
                return NULL;
        spool->quota->n_spools--;
        spool->quota->bytes -= spool->length;
        close(spool->fd);
        free(spool);
        return NULL;
}

int spool_may_take(const struct spool *spool, uint64_t length, struct fault *why)
{
        const struct spool_quota *quota = spool->quota;

        if (length > spool->max_bytes - spool->length)
                return fault_set(why, FAULT_REQUEST_TOO_LARGE, EMSGSIZE, "the body has more than %llu bytes (%s)",
                                 (unsigned long long)spool->max_bytes, spool->setting);
        if (quota->max_bytes > 0 && length > quota->max_bytes - quota->bytes)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, EDQUOT,
                                 "files and images on their way here would take more than %llu bytes together "
                                 "(uploads_size): try again when some are done",
                                 (unsigned long long)quota->max_bytes);
        return 0;
}

int spool_write(struct spool *spool, const char *bytes, uint64_t length, struct fault *why)
{
        int r = spool_may_take(spool, length, why);

        if (r < 0)
                return r;
        while (length > 0) {
                ssize_t n = write(spool->fd, bytes, length);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return fault_set(why, FAULT_RESOURCE_EXHAUSTED, n < 0 ? errno : ENOSPC,
                                         "the body cannot be kept: %s", strerror(n < 0 ? errno : ENOSPC));
                bytes += n;
                length -= (uint64_t)n;
                spool->length += (uint64_t)n;
                spool->quota->bytes += (uint64_t)n;
        }
        return 0;
}

bool spool_earns(struct spool *spool)
{
        if (spool->length < spool->credit)
                return false;
        /* Starts writing what has come, so that the disk is not asked for gigabytes at once later (sync_file_range(2)
         * does not wait here). */
        (void)sync_file_range(spool->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
        spool->credit = spool->length + PIECE_BYTES;
        return true;
}

int spool_finish(struct spool *spool, struct fault *why)
{
        if (lseek(spool->fd, 0, SEEK_SET) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "the body cannot be read: %s", strerror(errno));
        return 0;
}
