/* Unpacks an archive of any format into one root tree. Runs confined: everything it reads is hostile. */
#pragma once

#include <stdint.h>

#include "fault.h"
#include "image-store.h"

struct assembly {
        int archive_fd; /* a regular file */
        int outer_fd;   /* empty directory for the archive's own files */
        int rootfs_fd;  /* empty directory for the result */
        enum image_format format;
        uint64_t max_bytes;
        uint64_t max_entries;
};

/* IMAGE_AUTO: a docker-archive if it has a manifest.json, an OCI layout if it has an oci-layout, else the root tree
 * itself. *ret_in_outer: the tree is in outer_fd, because the archive has no layers. ret_image gets environment and
 * has_volumes. FAULT_IMAGE_REFUSED, FAULT_RESOURCE_EXHAUSTED. */
__attribute__((warn_unused_result)) int assemble(const struct assembly *assembly, struct stored_image *ret_image,
                                                 bool *ret_in_outer, struct fault *why);
