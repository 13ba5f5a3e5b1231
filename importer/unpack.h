/* Archives into a tree, by libarchive. Run it confined (confine.h): the bytes are hostile. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

/* The remaining allowance; shared by all layers of an image. */
struct budget {
        uint64_t bytes; /* logical: a hole counts */
        uint64_t entries;
};

/* Unpacks a tar, plain or compressed (gzip, bzip2, xz, zstd, lz4), from the beginning of a regular file.
 * is_layer: whiteouts remove what is there from before. Nothing in the message but what is the archive's fault:
 * FAULT_IMAGE_REFUSED; FAULT_RESOURCE_EXHAUSTED: the disk is full, or no memory. */
__attribute__((warn_unused_result)) int unpack_tar(int archive_fd, int root_fd, bool is_layer, struct budget *budget,
                                                   struct fault *why);

/* The SHA-256 of a file, and of what it is when it is decompressed; 64 hexadecimal digits. The second
 * takes what it unpacks from *left, and refuses what is more. */
enum { SHA256_TEXT_BYTES = 65 };
__attribute__((warn_unused_result)) int sha256_file(int fd, char ret_text[static SHA256_TEXT_BYTES], struct fault *why);
__attribute__((warn_unused_result)) int sha256_content(int fd, uint64_t *left, char ret_text[static SHA256_TEXT_BYTES],
                                                       struct fault *why);
