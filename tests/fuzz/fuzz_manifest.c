/* The JSON of image archives, and image.json: the first byte chooses the parser. The parsed strings stay inside the
 * text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "entry.h"
#include "image-store.h"
#include "manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_so)
{
        if (!is_so)
                abort();
}

static void check_blob(const struct blob *blob)
{
        check(blob->path[0] != '/' && blob->path[0] != '\0' && strncmp(blob->path, "../", 3) != 0 &&
              strstr(blob->path, "/../") == NULL);
        check(blob->sha256[0] == '\0' || strlen(blob->sha256) == 64);
}

static void check_manifest(struct manifest *manifest)
{
        check_blob(&manifest->config);
        check(manifest->n_layers <= MANIFEST_LAYERS_MAX);
        for (size_t i = 0; i < manifest->n_layers; i++)
                check_blob(&manifest->layers[i]);
        manifest_release(manifest);
}

static void fuzz_docker(const char *text, size_t length)
{
        struct manifest manifest;

        if (manifest_parse_docker(text, length, &manifest, NULL) == 0)
                check_manifest(&manifest);
}

static void fuzz_oci(const char *text, size_t length)
{
        struct manifest manifest;

        if (manifest_parse_oci(text, length, &manifest, NULL) == 0)
                check_manifest(&manifest);
}

static void fuzz_index(const char *text, size_t length)
{
        struct blob blob;
        bool is_index;

        if (manifest_parse_index(text, length, "amd64", &blob, &is_index, NULL) == 0)
                check_blob(&blob);
}

static void fuzz_config(const char *text, size_t length)
{
        struct image_config config;

        if (image_config_parse(text, length, "amd64", &config, NULL) < 0)
                return;
        for (char **at = config.environment; *at != NULL; at++)
                check(strchr(*at, '=') > *at);
        for (size_t i = 0; i < config.n_diff_ids; i++)
                check(strlen(config.diff_ids[i]) == 64);
        image_config_release(&config);
}

/* An image that was read gives the same one when it is written and read again. */
static void fuzz_stored(const char *text, size_t length)
{
        struct stored_image image = STORED_IMAGE_NONE;
        struct stored_image again = STORED_IMAGE_NONE;
        char *first;
        char *second;

        if (stored_image_decode(text, length, &image) < 0)
                return;
        first = stored_image_encode(&image);
        check(first != NULL && stored_image_decode(first, strlen(first), &again) == 0);
        second = stored_image_encode(&again);
        check(second != NULL && strcmp(first, second) == 0);
        free(first);
        free(second);
        stored_image_release(&image);
        stored_image_release(&again);
}

/* The name of an entry: what is taken stays below the root, and is taken again as it is. */
static void fuzz_name(const char *text, size_t length)
{
        char path[ENTRY_PATH_BYTES];
        char again[ENTRY_PATH_BYTES];

        (void)length;
        if (entry_path(text, path, NULL) < 0)
                return;
        check(path[0] != '/' && strcmp(path, "..") != 0 && strncmp(path, "../", 3) != 0 &&
              strstr(path, "/../") == NULL);
        check(entry_path(path, again, NULL) == 0 && strcmp(path, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static void (*const PARSERS[])(const char *text, size_t length) = { fuzz_docker, fuzz_oci,    fuzz_index,
                                                                            fuzz_config, fuzz_stored, fuzz_name };
        char *text;

        if (size < 1)
                return 0;
        text = malloc(size);
        check(text != NULL);
        memcpy(text, data + 1, size - 1);
        text[size - 1] = '\0';
        PARSERS[data[0] % (sizeof PARSERS / sizeof *PARSERS)](text, size - 1);
        free(text);
        return 0;
}
