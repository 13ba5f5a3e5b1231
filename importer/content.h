/* The id of an image: the digest of its tree and of what belongs to it. The same content has the same id, whatever
 * archive it came from; times, owners and hard links are not content. docs/images.md describes what is hashed. */
#pragma once

#include "fault.h"
#include "image-store.h"

/* Reads the whole tree below rootfs_fd (made by tree.h: no device in it) and sets image->id, bytes and entries. */
__attribute__((warn_unused_result)) int content_digest(int rootfs_fd, struct stored_image *image, struct fault *why);
