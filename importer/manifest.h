/* Parses the JSON of docker-archives and OCI layouts. Pure, bounded, fuzzed (tests/fuzz/fuzz_manifest.c). All return 0,
 * -EINVAL with FAULT_IMAGE_REFUSED, or -ENOMEM; outputs are untouched on failure. Sources: OCI image specification 1.0
 * (image-layout.md, manifest.md, config.md), and the docker-archive of docker 20.10 and later ("docker save",
 * manifest.json). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

enum { MANIFEST_LAYERS_MAX = 256, MANIFEST_JSON_MAX_BYTES = 4 << 20, BLOB_PATH_BYTES = 256, BLOB_SHA256_BYTES = 65 };

/* A file of the archive. */
struct blob {
        char path[BLOB_PATH_BYTES];     /* as entry_path gives it */
        char sha256[BLOB_SHA256_BYTES]; /* of its bytes, still compressed; "": not known */
        uint64_t bytes;                 /* UINT64_MAX: not known */
};

struct manifest {
        struct blob config;
        struct blob *layers; /* from the bottom */
        size_t n_layers;
};
void manifest_release(struct manifest *manifest);

/* manifest.json of a docker-archive: exactly one image. */
__attribute__((warn_unused_result)) int manifest_parse_docker(const char *json, size_t length,
                                                              struct manifest *ret_manifest, struct fault *why);

/* Parses index.json of an OCI layout, or an index that it names: exactly one manifest for this architecture ("amd64").
 * *ret_is_index: *ret_blob is another index. */
__attribute__((warn_unused_result)) int manifest_parse_index(const char *json, size_t length, const char *architecture,
                                                             struct blob *ret_blob, bool *ret_is_index,
                                                             struct fault *why);
__attribute__((warn_unused_result)) int manifest_parse_oci(const char *json, size_t length,
                                                           struct manifest *ret_manifest, struct fault *why);

struct image_config {
        char **environment; /* "K=V", NULL-terminated */
        bool has_volumes;
        char (*diff_ids)[BLOB_SHA256_BYTES]; /* of the layers, decompressed */
        size_t n_diff_ids;
};
void image_config_release(struct image_config *config);

/* An image's configuration, which must be for linux and this architecture. */
__attribute__((warn_unused_result)) int image_config_parse(const char *json, size_t length, const char *architecture,
                                                           struct image_config *ret_config, struct fault *why);
