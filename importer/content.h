/* The id of an image: the digest of its tree and of its configuration. The same content has the same id, from any
 * archive: times, owners and hard links are not content. docs/images.md describes what is hashed. */
#pragma once

#include "fault.h"
#include "image-store.h"
#include "unpack.h"

/* Reads the whole tree below rootfs_fd, each file once, and sets image->id, bytes and entries. The archive may have
 * taken over the unpacker that made the tree. FAULT_IMAGE_REFUSED when the tree exceeds *limits, is deeper than
 * ENTRY_DEPTH_MAX, or has a file that tree.h does not make. FAULT_RESOURCE_EXHAUSTED, FAULT_INTERNAL. */
__attribute__((warn_unused_result)) int content_digest(int rootfs_fd, const struct budget *limits,
                                                       struct stored_image *image, struct fault *why);
