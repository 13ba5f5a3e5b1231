/* Inside the embedded engine only: the record of a container. It is written before a runtime hears of the container and
 * removed after everything else of it is gone, so that recovery after a kill -9 finds all that is left. */
#pragma once

#include <ev.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "image-reference.h"
#include "list.h"
#include "wire.h"

enum { OCI_ID_BYTES = 65, OCI_CGROUP_BYTES = 320, OCI_RECORD_MAX = 256 * 1024, OCI_LABELS_MAX = 64 };

struct oci;

struct oci_container {
        struct list node;
        UT_hash_handle by_id; /* its tbl is NULL: not among the engine's containers */
        struct oci *oci;
        struct container_info info; /* status, pid and exit code are only in memory; the rest is recorded */
        char image_id[IMAGE_ID_BYTES];
        char cgroup[OCI_CGROUP_BYTES]; /* below each hierarchy's root, beginning with '/', ending with the id */
        uint32_t userns_base;          /* 0: no user namespace */
        uint32_t uid, gid;             /* of its programs, inside */
        char *working_dir;
        char **environment; /* NULL-terminated */
        uint32_t nofile;
        char **points; /* oci_points_make; only in memory, as carreld starts what it creates; NULL: none */
        int pidfd;     /* of its process 1; -1 */
        ev_io on_exit; /* on pidfd */
        int image_hold_fd;
        unsigned n_calls; /* calls that run a runtime on it now */
};

struct oci_container *oci_container_new(struct oci *oci);
struct oci_container *oci_container_free(struct oci_container *container);

/* malloc'd JSON; NULL when out of memory. */
char *oci_container_encode(const struct oci_container *container);
/* Fills a new container. 0, -EBADMSG or -ENOMEM; what was filled so far is released with the container. */
int oci_container_decode(struct oci_container *container, const char *json, size_t length);

/* Exchanges the names and the labels of the two. */
void oci_container_exchange(struct container_info *a, struct container_info *b);

bool oci_container_is_id(const char *text);
/* Of letters, digits, '.', '_' and '-', not beginning with '.': it is a file's name, too (oci-names.c). */
bool oci_container_is_name(const char *text);
