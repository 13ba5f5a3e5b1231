#include "assemble.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "entry.h"
#include "manifest.h"
#include "scope.h"
#include "str.h"
#include "tree.h"
#include "unpack.h"

enum { INDEX_DEPTH_MAX = 2 };

/* The architecture's name in OCI images, which is Go's. */
#if defined(__x86_64__)
#define ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#elif defined(__riscv)
#define ARCHITECTURE "riscv64"
#else
#error "name this architecture as OCI images do"
#endif

/* ---- the files of the archive ---- */

/* The path comes from the archive. */
static int refuse(const struct blob *blob, int err, const char *reason, struct fault *why)
{
        char shown[ENTRY_SHOWN_BYTES];

        entry_show(blob->path, shown);
        return fault_set(why, FAULT_IMAGE_REFUSED, err, "%s %s", shown, reason);
}

static int check_blob(const struct blob *blob, int fd, struct fault *why)
{
        char reason[SHA256_TEXT_BYTES + 64];
        char sha256[SHA256_TEXT_BYTES];
        struct stat about;
        int r;

        if (fstat(fd, &about) < 0)
                return refuse(blob, errno, "cannot be read", why);
        if (blob->bytes != UINT64_MAX && (uint64_t)about.st_size != blob->bytes) {
                (void)snprintf(reason, sizeof reason, "has %llu bytes, and its descriptor says %llu",
                               (unsigned long long)about.st_size, (unsigned long long)blob->bytes);
                return refuse(blob, EBADMSG, reason, why);
        }
        if (blob->sha256[0] == '\0')
                return 0;
        r = sha256_file(fd, sha256, why);
        if (r < 0 || str_equal(sha256, blob->sha256))
                return r;
        (void)snprintf(reason, sizeof reason, "has the digest sha256:%s", sha256);
        return refuse(blob, EBADMSG, reason, why);
}

static int open_blob(const struct assembly *assembly, const struct blob *blob, int *ret_fd, struct fault *why)
{
        AUTO(auto_close) int fd = -1;
        int r;

        if (tree_open(assembly->outer_fd, blob->path, &fd) < 0) {
                char shown[ENTRY_SHOWN_BYTES];

                entry_show(blob->path, shown);
                return fault_set(why, FAULT_IMAGE_REFUSED, ENOENT, "the archive lacks the file %s", shown);
        }
        r = check_blob(blob, fd, why);
        if (r == 0)
                *ret_fd = TAKE_FD(fd);
        return r;
}

/* Reads a JSON file, malloc'd and NUL-terminated. */
static int read_json(const struct assembly *assembly, const struct blob *blob, struct buffer *ret_text,
                     struct fault *why)
{
        AUTO(auto_close) int fd = -1;
        char piece[16384];
        ssize_t n;
        int r = open_blob(assembly, blob, &fd, why);

        if (r < 0)
                return r;
        while ((n = read(fd, piece, sizeof piece)) > 0) {
                if (ret_text->length + (size_t)n > MANIFEST_JSON_MAX_BYTES)
                        return refuse(blob, EFBIG, "is too long", why);
                if (buffer_append(ret_text, piece, (size_t)n) < 0)
                        return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        }
        if (n < 0 || ret_text->length == 0)
                return refuse(blob, EBADMSG, "is empty", why);
        return 0;
}

/* ---- layers ---- */

/* The bytes left for all layers together. A layer that is named several times is read, and counted, each time. */
struct work {
        struct budget budget;
        uint64_t packed;   /* bytes to read */
        uint64_t unpacked; /* bytes they unpack to, their tar's own included */
};

static int charge(int fd, struct work *work, struct fault *why)
{
        struct stat about;

        if (fstat(fd, &about) < 0 || (uint64_t)about.st_size > work->packed)
                return fault_set(why, FAULT_IMAGE_REFUSED, EFBIG,
                                 "the layers together are larger than allowed (image_max_size)");
        work->packed -= (uint64_t)about.st_size;
        return 0;
}

static int apply_layer(const struct assembly *assembly, const struct blob *layer, const char *diff_id,
                       struct work *work, struct fault *why)
{
        AUTO(auto_close) int fd = -1;
        char sha256[SHA256_TEXT_BYTES];
        int r = open_blob(assembly, layer, &fd, why);

        if (r == 0)
                r = charge(fd, work, why);
        if (r == 0)
                r = sha256_content(fd, &work->unpacked, sha256, why);
        if (r == 0 && !str_equal(sha256, diff_id)) {
                char shown[ENTRY_SHOWN_BYTES];

                entry_show(layer->path, shown);
                r = fault_set(why, FAULT_IMAGE_REFUSED, EBADMSG,
                              "layer %s unpacks to the digest sha256:%s, and the configuration says otherwise", shown,
                              sha256);
        }
        return r < 0 ? r : unpack_tar(fd, assembly->rootfs_fd, true, &work->budget, why);
}

static int apply(const struct assembly *assembly, const struct manifest *manifest, struct stored_image *image,
                 struct fault *why)
{
        AUTO(image_config_release) struct image_config config = { 0 };
        AUTO(buffer_free) struct buffer text = { 0 };
        struct work work = { .budget = { assembly->max_bytes, assembly->max_entries },
                             .packed = assembly->max_bytes,
                             .unpacked = assembly->max_bytes };
        int r = read_json(assembly, &manifest->config, &text, why);

        if (r == 0)
                r = image_config_parse(text.data, text.length, ARCHITECTURE, &config, why);
        if (r < 0)
                return r;
        if (config.n_diff_ids != manifest->n_layers || config.n_diff_ids == 0)
                return fault_set(why, FAULT_IMAGE_REFUSED, EBADMSG, "the image has %zu layers and %zu diff_ids",
                                 manifest->n_layers, config.n_diff_ids);
        for (size_t i = 0; r == 0 && i < manifest->n_layers; i++)
                r = apply_layer(assembly, &manifest->layers[i], config.diff_ids[i], &work, why);
        if (r < 0)
                return r;
        image->environment = TAKE(config.environment);
        image->has_volumes = config.has_volumes;
        return 0;
}

/* ---- the formats ---- */

static int take_docker(const struct assembly *assembly, struct stored_image *image, struct fault *why)
{
        const struct blob file = { .path = "manifest.json", .bytes = UINT64_MAX };
        AUTO(manifest_release) struct manifest manifest = { 0 };
        AUTO(buffer_free) struct buffer text = { 0 };
        int r = read_json(assembly, &file, &text, why);

        if (r == 0)
                r = manifest_parse_docker(text.data, text.length, &manifest, why);
        return r < 0 ? r : apply(assembly, &manifest, image, why);
}

static int find_manifest(const struct assembly *assembly, struct blob *ret_blob, struct fault *why)
{
        struct blob blob = { .path = "index.json", .bytes = UINT64_MAX };
        bool is_index = true;

        for (unsigned depth = 0; is_index; depth++) {
                AUTO(buffer_free) struct buffer text = { 0 };
                int r = read_json(assembly, &blob, &text, why);

                if (r == 0 && depth > INDEX_DEPTH_MAX)
                        r = fault_set(why, FAULT_IMAGE_REFUSED, ELOOP, "the archive's indexes are nested too deep");
                if (r == 0)
                        r = manifest_parse_index(text.data, text.length, ARCHITECTURE, &blob, &is_index, why);
                if (r < 0)
                        return r;
        }
        *ret_blob = blob;
        return 0;
}

static int take_oci(const struct assembly *assembly, struct stored_image *image, struct fault *why)
{
        AUTO(manifest_release) struct manifest manifest = { 0 };
        AUTO(buffer_free) struct buffer text = { 0 };
        struct blob blob;
        int r = find_manifest(assembly, &blob, why);

        if (r == 0)
                r = read_json(assembly, &blob, &text, why);
        if (r == 0)
                r = manifest_parse_oci(text.data, text.length, &manifest, why);
        return r < 0 ? r : apply(assembly, &manifest, image, why);
}

static bool has_file(const struct assembly *assembly, const char *name)
{
        AUTO(auto_close) int fd = -1;

        return tree_open(assembly->outer_fd, name, &fd) == 0;
}

static enum image_format find_format(const struct assembly *assembly)
{
        if (assembly->format != IMAGE_AUTO)
                return assembly->format;
        if (has_file(assembly, "manifest.json"))
                return IMAGE_DOCKER;
        return has_file(assembly, "oci-layout") ? IMAGE_OCI : IMAGE_ROOTFS;
}

int assemble(const struct assembly *assembly, struct stored_image *ret_image, bool *ret_in_outer, struct fault *why)
{
        struct budget budget = { assembly->max_bytes, assembly->max_entries };
        int r = unpack_tar(assembly->archive_fd, assembly->outer_fd, false, &budget, why);

        if (r < 0)
                return r;
        if (budget.entries == assembly->max_entries)
                return fault_set(why, FAULT_IMAGE_REFUSED, ENOENT, "the archive is empty");
        *ret_in_outer = false;
        switch (find_format(assembly)) {
        case IMAGE_DOCKER:
                return take_docker(assembly, ret_image, why);
        case IMAGE_OCI:
                return take_oci(assembly, ret_image, why);
        case IMAGE_AUTO:
        case IMAGE_ROOTFS:
                break;
        }
        *ret_in_outer = true;
        return 0;
}
