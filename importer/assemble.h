/* An archive, whatever kind, as one root tree. Runs confined: everything it reads is hostile. */
#pragma once

#include <stdint.h>

#include "fault.h"
#include "image-store.h"

struct assembly {
        int archive_fd; /* a regular file */
        int outer_fd;   /* empty directory: the archive as it is */
        int rootfs_fd;  /* empty directory: the result */
        enum image_format format;
        uint64_t max_bytes;
        uint64_t max_entries;
};

/* IMAGE_AUTO: a docker-archive when there is a manifest.json, an OCI layout when there is an oci-layout, else the root
 * tree itself. *ret_in_outer: the tree is in outer_fd (it was no archive of layers). ret_image gets environment and
 * has_volumes. FAULT_IMAGE_REFUSED, FAULT_RESOURCE_EXHAUSTED. */
__attribute__((warn_unused_result)) int assemble(const struct assembly *assembly, struct stored_image *ret_image,
                                                 bool *ret_in_outer, struct fault *why);
