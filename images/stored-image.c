/* Converts between image.json and struct stored_image. */
#include <cJSON.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image-store.h"
#include "scope.h"
#include "str.h"

/* 2^53: up to here a double holds every whole number. */
#define WHOLE_MAX 9007199254740992.0

enum { ENVIRONMENT_MAX = 1024, BINDS_MAX = 16 };

static void free_texts(char **texts)
{
        for (char **at = texts; at != NULL && *at != NULL; at++)
                free(*at);
        free(texts);
}

void stored_image_release(struct stored_image *image)
{
        free(TAKE(image->rootfs));
        free_texts(TAKE(image->environment));
        for (size_t i = 0; i < image->n_binds; i++) {
                free(image->binds[i].source);
                free(image->binds[i].target);
        }
        free(TAKE(image->binds));
        image->n_binds = 0;
        if (image->hold_fd >= 0)
                close(image->hold_fd);
        image->hold_fd = -1;
}

/* ---- decode ---- */

static const char *text_of(const cJSON *object, const char *key)
{
        return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static int read_whole(const cJSON *object, const char *key, double *ret_value)
{
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= WHOLE_MAX) ||
            item->valuedouble != floor(item->valuedouble))
                return -EBADMSG;
        *ret_value = item->valuedouble;
        return 0;
}

static int read_environment(const cJSON *array, struct stored_image *image)
{
        int count = cJSON_GetArraySize(array);
        const cJSON *item;
        char **at;

        if ((array != NULL && !cJSON_IsArray(array)) || count > ENVIRONMENT_MAX)
                return -EBADMSG;
        image->environment = at = calloc((size_t)count + 1, sizeof *at);
        if (at == NULL)
                return -ENOMEM;
        cJSON_ArrayForEach(item, array)
        {
                const char *text = cJSON_GetStringValue(item);

                if (text == NULL || strchr(text, '=') == NULL || text[0] == '=')
                        return -EBADMSG;
                *at = strdup(text);
                if (*at++ == NULL)
                        return -ENOMEM;
        }
        return 0;
}

static bool is_plain_path(const char *path)
{
        return path != NULL && path[0] == '/' && strlen(path) < PATH_MAX && strstr(path, "..") == NULL;
}

static int read_binds(const cJSON *array, struct stored_image *image)
{
        int count = cJSON_GetArraySize(array);
        const cJSON *item;

        if ((array != NULL && !cJSON_IsArray(array)) || count > BINDS_MAX)
                return -EBADMSG;
        if (count == 0)
                return 0;
        image->binds = calloc((size_t)count, sizeof *image->binds);
        if (image->binds == NULL)
                return -ENOMEM;
        cJSON_ArrayForEach(item, array)
        {
                struct stored_bind *bind = &image->binds[image->n_binds++];

                if (!is_plain_path(text_of(item, "source")) || !is_plain_path(text_of(item, "target")))
                        return -EBADMSG;
                bind->source = strdup(text_of(item, "source"));
                bind->target = strdup(text_of(item, "target"));
                if (bind->source == NULL || bind->target == NULL)
                        return -ENOMEM;
        }
        return 0;
}

static int read_image(const cJSON *tree, struct stored_image *image)
{
        double bytes, entries, created;
        int r;

        if (!cJSON_IsObject(tree) || read_whole(tree, "bytes", &bytes) < 0 ||
            read_whole(tree, "entries", &entries) < 0 || read_whole(tree, "created_ms", &created) < 0 ||
            !cJSON_IsBool(cJSON_GetObjectItemCaseSensitive(tree, "has_volumes")))
                return -EBADMSG;
        image->bytes = (uint64_t)bytes;
        image->entries = (uint64_t)entries;
        image->created_wall_ms = (int64_t)created;
        image->has_volumes = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(tree, "has_volumes"));
        r = read_environment(cJSON_GetObjectItemCaseSensitive(tree, "env"), image);
        return r < 0 ? r : read_binds(cJSON_GetObjectItemCaseSensitive(tree, "binds"), image);
}

int stored_image_decode(const char *json, size_t length, struct stored_image *ret_image)
{
        cJSON *tree = cJSON_ParseWithLength(json, length);
        int r = tree == NULL ? -EBADMSG : read_image(tree, ret_image);

        cJSON_Delete(tree);
        if (r < 0)
                stored_image_release(ret_image);
        return r;
}

/* ---- encode ---- */

static bool add_environment(cJSON *tree, char *const *environment)
{
        cJSON *array = cJSON_AddArrayToObject(tree, "env");

        for (; environment != NULL && *environment != NULL; environment++)
                if (!cJSON_AddItemToArray(array, cJSON_CreateString(*environment)))
                        return false;
        return array != NULL;
}

static bool add_binds(cJSON *tree, const struct stored_image *image)
{
        cJSON *array = cJSON_AddArrayToObject(tree, "binds");

        for (size_t i = 0; i < image->n_binds; i++) {
                cJSON *bind = cJSON_CreateObject();

                if (cJSON_AddStringToObject(bind, "source", image->binds[i].source) == NULL ||
                    cJSON_AddStringToObject(bind, "target", image->binds[i].target) == NULL ||
                    !cJSON_AddItemToArray(array, bind)) {
                        cJSON_Delete(bind);
                        return false;
                }
        }
        return array != NULL;
}

char *stored_image_encode(const struct stored_image *image)
{
        cJSON *tree = cJSON_CreateObject();
        char *text = NULL;

        if (add_environment(tree, image->environment) && add_binds(tree, image) &&
            cJSON_AddBoolToObject(tree, "has_volumes", image->has_volumes) != NULL &&
            cJSON_AddNumberToObject(tree, "bytes", (double)image->bytes) != NULL &&
            cJSON_AddNumberToObject(tree, "entries", (double)image->entries) != NULL &&
            cJSON_AddNumberToObject(tree, "created_ms", (double)image->created_wall_ms) != NULL)
                text = cJSON_PrintUnformatted(tree);
        cJSON_Delete(tree);
        return text;
}
