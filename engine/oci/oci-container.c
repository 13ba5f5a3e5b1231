#include "oci-container.h"

#include <cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json-scope.h"
#include "oci-engine.h"
#include "oci-root.h"
#include "str.h"

enum { RECORD_VERSION = 1, VARIABLES_MAX = 1024 };

struct oci_container *oci_container_new(struct oci *oci)
{
        struct oci_container *container = calloc(1, sizeof *container);

        if (container == NULL)
                return NULL;
        container->oci = oci;
        container->pidfd = container->image_hold_fd = -1;
        list_init(&container->node);
        return container;
}

struct oci_container *oci_container_free(struct oci_container *container)
{
        if (container == NULL)
                return NULL;
        list_remove(&container->node);
        if (container->by_id.tbl != NULL)
                HASH_DELETE(by_id, container->oci->ids, container);
        if (container->pidfd >= 0) {
                ev_io_stop(container->oci->loop, &container->on_exit);
                close(container->pidfd);
        }
        if (container->image_hold_fd >= 0)
                close(container->image_hold_fd);
        for (char **variable = container->environment; variable != NULL && *variable != NULL; variable++)
                free(*variable);
        free(container->environment);
        free(container->working_dir);
        oci_points_free(container->points);
        container_info_release(&container->info);
        free(container);
        return NULL;
}

void oci_container_exchange(struct container_info *a, struct container_info *b)
{
        struct container_info copy = *a;

        memcpy(a->name, b->name, sizeof a->name);
        a->labels = b->labels;
        a->n_labels = b->n_labels;
        memcpy(b->name, copy.name, sizeof b->name);
        b->labels = copy.labels;
        b->n_labels = copy.n_labels;
}

bool oci_container_is_id(const char *text)
{
        return strlen(text) == OCI_ID_BYTES - 1 && strspn(text, "0123456789abcdef") == OCI_ID_BYTES - 1;
}

bool oci_container_is_name(const char *text)
{
        size_t length = text != NULL ? strlen(text) : 0;

        return length > 0 && length < ENGINE_NAME_BYTES && text[0] != '.' &&
               strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == length;
}

/* ---- encode ---- */

static bool add_number(cJSON *object, const char *key, double value)
{
        return cJSON_AddNumberToObject(object, key, value) != NULL;
}

static bool add_labels(cJSON *record, const struct container_info *info)
{
        cJSON *labels = cJSON_AddObjectToObject(record, "labels");

        for (size_t i = 0; labels != NULL && i < info->n_labels; i++)
                if (cJSON_AddStringToObject(labels, info->labels[i].key, info->labels[i].value) == NULL)
                        return false;
        return labels != NULL;
}

static bool add_environment(cJSON *record, char *const *environment)
{
        cJSON *array = cJSON_AddArrayToObject(record, "environment");

        for (; array != NULL && environment != NULL && *environment != NULL; environment++)
                if (!cJSON_AddItemToArray(array, cJSON_CreateString(*environment)))
                        return false;
        return array != NULL;
}

char *oci_container_encode(const struct oci_container *container)
{
        AUTO(auto_json) cJSON *record = cJSON_CreateObject();

        if (record == NULL || !add_number(record, "version", RECORD_VERSION) ||
            cJSON_AddStringToObject(record, "id", container->info.id) == NULL ||
            cJSON_AddStringToObject(record, "name", container->info.name) == NULL ||
            cJSON_AddStringToObject(record, "image_id", container->image_id) == NULL ||
            cJSON_AddStringToObject(record, "cgroup", container->cgroup) == NULL ||
            cJSON_AddStringToObject(record, "working_dir", container->working_dir) == NULL ||
            !add_number(record, "userns_base", container->userns_base) || !add_number(record, "uid", container->uid) ||
            !add_number(record, "gid", container->gid) || !add_number(record, "nofile", container->nofile) ||
            !add_labels(record, &container->info) || !add_environment(record, container->environment))
                return NULL;
        return cJSON_PrintUnformatted(record);
}

/* ---- decode ---- */

static const char *text_of(const cJSON *record, const char *key)
{
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(record, key));

        return text != NULL ? text : "";
}

static int take_number(const cJSON *record, const char *key, uint32_t *ret_number)
{
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(record, key);

        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= UINT32_MAX))
                return -EBADMSG;
        *ret_number = (uint32_t)item->valuedouble;
        return 0;
}

static int take_labels(struct container_info *info, const cJSON *labels)
{
        int count = cJSON_GetArraySize(labels);
        const cJSON *label;

        if (!cJSON_IsObject(labels) || count > OCI_LABELS_MAX)
                return -EBADMSG;
        info->labels = calloc((size_t)count + 1, sizeof *info->labels);
        if (info->labels == NULL)
                return -ENOMEM;
        cJSON_ArrayForEach(label, labels)
        {
                if (!cJSON_IsString(label))
                        return -EBADMSG;
                struct label *copy = &info->labels[info->n_labels++];
                copy->key = strdup(label->string);
                copy->value = strdup(label->valuestring);
                if (copy->key == NULL || copy->value == NULL)
                        return -ENOMEM;
        }
        return 0;
}

static int take_environment(struct oci_container *container, const cJSON *array)
{
        int count = cJSON_GetArraySize(array);
        const cJSON *variable;
        size_t n = 0;

        if (!cJSON_IsArray(array) || count > VARIABLES_MAX)
                return -EBADMSG;
        container->environment = calloc((size_t)count + 1, sizeof *container->environment);
        if (container->environment == NULL)
                return -ENOMEM;
        cJSON_ArrayForEach(variable, array)
        {
                if (!cJSON_IsString(variable))
                        return -EBADMSG;
                container->environment[n] = strdup(variable->valuestring);
                if (container->environment[n++] == NULL)
                        return -ENOMEM;
        }
        return 0;
}

/* carreld will kill and remove in this cgroup, so the path must end with the id and have no "..". */
static bool is_cgroup_of(const char *cgroup, const char *id)
{
        const char *slash = strrchr(cgroup, '/');

        return cgroup[0] == '/' && strstr(cgroup, "..") == NULL && strcmp(slash + 1, id) == 0;
}

static int take_texts(struct oci_container *container, const cJSON *record)
{
        if (!oci_container_is_id(text_of(record, "id")) || !oci_container_is_name(text_of(record, "name")) ||
            !is_cgroup_of(text_of(record, "cgroup"), text_of(record, "id")) ||
            str_copy(container->info.id, sizeof container->info.id, text_of(record, "id")) < 0 ||
            str_copy(container->info.name, sizeof container->info.name, text_of(record, "name")) < 0 ||
            str_copy(container->image_id, sizeof container->image_id, text_of(record, "image_id")) < 0 ||
            str_copy(container->cgroup, sizeof container->cgroup, text_of(record, "cgroup")) < 0)
                return -EBADMSG;
        container->working_dir = strdup(text_of(record, "working_dir"));
        return container->working_dir != NULL ? 0 : -ENOMEM;
}

int oci_container_decode(struct oci_container *container, const char *json, size_t length)
{
        AUTO(auto_json) cJSON *record = cJSON_ParseWithLength(json, length);
        uint32_t version = 0;
        int r = take_number(record, "version", &version);

        if (r < 0 || version != RECORD_VERSION)
                return -EBADMSG;
        if ((r = take_texts(container, record)) < 0 ||
            (r = take_number(record, "userns_base", &container->userns_base)) < 0 ||
            (r = take_number(record, "uid", &container->uid)) < 0 ||
            (r = take_number(record, "gid", &container->gid)) < 0 ||
            (r = take_number(record, "nofile", &container->nofile)) < 0 ||
            (r = take_labels(&container->info, cJSON_GetObjectItemCaseSensitive(record, "labels"))) < 0)
                return r;
        return take_environment(container, cJSON_GetObjectItemCaseSensitive(record, "environment"));
}
