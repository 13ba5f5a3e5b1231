/* The id of an image: the digest of its tree and of what belongs to it. The same content has the same id, whatever
 * archive it came from; times, owners and hard links are not content. docs/images.md describes what is hashed. */
#pragma once

#include "fault.h"
#include "image-store.h"
#include "unpack.h"

/* Reads the whole tree below rootfs_fd, each file once, and sets image->id, bytes and entries. The tree may have been
 * made by a program that its archive has taken over: FAULT_IMAGE_REFUSED when it is more than *limits, deeper than
 * ENTRY_DEPTH_MAX, or has anything that tree.h does not make. FAULT_RESOURCE_EXHAUSTED, FAULT_INTERNAL. */
__attribute__((warn_unused_result)) int content_digest(int rootfs_fd, const struct budget *limits,
                                                       struct stored_image *image, struct fault *why);
