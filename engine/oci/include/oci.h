/* The embedded engine: OCI containers without an engine daemon. It runs an OCI runtime (crun, else runc) as a
 * short-lived child for each operation. Only the container's own process 1 stays. docs/engines.md says what was decided
 * and why. The keys of config.json are from the OCI runtime specification 1.0, the command lines from crun(1) and
 * runc(8). */
#pragma once

#include "engine.h"
#include "image-store.h"

enum oci_userns {
        OCI_USERNS_AUTO,    /* if the host supports it; `about` says so if it does not */
        OCI_USERNS_OFF,     /* never */
        OCI_USERNS_REQUIRE, /* the engine is unavailable without it */
};

/* Everything is copied. */
struct oci_options {
        const char *state_dir;      /* absolute, on a tmpfs, below directories of root's: made if absent, 0711 */
        const char *image_dir;      /* of the image store */
        const char *image_helper;   /* carrel-image, absolute; NULL: images are neither loaded nor removed */
        uint64_t image_max_bytes;   /* of an archive, and of what it unpacks to */
        uint64_t image_max_entries; /* files, directories and links */
        const char *users_dir;      /* its file system must allow idmapped mounts; bound with nosuid, nodev; or NULL */
        const char *runtime;        /* a name on the system's path, or an absolute path; "" or NULL: crun, else runc */
        const char *runtime_args;   /* options for it, before each command, separated by blanks; may be NULL */
        enum oci_userns userns;
        uint32_t userns_base; /* the first host id of the first range of PROFILE_USERNS_IDS; a multiple of it */
};

/* Finds the runtime and clears what an earlier process left half-made; takes some 10 ms. A missing or too old runtime
 * is no error here, nor are user namespaces that are required and not possible. The engine is then unavailable, `list`
 * and `about` say why, and each list tries again. Returns 0, or a negative errno when its directory cannot be made. */
__attribute__((warn_unused_result)) int oci_new(struct engine **ret_engine, struct ev_loop *loop,
                                                const struct oci_options *options, struct fault *why);
