#include "reader.h"

#include <archive.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "entry.h"

enum { PIECE_BYTES = 1 << 16, FILTERS_MAX = 2 };

struct source {
        int fd; /* borrowed */
        off_t at;
        char piece[PIECE_BYTES];
};

static la_ssize_t on_read(struct archive *archive, void *arg, const void **ret_bytes)
{
        struct source *source = arg;
        ssize_t n = pread(source->fd, source->piece, sizeof source->piece, source->at);

        if (n < 0) {
                archive_set_error(archive, errno, "%s", strerror(errno));
                return -1;
        }
        source->at += n;
        *ret_bytes = source->piece;
        return n;
}

static la_int64_t on_skip(struct archive *archive, void *arg, la_int64_t request)
{
        struct source *source = arg;
        off_t end = lseek(source->fd, 0, SEEK_END);

        (void)archive;
        if (end < source->at || request > end - source->at)
                return 0; /* libarchive then reads, and finds the end of the file */
        source->at += request;
        return request;
}

static int on_close(struct archive *archive, void *arg)
{
        (void)archive;
        free(arg);
        return ARCHIVE_OK;
}

static void enable(struct archive *archive, enum reader_kind kind)
{
        (void)archive_read_support_filter_gzip(archive);
        (void)archive_read_support_filter_bzip2(archive);
        (void)archive_read_support_filter_xz(archive);
        (void)archive_read_support_filter_zstd(archive);
        (void)archive_read_support_filter_lz4(archive);
        if (kind == READER_RAW) {
                (void)archive_read_support_format_raw(archive);
                return;
        }
        (void)archive_read_support_format_tar(archive);
        /* Names are bytes and are not converted. */
        (void)archive_read_set_format_option(archive, "tar", "hdrcharset", "BINARY");
}

int reader_open(struct archive **ret_archive, int fd, enum reader_kind kind, struct fault *why)
{
        struct archive *archive = archive_read_new();
        struct source *source = calloc(1, sizeof *source);

        if (archive == NULL || source == NULL) {
                free(source);
                reader_free(&archive);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        }
        source->fd = fd;
        enable(archive, kind);
        (void)archive_read_set_callback_data(archive, source);
        (void)archive_read_set_read_callback(archive, on_read);
        (void)archive_read_set_skip_callback(archive, on_skip);
        (void)archive_read_set_close_callback(archive, on_close);
        if (archive_read_open1(archive) != ARCHIVE_OK) {
                int r = reader_fault(archive, "the archive", why);

                reader_free(&archive); /* closes the source */
                return r;
        }
        /* The file itself and one compression. Each further one needs memory of its own, and could be a bomb. */
        if (archive_filter_count(archive) > FILTERS_MAX) {
                reader_free(&archive);
                return fault_set(why, FAULT_IMAGE_REFUSED, EINVAL, "the archive is compressed more than once");
        }
        *ret_archive = archive;
        return 0;
}

void reader_free(struct archive **archive)
{
        if (*archive != NULL)
                (void)archive_read_free(*archive);
        *archive = NULL;
}

int reader_fault(struct archive *archive, const char *where, struct fault *why)
{
        const char *text = archive_error_string(archive);
        char shown[ENTRY_SHOWN_BYTES];

        entry_show(text == NULL ? "unreadable" : text, shown);
        if (archive_errno(archive) == ENOMEM)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM,
                                 "%s takes more memory than the unpacker may have", where);
        return fault_set(why, FAULT_IMAGE_REFUSED, EBADMSG, "%s is no whole tar: %s", where, shown);
}
