#include "wire.h"

#include <cJSON.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json-scope.h"

enum { MAX_LABELS = 1024 };

static const char *get_text(const cJSON *object, const char *key)
{
        return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

/* A whole number that an int holds; fallback where it is absent, null, or something else. */
static int get_int(const cJSON *object, const char *key, int fallback)
{
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

        if (!cJSON_IsNumber(item) || !(item->valuedouble >= INT_MIN && item->valuedouble <= INT_MAX))
                return fallback;
        return (int)item->valuedouble;
}

/* A number in text form (event attributes); fallback if it is not one. */
static int get_int_text(const cJSON *object, const char *key, int fallback)
{
        const char *text = get_text(object, key);
        uint64_t value;

        return text != NULL && str_parse_u64(text, 0, INT_MAX, &value) == 0 ? (int)value : fallback;
}

/* For a text whose length was checked before. */
static void copy_measured(char *target, size_t size, const char *text)
{
        if (str_copy(target, size, text) < 0)
                target[0] = '\0';
}

/* Ids go into paths of requests and into log lines. */
static bool is_id(const char *text)
{
        size_t length = text != NULL ? strspn(text, "0123456789abcdefABCDEF") : 0;

        return length > 0 && length < ENGINE_ID_BYTES && text[length] == '\0';
}

static bool is_printable(const char *text, size_t size)
{
        size_t length = text != NULL ? strlen(text) : 0;

        if (length == 0 || length >= size)
                return false;
        for (; *text != '\0'; text++)
                if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f)
                        return false;
        return true;
}

/* Other programs' containers may have names of any length. A name that does not fit is not ours. */
static void copy_name(char target[static ENGINE_NAME_BYTES], const char *name)
{
        target[0] = '\0';
        if (name == NULL)
                return;
        if (name[0] == '/')
                name++;
        if (is_printable(name, ENGINE_NAME_BYTES) && strchr(name, '/') == NULL)
                copy_measured(target, ENGINE_NAME_BYTES, name);
}

/* ---- containers ---- */

static enum container_status status_of(const char *text)
{
        static const struct {
                const char *text;
                enum container_status status;
        } STATES[] = {
                { "created", CONTAINER_CREATED }, { "configured", CONTAINER_CREATED }, { "running", CONTAINER_RUNNING },
                { "paused", CONTAINER_PAUSED },   { "removing", CONTAINER_REMOVING },  { "exited", CONTAINER_DEAD },
                { "stopped", CONTAINER_DEAD },    { "dead", CONTAINER_DEAD },
        };

        for (size_t i = 0; text != NULL && i < sizeof STATES / sizeof STATES[0]; i++)
                if (strcmp(STATES[i].text, text) == 0)
                        return STATES[i].status;
        return CONTAINER_UNKNOWN;
}

/* "2026-01-31T12:00:00.123456789Z" or with "+01:00"; 0 for anything else and for Go's zero time (year 1). */
static int64_t wall_ms(const char *text)
{
        struct tm utc = { 0 };
        const char *rest = text != NULL ? strptime(text, "%Y-%m-%dT%H:%M:%S", &utc) : NULL;
        int64_t ms = 0;
        int hours = 0;
        int minutes = 0;

        if (rest == NULL || utc.tm_year < 70)
                return 0;
        if (*rest == '.')
                for (int scale = 100; *++rest >= '0' && *rest <= '9'; scale /= 10)
                        ms += (int64_t)(*rest - '0') * scale;
        if ((*rest == '+' || *rest == '-') && sscanf(rest + 1, "%2d:%2d", &hours, &minutes) != 2)
                return 0;
        int64_t offset_s = ((int64_t)hours * 60 + minutes) * 60;
        return ((int64_t)timegm(&utc) - (*rest == '-' ? -offset_s : offset_s)) * 1000 + ms;
}

static int copy_labels(const cJSON *object, struct container_info *info)
{
        int count = cJSON_GetArraySize(object);
        const cJSON *item;

        if (object == NULL || cJSON_IsNull(object))
                return 0;
        if (!cJSON_IsObject(object) || count > MAX_LABELS)
                return -EBADMSG;
        if (count == 0)
                return 0;
        info->labels = calloc((size_t)count, sizeof *info->labels);
        if (info->labels == NULL)
                return -ENOMEM;
        cJSON_ArrayForEach(item, object)
        {
                if (!cJSON_IsString(item))
                        return -EBADMSG;
                struct label *label = &info->labels[info->n_labels++];
                label->key = strdup(item->string);
                label->value = strdup(item->valuestring);
                if (label->key == NULL || label->value == NULL)
                        return -ENOMEM;
        }
        return 0;
}

void container_info_release(struct container_info *info)
{
        for (size_t i = 0; i < info->n_labels; i++) {
                free((char *)info->labels[i].key);
                free((char *)info->labels[i].value);
        }
        free(info->labels);
        info->labels = NULL;
        info->n_labels = 0;
}

int container_info_copy_labels(struct container_info *info, const struct label *labels, size_t n_labels)
{
        info->labels = calloc(n_labels + 1, sizeof *info->labels);
        if (info->labels == NULL)
                return -ENOMEM;
        for (size_t i = 0; i < n_labels; i++) {
                struct label *copy = &info->labels[info->n_labels++]; /* a half-copied label is freed too */

                copy->key = strdup(labels[i].key);
                copy->value = strdup(labels[i].value);
                if (copy->key == NULL || copy->value == NULL)
                        return -ENOMEM;
        }
        return 0;
}

void container_infos_free(struct container_info *infos, size_t count)
{
        for (size_t i = 0; i < count; i++)
                container_info_release(&infos[i]);
        free(infos);
}

/* One container of an inspect. */
static int read_container(const cJSON *json, struct container_info *info)
{
        const cJSON *state = cJSON_GetObjectItemCaseSensitive(json, "State");
        const cJSON *config = cJSON_GetObjectItemCaseSensitive(json, "Config");
        const char *id = get_text(json, "Id");

        if (!is_id(id) || !cJSON_IsObject(state) || !cJSON_IsObject(config))
                return -EBADMSG;
        int pid = get_int(state, "Pid", 0);
        copy_measured(info->id, sizeof info->id, id);
        copy_name(info->name, get_text(json, "Name"));
        info->status = status_of(get_text(state, "Status"));
        info->pid = pid > 0 ? pid : 0;
        info->exit_code = get_int(state, "ExitCode", 0);
        info->is_oom_killed = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(state, "OOMKilled"));
        info->started_wall_ms = wall_ms(get_text(state, "StartedAt"));
        return copy_labels(cJSON_GetObjectItemCaseSensitive(config, "Labels"), info);
}

/* One container of a list. Its own name is the first one without a second slash; the others are links. */
static int read_listed(const cJSON *json, struct container_info *info)
{
        const cJSON *names = cJSON_GetObjectItemCaseSensitive(json, "Names");
        const char *id = get_text(json, "Id");
        const cJSON *name;

        if (!is_id(id))
                return -EBADMSG;
        copy_measured(info->id, sizeof info->id, id);
        cJSON_ArrayForEach(name, names)
        {
                if (info->name[0] == '\0')
                        copy_name(info->name, cJSON_GetStringValue(name));
        }
        info->status = status_of(get_text(json, "State"));
        return copy_labels(cJSON_GetObjectItemCaseSensitive(json, "Labels"), info);
}

int wire_decode_container(const char *json, size_t length, struct container_info *ret_info)
{
        AUTO(auto_json) cJSON *root = cJSON_ParseWithLength(json, length);
        struct container_info info = { 0 };
        int r;

        if (!cJSON_IsObject(root))
                return -EBADMSG;
        r = read_container(root, &info);
        if (r < 0) {
                container_info_release(&info);
                return r;
        }
        *ret_info = info;
        return 0;
}

int wire_decode_list(const char *json, size_t length, struct container_info **ret_infos, size_t *ret_count)
{
        AUTO(auto_json) cJSON *root = cJSON_ParseWithLength(json, length);
        struct container_info *infos;
        size_t count = 0;
        const cJSON *item;
        int r = 0;

        if (!cJSON_IsArray(root))
                return -EBADMSG;
        infos = calloc((size_t)cJSON_GetArraySize(root) + 1, sizeof *infos);
        if (infos == NULL)
                return -ENOMEM;
        cJSON_ArrayForEach(item, root)
        {
                r = read_listed(item, &infos[count++]);
                if (r < 0)
                        break;
        }
        if (r < 0) {
                container_infos_free(infos, count);
                return r;
        }
        *ret_infos = infos;
        *ret_count = count;
        return 0;
}

/* ---- smaller answers ---- */

int wire_decode_id(const char *json, size_t length, char ret_id[static ENGINE_ID_BYTES])
{
        AUTO(auto_json) cJSON *root = cJSON_ParseWithLength(json, length);
        const char *id = get_text(root, "Id");

        if (!is_id(id))
                return -EBADMSG;
        copy_measured(ret_id, ENGINE_ID_BYTES, id);
        return 0;
}

int wire_decode_exec(const char *json, size_t length, struct exec_status *ret_status)
{
        AUTO(auto_json) cJSON *root = cJSON_ParseWithLength(json, length);
        const cJSON *running = cJSON_GetObjectItemCaseSensitive(root, "Running");

        if (!cJSON_IsBool(running))
                return -EBADMSG;
        int pid = get_int(root, "Pid", 0);
        *ret_status = (struct exec_status){
                .is_running = cJSON_IsTrue(running),
                .exit_code = get_int(root, "ExitCode", -1), /* null before the end */
                .pid = pid > 0 ? pid : 0,
        };
        if (!ret_status->is_running && ret_status->exit_code < 0)
                ret_status->is_running = true; /* created and not started, or its end is not known yet */
        return 0;
}

static int64_t get_whole(const cJSON *object, const char *key)
{
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

        return cJSON_IsNumber(item) && item->valuedouble > 0 && item->valuedouble < 1e15 ? (int64_t)item->valuedouble
                                                                                         : 0;
}

int wire_decode_image(const char *json, size_t length, struct image_info *ret_image)
{
        AUTO(auto_json) cJSON *root = cJSON_ParseWithLength(json, length);
        const char *id = get_text(root, "Id");
        const cJSON *tag = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, "RepoTags"), 0);
        struct image_info image = { 0 };

        if (!is_printable(id, sizeof image.id) || str_copy(image.id, sizeof image.id, id) < 0)
                return -EBADMSG;
        image.bytes = (uint64_t)get_whole(root, "Size");
        if (is_printable(cJSON_GetStringValue(tag), sizeof image.reference) &&
            str_copy(image.reference, sizeof image.reference, tag->valuestring) < 0)
                return -EBADMSG;
        *ret_image = image;
        return 0;
}

static bool is_named(const cJSON *tag)
{
        return is_printable(cJSON_GetStringValue(tag), sizeof((struct image_info *)NULL)->reference) &&
               strstr(tag->valuestring, "<none>") == NULL;
}

static size_t count_names(const cJSON *root)
{
        const cJSON *item;
        const cJSON *tag;
        size_t count = 0;

        cJSON_ArrayForEach(item, root) cJSON_ArrayForEach(tag, cJSON_GetObjectItemCaseSensitive(item, "RepoTags"))
                count += is_named(tag);
        return count;
}

int wire_decode_images(const char *json, size_t length, struct image_info **ret_images, size_t *ret_count)
{
        AUTO(auto_json) cJSON *root = cJSON_ParseWithLength(json, length);
        size_t count = count_names(root);
        struct image_info *images;
        const cJSON *item;
        const cJSON *tag;

        if (!cJSON_IsArray(root))
                return -EBADMSG;
        images = calloc(count + 1, sizeof *images);
        if (images == NULL)
                return -ENOMEM;
        count = 0;
        cJSON_ArrayForEach(item, root)
        {
                const char *id = get_text(item, "Id");

                cJSON_ArrayForEach(tag, cJSON_GetObjectItemCaseSensitive(item, "RepoTags"))
                {
                        if (!is_named(tag) || !is_printable(id, sizeof images->id))
                                continue;
                        struct image_info *image = &images[count++];
                        (void)snprintf(image->id, sizeof image->id, "%s", id);
                        (void)snprintf(image->reference, sizeof image->reference, "%s", tag->valuestring);
                        image->bytes = (uint64_t)get_whole(item, "Size");
                        image->created_wall_ms = 1000 * get_whole(item, "Created");
                }
        }
        *ret_images = images;
        *ret_count = count;
        return 0;
}

int wire_decode_version(const char *json, size_t length, struct engine_about *ret_about, char ret_min[static 16])
{
        AUTO(auto_json) cJSON *root = cJSON_ParseWithLength(json, length);
        const char *version = get_text(root, "Version");
        const char *api = get_text(root, "ApiVersion");
        const char *min = get_text(root, "MinAPIVersion");

        if (min == NULL)
                min = "1.12";
        if (!is_printable(version, sizeof ret_about->version) || !is_printable(api, sizeof ret_about->api_version) ||
            !is_printable(min, 16))
                return -EBADMSG;
        copy_measured(ret_about->version, sizeof ret_about->version, version);
        copy_measured(ret_about->api_version, sizeof ret_about->api_version, api);
        copy_measured(ret_min, 16, min);
        return 0;
}

void wire_decode_message(const char *json, size_t length, char *ret_text, size_t size)
{
        AUTO(auto_json) cJSON *root = cJSON_ParseWithLength(json, length);
        const char *message = get_text(root, "message");
        size_t room = size - 1;
        size_t n = message != NULL ? strlen(message) : length;

        if (message == NULL)
                message = json;
        if (n > room)
                n = room;
        while (n > 0 && strchr(" \r\n\t", message[n - 1]) != NULL)
                n--;
        memcpy(ret_text, message, n);
        ret_text[n] = '\0';
        for (char *at = ret_text; *at != '\0'; at++)
                if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7f)
                        *at = '?'; /* neither escape sequences nor half a character */
}

int wire_decode_progress(const char *json, size_t length, struct wire_progress *ret_progress)
{
        static const char LOADED[] = "Loaded image: ";
        static const char LOADED_ID[] = "Loaded image ID: "; /* for an archive without a name */
        AUTO(auto_json) cJSON *root = cJSON_ParseWithLength(json, length);
        const char *error = get_text(root, "error");
        const char *text = get_text(root, "stream");

        if (!cJSON_IsObject(root))
                return -EBADMSG;
        if (error != NULL)
                wire_decode_message(error, strlen(error), ret_progress->error, sizeof ret_progress->error);
        if (text != NULL && str_has_prefix(text, LOADED))
                text += sizeof LOADED - 1;
        else if (text != NULL && str_has_prefix(text, LOADED_ID))
                text += sizeof LOADED_ID - 1;
        else
                text = NULL;
        if (text != NULL)
                wire_decode_message(text, strlen(text), ret_progress->reference, sizeof ret_progress->reference);
        return 0;
}

/* ---- events ---- */

/* Docker's actions and Podman's. -1: an action that nothing here waits for. */
static int kind_of(const char *action)
{
        static const struct {
                const char *action;
                enum engine_event_kind kind;
        } KINDS[] = {
                { "start", ENGINE_CONTAINER_STARTED },  { "die", ENGINE_CONTAINER_DIED },
                { "died", ENGINE_CONTAINER_DIED },      { "destroy", ENGINE_CONTAINER_REMOVED },
                { "remove", ENGINE_CONTAINER_REMOVED }, { "oom", ENGINE_CONTAINER_OOM },
                { "exec_die", ENGINE_EXEC_DIED },       { "exec_died", ENGINE_EXEC_DIED },
        };

        for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++)
                if (strcmp(KINDS[i].action, action) == 0)
                        return (int)KINDS[i].kind;
        return -1;
}

int wire_decode_event(const char *json, size_t length, struct wire_event *ret_event)
{
        AUTO(auto_json) cJSON *root = cJSON_ParseWithLength(json, length);
        const cJSON *actor = cJSON_GetObjectItemCaseSensitive(root, "Actor");
        const cJSON *attributes = cJSON_GetObjectItemCaseSensitive(actor, "Attributes");
        const char *type = get_text(root, "Type");
        const char *action = get_text(root, "Action");
        const char *id = get_text(actor, "ID");
        const char *exec_id = get_text(attributes, "execID");

        if (type == NULL || action == NULL)
                return -EBADMSG;
        int kind = kind_of(action);
        if (strcmp(type, "container") != 0 || kind < 0)
                return -ENOENT;
        /* Podman's "exec_died" does not say which exec it was. */
        if (exec_id == NULL && strcmp(action, "exec_died") == 0)
                exec_id = "";
        else if (kind == ENGINE_EXEC_DIED && !is_id(exec_id))
                return -EBADMSG;
        if (!is_id(id))
                return -EBADMSG;
        copy_measured(ret_event->id, sizeof ret_event->id, id);
        copy_measured(ret_event->exec_id, sizeof ret_event->exec_id, kind == ENGINE_EXEC_DIED ? exec_id : "");
        ret_event->event = (struct engine_event){
                .kind = (enum engine_event_kind)kind,
                .id = ret_event->id,
                .exec_id = ret_event->exec_id,
                .exit_code = get_int_text(attributes, "exitCode", 0),
        };
        return 0;
}

/* ---- the multiplexed output of an exec ---- */

static uint32_t read_big_endian(const unsigned char bytes[static 4])
{
        return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

int wire_stream_feed(struct wire_stream *stream, const void *bytes, size_t length,
                     void (*on_output)(void *arg, int stream_number, const void *bytes, size_t length), void *arg)
{
        const unsigned char *at = bytes;
        const unsigned char *end = at + length;

        while (at < end) {
                if (stream->header_length < sizeof stream->header) {
                        stream->header[stream->header_length++] = *at++;
                        if (stream->header_length < sizeof stream->header)
                                continue;
                        if (stream->header[0] != 1 && stream->header[0] != 2)
                                return -EBADMSG;
                        stream->left = read_big_endian(&stream->header[4]);
                } else {
                        size_t n = (size_t)(end - at) < stream->left ? (size_t)(end - at) : stream->left;
                        on_output(arg, stream->header[0], at, n);
                        at += n;
                        stream->left -= (uint32_t)n;
                }
                if (stream->left == 0)
                        stream->header_length = 0;
        }
        return 0;
}
