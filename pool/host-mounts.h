/* The operator's mounts: directories and files of the host that the settings put into carrels. `mounts` is for every
 * carrel; a mount set has a name, for which an ensure can ask. No client can name a path. All pure but
 * host_mounts_open. */
#pragma once

#include "pool.h"

enum { HOST_MOUNTS_MAX = 32 };

struct host_mount {
        const char *source; /* absolute path of the host */
        const char *target; /* absolute path inside */
        bool is_read_only;
};

/* Sorted by target. */
struct host_mounts {
        char *text; /* has all paths */
        size_t n;
        struct host_mount at[HOST_MOUNTS_MAX];
};

/* Those of every carrel and those of the named sets: names as in struct carrel_spec. FAULT_REQUEST_INVALID: there is no
 * such set (-ENOENT), or two of them have the same place inside. FAULT_SETTING_INVALID: host_mounts_check refuses them.
 * Returns 0 or a negative errno; on failure there is nothing to release. */
__attribute__((warn_unused_result)) int host_mounts_find(const struct pool_options *options, const char *names,
                                                         struct host_mounts *ret_mounts, struct fault *why);
void host_mounts_release(struct host_mounts *mounts);

/* Whether the text is one or more names of sets, separated by commas. */
bool host_mounts_are_names(const char *text);

/* Checks the mounts of every carrel, and each set together with them. A source is an absolute path. A target is one,
 * too, and neither holds, nor lies in, a place that every carrel has (host-mounts.c) or another target. */
int host_mounts_check(const struct pool_options *options, struct fault *why);

/* Opens the source (O_PATH). Every ancestor must be root's, and it must be a directory or a file. FAULT_SETTING_INVALID
 * otherwise. */
__attribute__((warn_unused_result)) int host_mount_open(const struct host_mount *mount, int *ret_fd, struct fault *why);
