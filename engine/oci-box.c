#include "oci-box.h"

#include <cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci-engine.h"
#include "scope.h"
#include "str.h"

enum { RECORD_VERSION = 1, LABELS_MAX = 64, VARIABLES_MAX = 1024 };

static void json_release(cJSON **json)
{
        cJSON_Delete(*json);
}

struct box *box_new(struct oci *oci)
{
        struct box *box = calloc(1, sizeof *box);

        if (box == NULL)
                return NULL;
        box->oci = oci;
        box->pidfd = box->image_hold_fd = -1;
        list_init(&box->node);
        return box;
}

struct box *box_free(struct box *box)
{
        if (box == NULL)
                return NULL;
        list_remove(&box->node);
        if (box->pidfd >= 0) {
                ev_io_stop(box->oci->loop, &box->on_exit);
                close(box->pidfd);
        }
        if (box->image_hold_fd >= 0)
                close(box->image_hold_fd);
        for (char **variable = box->environment; variable != NULL && *variable != NULL; variable++)
                free(*variable);
        free(box->environment);
        free(box->working_dir);
        container_info_release(&box->info);
        free(box);
        return NULL;
}

bool box_is_id(const char *text)
{
        return strlen(text) == OCI_ID_BYTES - 1 && strspn(text, "0123456789abcdef") == OCI_ID_BYTES - 1;
}

/* ---- out ---- */

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

char *box_encode(const struct box *box)
{
        AUTO(json_release) cJSON *record = cJSON_CreateObject();

        if (record == NULL || !add_number(record, "version", RECORD_VERSION) ||
            cJSON_AddStringToObject(record, "id", box->info.id) == NULL ||
            cJSON_AddStringToObject(record, "name", box->info.name) == NULL ||
            cJSON_AddStringToObject(record, "image_id", box->image_id) == NULL ||
            cJSON_AddStringToObject(record, "cgroup", box->cgroup) == NULL ||
            cJSON_AddStringToObject(record, "working_dir", box->working_dir) == NULL ||
            !add_number(record, "userns_base", box->userns_base) || !add_number(record, "uid", box->uid) ||
            !add_number(record, "gid", box->gid) || !add_number(record, "nofile", box->nofile) ||
            !add_labels(record, &box->info) || !add_environment(record, box->environment))
                return NULL;
        return cJSON_PrintUnformatted(record);
}

/* ---- in ---- */

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

        if (!cJSON_IsObject(labels) || count > LABELS_MAX)
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

static int take_environment(struct box *box, const cJSON *array)
{
        int count = cJSON_GetArraySize(array);
        const cJSON *variable;
        size_t n = 0;

        if (!cJSON_IsArray(array) || count > VARIABLES_MAX)
                return -EBADMSG;
        box->environment = calloc((size_t)count + 1, sizeof *box->environment);
        if (box->environment == NULL)
                return -ENOMEM;
        cJSON_ArrayForEach(variable, array)
        {
                if (!cJSON_IsString(variable))
                        return -EBADMSG;
                box->environment[n] = strdup(variable->valuestring);
                if (box->environment[n++] == NULL)
                        return -ENOMEM;
        }
        return 0;
}

/* The cgroup's path is where we will kill and remove: it must end with the id and lead nowhere else. */
static bool is_cgroup_of(const char *cgroup, const char *id)
{
        const char *slash = strrchr(cgroup, '/');

        return cgroup[0] == '/' && strstr(cgroup, "..") == NULL && strcmp(slash + 1, id) == 0;
}

static int take_texts(struct box *box, const cJSON *record)
{
        if (!box_is_id(text_of(record, "id")) || text_of(record, "name")[0] == '\0' ||
            !is_cgroup_of(text_of(record, "cgroup"), text_of(record, "id")) ||
            str_copy(box->info.id, sizeof box->info.id, text_of(record, "id")) < 0 ||
            str_copy(box->info.name, sizeof box->info.name, text_of(record, "name")) < 0 ||
            str_copy(box->image_id, sizeof box->image_id, text_of(record, "image_id")) < 0 ||
            str_copy(box->cgroup, sizeof box->cgroup, text_of(record, "cgroup")) < 0)
                return -EBADMSG;
        box->working_dir = strdup(text_of(record, "working_dir"));
        return box->working_dir != NULL ? 0 : -ENOMEM;
}

int box_decode(struct box *box, const char *json, size_t length)
{
        AUTO(json_release) cJSON *record = cJSON_ParseWithLength(json, length);
        uint32_t version = 0;
        int r = take_number(record, "version", &version);

        if (r < 0 || version != RECORD_VERSION)
                return -EBADMSG;
        if ((r = take_texts(box, record)) < 0 || (r = take_number(record, "userns_base", &box->userns_base)) < 0 ||
            (r = take_number(record, "uid", &box->uid)) < 0 || (r = take_number(record, "gid", &box->gid)) < 0 ||
            (r = take_number(record, "nofile", &box->nofile)) < 0 ||
            (r = take_labels(&box->info, cJSON_GetObjectItemCaseSensitive(record, "labels"))) < 0)
                return r;
        return take_environment(box, cJSON_GetObjectItemCaseSensitive(record, "environment"));
}
