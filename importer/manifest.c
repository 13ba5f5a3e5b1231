#include "manifest.h"

#include <cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "entry.h"
#include "scope.h"
#include "str.h"

/* 2^53: up to here a double holds every whole number. */
#define WHOLE_MAX 9007199254740992.0

/* Limits: entries, bytes of one entry (below MAX_ARG_STRLEN of execve(2)), and bytes of all. carreld can read all of
 * them back from the store, even if every byte is escaped. */
enum { ENVIRONMENT_MAX = 1024, ENVIRONMENT_ENTRY_MAX_BYTES = 1 << 16, ENVIRONMENT_MAX_BYTES = 1 << 17 };

static int refuse(struct fault *why, const char *reason)
{
        return fault_set(why, FAULT_IMAGE_REFUSED, EINVAL, "the archive's %s", reason);
}

static int out_of_memory(struct fault *why)
{
        return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
}

static const cJSON *member(const cJSON *object, const char *key)
{
        return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *text_of(const cJSON *object, const char *key)
{
        return cJSON_GetStringValue(member(object, key));
}

static void auto_delete(cJSON **tree)
{
        cJSON_Delete(*tree);
}

static bool is_hex(const char *text)
{
        return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

/* The digits of "sha256:<64 hex>", or NULL. */
static const char *digest_digits(const char *text)
{
        static const char PREFIX[] = "sha256:";

        if (text == NULL || strncmp(text, PREFIX, sizeof PREFIX - 1) != 0 || !is_hex(text + sizeof PREFIX - 1))
                return NULL;
        return text + sizeof PREFIX - 1;
}

void manifest_release(struct manifest *manifest)
{
        free(TAKE(manifest->layers));
        manifest->n_layers = 0;
}

/* ---- docker-archive ---- */

/* "<hex>.json" and "blobs/sha256/<hex>" contain the digest of the file. */
static void digest_of_name(struct blob *blob)
{
        const char *slash = strrchr(blob->path, '/');
        char base[BLOB_PATH_BYTES];
        char *dot;

        (void)snprintf(base, sizeof base, "%s", slash == NULL ? blob->path : slash + 1);
        dot = strchr(base, '.');
        if (dot != NULL && strcmp(dot, ".json") == 0)
                *dot = '\0';
        if (is_hex(base) && (dot != NULL || str_has_prefix(blob->path, "blobs/sha256/")))
                memcpy(blob->sha256, base, sizeof blob->sha256);
}

static int read_path(const cJSON *item, struct blob *blob, struct fault *why)
{
        const char *name = cJSON_GetStringValue(item);
        char path[ENTRY_PATH_BYTES];

        *blob = (struct blob){ .bytes = UINT64_MAX };
        if (name == NULL || entry_path(name, path, NULL) < 0 || path[0] == '\0' || strlen(path) >= sizeof blob->path)
                return refuse(why, "manifest.json names a file that cannot be in it");
        memcpy(blob->path, path, strlen(path) + 1);
        digest_of_name(blob);
        return 0;
}

static int new_layers(const cJSON *array, struct manifest *manifest, struct fault *why)
{
        int count = cJSON_GetArraySize(array);

        if (!cJSON_IsArray(array) || count > MANIFEST_LAYERS_MAX)
                return refuse(why, "manifest has no list of layers, or more than 256");
        manifest->layers = calloc((size_t)count + 1, sizeof *manifest->layers);
        if (manifest->layers == NULL) {
                (void)out_of_memory(why);
                return -ENOMEM;
        }
        return 0;
}

static int read_docker(const cJSON *image, struct manifest *manifest, struct fault *why)
{
        const cJSON *layers = member(image, "Layers");
        const cJSON *layer;
        int r = read_path(member(image, "Config"), &manifest->config, why);

        if (r == 0)
                r = new_layers(layers, manifest, why);
        if (r < 0 || manifest->layers == NULL)
                return r < 0 ? r : -EINVAL;
        cJSON_ArrayForEach(layer, layers)
        {
                r = read_path(layer, &manifest->layers[manifest->n_layers++], why);
                if (r < 0)
                        return r;
        }
        return 0;
}

int manifest_parse_docker(const char *json, size_t length, struct manifest *ret_manifest, struct fault *why)
{
        AUTO(auto_delete) cJSON *tree = cJSON_ParseWithLength(json, length);
        AUTO(manifest_release) struct manifest manifest = { 0 };
        int r;

        if (!cJSON_IsArray(tree) || cJSON_GetArraySize(tree) == 0)
                return refuse(why, "manifest.json is not a list of images");
        if (cJSON_GetArraySize(tree) > 1)
                return refuse(why, "manifest.json lists several images: save one by itself");
        r = read_docker(cJSON_GetArrayItem(tree, 0), &manifest, why);
        if (r < 0)
                return r;
        *ret_manifest = manifest;
        manifest = (struct manifest){ 0 };
        return 0;
}

/* ---- OCI layout ---- */

static int read_descriptor(const cJSON *descriptor, struct blob *blob, struct fault *why)
{
        const char *digest = digest_digits(text_of(descriptor, "digest"));
        const cJSON *size = member(descriptor, "size");

        if (digest == NULL)
                return refuse(why, "descriptors must have a sha256 digest");
        if (!cJSON_IsNumber(size) || !(size->valuedouble >= 0 && size->valuedouble <= WHOLE_MAX))
                return refuse(why, "descriptors must have a size");
        *blob = (struct blob){ .bytes = (uint64_t)size->valuedouble };
        (void)snprintf(blob->path, sizeof blob->path, "blobs/sha256/%s", digest);
        (void)snprintf(blob->sha256, sizeof blob->sha256, "%s", digest);
        return 0;
}

static const char INDEX_TYPE[] = "application/vnd.oci.image.index.v1+json";
static const char LIST_TYPE[] = "application/vnd.docker.distribution.manifest.list.v2+json";

static bool is_for(const cJSON *descriptor, const char *architecture)
{
        const cJSON *platform = member(descriptor, "platform");

        if (platform == NULL)
                return true;
        return str_equal(text_of(platform, "os"), "linux") &&
               str_equal(text_of(platform, "architecture"), architecture);
}

int manifest_parse_index(const char *json, size_t length, const char *architecture, struct blob *ret_blob,
                         bool *ret_is_index, struct fault *why)
{
        AUTO(auto_delete) cJSON *tree = cJSON_ParseWithLength(json, length);
        const cJSON *manifests = member(tree, "manifests");
        const cJSON *found = NULL;
        const cJSON *descriptor;
        struct blob blob;
        int r;

        cJSON_ArrayForEach(descriptor, manifests)
        {
                if (!is_for(descriptor, architecture))
                        continue;
                if (found != NULL)
                        return refuse(why, "index lists several images for this machine: export one by itself");
                found = descriptor;
        }
        if (!cJSON_IsArray(manifests) || found == NULL)
                return refuse(why, "index lists no image for this machine");
        r = read_descriptor(found, &blob, why);
        if (r < 0)
                return r;
        *ret_blob = blob;
        *ret_is_index =
                str_equal(text_of(found, "mediaType"), INDEX_TYPE) || str_equal(text_of(found, "mediaType"), LIST_TYPE);
        return 0;
}

/* A layer that must be fetched from elsewhere, is encrypted or is of another type cannot be unpacked. */
static bool is_layer_type(const char *type)
{
        static const char *const TYPES[] = { "application/vnd.oci.image.layer.v1.tar",
                                             "application/vnd.oci.image.layer.v1.tar+gzip",
                                             "application/vnd.oci.image.layer.v1.tar+zstd",
                                             "application/vnd.docker.image.rootfs.diff.tar",
                                             "application/vnd.docker.image.rootfs.diff.tar.gzip" };

        for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
                if (str_equal(type, TYPES[i]))
                        return true;
        return false;
}

int manifest_parse_oci(const char *json, size_t length, struct manifest *ret_manifest, struct fault *why)
{
        AUTO(auto_delete) cJSON *tree = cJSON_ParseWithLength(json, length);
        AUTO(manifest_release) struct manifest manifest = { 0 };
        const cJSON *layers = member(tree, "layers");
        const cJSON *layer;
        int r = read_descriptor(member(tree, "config"), &manifest.config, why);

        if (r == 0)
                r = new_layers(layers, &manifest, why);
        if (r < 0 || manifest.layers == NULL)
                return r < 0 ? r : -EINVAL;
        cJSON_ArrayForEach(layer, layers)
        {
                if (!is_layer_type(text_of(layer, "mediaType")))
                        return refuse(why, "manifest has a layer that is no tar");
                r = read_descriptor(layer, &manifest.layers[manifest.n_layers++], why);
                if (r < 0)
                        return r;
        }
        *ret_manifest = manifest;
        manifest = (struct manifest){ 0 };
        return 0;
}

/* ---- configuration ---- */

void image_config_release(struct image_config *config)
{
        for (char **at = config->environment; at != NULL && *at != NULL; at++)
                free(*at);
        free(TAKE(config->environment));
        free(TAKE(config->diff_ids));
        config->n_diff_ids = 0;
}

/* Go encodes an absent list as null. */
static bool is_list(const cJSON *item)
{
        return item == NULL || cJSON_IsNull(item) || cJSON_IsArray(item);
}

static int read_environment(const cJSON *array, struct image_config *config, struct fault *why)
{
        int count = cJSON_GetArraySize(array);
        size_t total = 0;
        const cJSON *item;
        char **at;

        if (!is_list(array) || count > ENVIRONMENT_MAX)
                return refuse(why, "configuration has an Env that is no list, or too long");
        config->environment = at = calloc((size_t)count + 1, sizeof *at);
        if (at == NULL)
                return out_of_memory(why);
        cJSON_ArrayForEach(item, array)
        {
                const char *text = cJSON_GetStringValue(item);

                if (text == NULL || strchr(text, '=') == NULL || text[0] == '=')
                        return refuse(why, "configuration has an Env entry without a name");
                total += strlen(text);
                if (strlen(text) > ENVIRONMENT_ENTRY_MAX_BYTES || total > ENVIRONMENT_MAX_BYTES)
                        return refuse(why, "configuration has an Env that is too long");
                *at = strdup(text);
                if (*at++ == NULL)
                        return out_of_memory(why);
        }
        return 0;
}

static int read_diff_ids(const cJSON *array, struct image_config *config, struct fault *why)
{
        int count = cJSON_GetArraySize(array);
        const cJSON *item;

        if (!is_list(array) || count > MANIFEST_LAYERS_MAX)
                return refuse(why, "configuration has diff_ids that are no list, or too many");
        config->diff_ids = calloc((size_t)count + 1, sizeof *config->diff_ids);
        if (config->diff_ids == NULL)
                return out_of_memory(why);
        cJSON_ArrayForEach(item, array)
        {
                const char *digits = digest_digits(cJSON_GetStringValue(item));

                if (digits == NULL)
                        return refuse(why, "configuration has a diff_id that is no sha256");
                (void)snprintf(config->diff_ids[config->n_diff_ids++], BLOB_SHA256_BYTES, "%s", digits);
        }
        return 0;
}

int image_config_parse(const char *json, size_t length, const char *architecture, struct image_config *ret_config,
                       struct fault *why)
{
        AUTO(auto_delete) cJSON *tree = cJSON_ParseWithLength(json, length);
        AUTO(image_config_release) struct image_config config = { 0 };
        const cJSON *inner = member(tree, "config");
        int r;

        if (!cJSON_IsObject(tree))
                return refuse(why, "configuration is no JSON object");
        if (!str_equal(text_of(tree, "os"), "linux") || !str_equal(text_of(tree, "architecture"), architecture))
                return refuse(why, "image is for another operating system or architecture");
        r = read_environment(member(inner, "Env"), &config, why);
        if (r == 0)
                r = read_diff_ids(member(member(tree, "rootfs"), "diff_ids"), &config, why);
        if (r < 0)
                return r;
        config.has_volumes = cJSON_GetArraySize(member(inner, "Volumes")) > 0;
        *ret_config = config;
        config = (struct image_config){ 0 };
        return 0;
}
