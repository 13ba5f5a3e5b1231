/* The promises that verify/ finds kept in a carrel's mounts. A carrel of an earlier template is held to that template's
 * promises. */
#pragma once

#include "host-mounts.h"
#include "mounts.h"

struct carrel;

enum { TMPFS_PROMISES = 3 };

/* Must not be moved: whole points to the rest. */
struct mount_promises {
        struct mounts_promise whole;
        struct mount_promise mounts[HOST_MOUNTS_MAX];
        struct tmpfs_promise tmpfs[TMPFS_PROMISES];
};

/* Opens each source of the carrel's mounts. 0, or a negative errno with the fault of host_mount_open. */
__attribute__((warn_unused_result)) int mount_promises_make(const struct carrel *carrel,
                                                            struct mount_promises *ret_promises, struct fault *why);
