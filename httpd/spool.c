#include "spool-quota.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "str.h"
#include "temporary.h"

enum { SPOOL_PLACES, SPOOL_BYTES };
enum { SYNC_BYTES = 1 << 20 };

static uint64_t *held_by(const struct spool *spool, int thing)
{
        return spool->user == NULL ? NULL : &spool->user->held[thing];
}

/* ---- in a file ---- */

static int refuse_disk(const struct spool *spool, int err, const char *deed, struct fault *why)
{
        bool is_full = err == ENOSPC || err == EDQUOT;

        return fault_set(why, is_full ? FAULT_STORAGE_FULL : FAULT_RESOURCE_EXHAUSTED, err,
                         "cannot %s in %s, the directory for large bodies (spool_dir): %s%s", deed,
                         spool->quota->directory, strerror(err),
                         is_full ? "; the operator must make room there, or give it a disk of its own" : "");
}

static int append(struct spool *spool, const char *bytes, uint64_t length, struct fault *why)
{
        while (length > 0) {
                ssize_t n = write(spool->fd, bytes, length);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return refuse_disk(spool, n < 0 ? errno : ENOSPC, "write", why);
                bytes += n;
                length -= (uint64_t)n;
        }
        return 0;
}

static int open_file(struct spool *spool, struct fault *why)
{
        if (spool->quota->directory == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOENT, "there is no directory for large bodies");
        spool->fd = temporary_open(spool->quota->directory);
        return spool->fd < 0 ? refuse_disk(spool, -spool->fd, "make a file", why) : 0;
}

static void forget_memory(struct spool *spool)
{
        spool->quota->memory_bytes -= spool->head.length;
        buffer_free(&spool->head);
}

static int move_to_file(struct spool *spool, struct fault *why)
{
        int r = open_file(spool, why);

        if (r == 0)
                r = append(spool, spool->head.data, spool->head.length, why);
        if (r == 0)
                forget_memory(spool);
        return r;
}

/* ---- its life ---- */

static int take_place(struct spool *spool, struct fault *why)
{
        struct share *places = &spool->quota->places;
        int r = share_take(places, held_by(spool, SPOOL_PLACES), 1);

        if (r == -EDQUOT)
                return fault_set(why, FAULT_QUEUE_FULL, EDQUOT,
                                 "%llu uploads of %s are in progress, the most that one user may have of max_uploads",
                                 (unsigned long long)share_part(places), spool->user->name);
        if (r < 0)
                return fault_set(why, FAULT_QUEUE_FULL, EAGAIN,
                                 "%llu uploads of files and images are in progress already (max_uploads)",
                                 (unsigned long long)places->used);
        return 0;
}

int spool_new(struct spool **ret_spool, struct spool_quota *quota, const char *user, const struct spool_limit *limit,
              struct fault *why)
{
        struct spool *spool = calloc(1, sizeof *spool);
        int r;

        if (spool == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        spool->quota = quota;
        spool->limit = limit;
        spool->fd = -1;
        if (user != NULL)
                spool->user = sharer_join(&quota->users, user);
        if (user != NULL && spool->user == NULL)
                r = fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        else
                r = take_place(spool, why);
        if (r < 0) {
                sharer_leave(&quota->users, spool->user);
                free(spool);
                return r;
        }
        if (user == NULL) {
                r = open_file(spool, why);
                if (r < 0) {
                        spool_free(spool);
                        return r;
                }
        }
        *ret_spool = spool;
        return 0;
}

struct spool *spool_free(struct spool *spool)
{
        if (spool == NULL)
                return NULL;
        share_give(&spool->quota->places, held_by(spool, SPOOL_PLACES), 1);
        share_give(&spool->quota->bytes, held_by(spool, SPOOL_BYTES), spool->length);
        sharer_leave(&spool->quota->users, spool->user);
        forget_memory(spool);
        if (spool->fd >= 0)
                close(spool->fd);
        free(spool);
        return NULL;
}

/* ---- bytes ---- */

int spool_may_take(const struct spool *spool, uint64_t length, struct fault *why)
{
        const struct share *bytes = &spool->quota->bytes;
        char size[STR_SIZE_BYTES];
        int r;

        if (length > spool->limit->max_bytes - spool->length)
                return fault_set(why, FAULT_REQUEST_TOO_LARGE, EMSGSIZE, "the body has more than %s (%s)",
                                 str_size(spool->limit->max_bytes, size), spool->limit->setting);
        r = share_check(bytes, held_by(spool, SPOOL_BYTES), length);
        if (r == -EDQUOT)
                return fault_set(
                        why, FAULT_QUEUE_FULL, EDQUOT,
                        "the uploads of %s would take more than %s together, the most that one user may have of "
                        "uploads_size: try again when some have finished",
                        spool->user->name, str_size(share_part(bytes), size));
        if (r < 0)
                return fault_set(
                        why, FAULT_RESOURCE_EXHAUSTED, EDQUOT,
                        "the uploads of files and images would take more than %s together (uploads_size): try again "
                        "when some have finished",
                        str_size(bytes->bound, size));
        return 0;
}

static bool fits_into_memory(const struct spool *spool, uint64_t length)
{
        return spool->fd < 0 && spool->length + length <= SPOOL_MEMORY_BYTES &&
               spool->quota->memory_bytes + length <= SPOOLS_MEMORY_BYTES;
}

static int keep(struct spool *spool, const char *bytes, uint64_t length, struct fault *why)
{
        int r = 0;

        if (fits_into_memory(spool, length)) {
                if (buffer_append(&spool->head, bytes, length) < 0)
                        return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
                spool->quota->memory_bytes += length;
                return 0;
        }
        if (spool->fd < 0)
                r = move_to_file(spool, why);
        if (r == 0)
                r = append(spool, bytes, length, why);
        return r;
}

int spool_write(struct spool *spool, const char *bytes, uint64_t length, struct fault *why)
{
        int r = spool_may_take(spool, length, why);

        if (r == 0)
                r = keep(spool, bytes, length, why);
        if (r < 0)
                return r;
        /* Starts the write-back now, so that the disk does not get gigabytes at once later. Without the WAIT flags
         * sync_file_range(2) does not wait. */
        if (spool->fd >= 0 && (spool->length + length) / SYNC_BYTES > spool->length / SYNC_BYTES)
                (void)sync_file_range(spool->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
        spool->length += length;
        share_charge(&spool->quota->bytes, held_by(spool, SPOOL_BYTES), length);
        return 0;
}

int spool_finish(struct spool *spool, struct fault *why)
{
        if (spool->fd >= 0 && lseek(spool->fd, 0, SEEK_SET) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "the body cannot be read: %s", strerror(errno));
        return 0;
}
