/* The digests of unpack.h. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reader.h"
#include "scope.h"
#include "unpack.h"

enum { PIECE_BYTES = 1 << 16 };

static void finish(struct sha256_ctx *context, char ret_text[static SHA256_TEXT_BYTES])
{
        uint8_t digest[SHA256_DIGEST_SIZE];

        sha256_digest(context, sizeof digest, digest);
        for (size_t i = 0; i < sizeof digest; i++)
                (void)snprintf(ret_text + 2 * i, 3, "%02x", digest[i]);
}

int sha256_file(int fd, char ret_text[static SHA256_TEXT_BYTES], struct fault *why)
{
        struct sha256_ctx context;
        uint8_t piece[PIECE_BYTES];
        off_t at = 0;
        ssize_t n;

        sha256_init(&context);
        while ((n = pread(fd, piece, sizeof piece, at)) > 0) {
                sha256_update(&context, (size_t)n, piece);
                at += n;
        }
        if (n < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot read the archive: %s", strerror(errno));
        finish(&context, ret_text);
        return 0;
}

int sha256_content(int fd, uint64_t *left, char ret_text[static SHA256_TEXT_BYTES], struct fault *why)
{
        AUTO(reader_free) struct archive *archive = NULL;
        struct sha256_ctx context;
        struct archive_entry *entry;
        uint8_t piece[PIECE_BYTES];
        la_ssize_t n;
        int r = reader_open(&archive, fd, READER_RAW, why);

        if (r < 0)
                return r;
        if (archive_read_next_header(archive, &entry) != ARCHIVE_OK)
                return reader_fault(archive, "the layer", why);
        sha256_init(&context);
        while ((n = archive_read_data(archive, piece, sizeof piece)) > 0) {
                if ((uint64_t)n > *left)
                        return fault_set(why, FAULT_IMAGE_REFUSED, EFBIG,
                                         "the layers unpack to more than allowed (image_max_size)");
                *left -= (uint64_t)n;
                sha256_update(&context, (size_t)n, piece);
        }
        if (n < 0)
                return reader_fault(archive, "the layer", why);
        finish(&context, ret_text);
        return 0;
}
