/* Unpacks archives into a tree with libarchive. Run it confined (confine.h): the bytes are hostile. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

/* The bytes and entries that may still be unpacked; all layers of an image share them. */
struct budget {
        uint64_t bytes; /* logical: a hole counts */
        uint64_t entries;
};

/* Unpacks a tar, plain or compressed (gzip, bzip2, xz, zstd, lz4), from the beginning of a regular file. is_layer:
 * whiteouts remove files of the layers below. FAULT_IMAGE_REFUSED: the archive is at fault; FAULT_RESOURCE_EXHAUSTED:
 * the disk is full, or there is no memory. */
__attribute__((warn_unused_result)) int unpack_tar(int archive_fd, int root_fd, bool is_layer, struct budget *budget,
                                                   struct fault *why);

/* The SHA-256 of a file, and of the file when decompressed; 64 hexadecimal digits. The second takes its bytes from
 * *left, and refuses a file that needs more. */
enum { SHA256_TEXT_BYTES = 65 };
__attribute__((warn_unused_result)) int sha256_file(int fd, char ret_text[static SHA256_TEXT_BYTES], struct fault *why);
__attribute__((warn_unused_result)) int sha256_content(int fd, uint64_t *left, char ret_text[static SHA256_TEXT_BYTES],
                                                       struct fault *why);
