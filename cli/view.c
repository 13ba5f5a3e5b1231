#include "view.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "scope.h"
#include "str.h"
#include "table.h"
#include "text.h"
#include "verb.h"

enum { DIGEST_SHOWN = 12 };
static const char DIGEST_PREFIX[] = "sha256:";

const cJSON *view_find(const cJSON *object, const char *path)
{
        while (object != NULL) {
                const char *dot = strchrnul(path, '.');
                char name[64];

                if ((size_t)(dot - path) >= sizeof name)
                        return NULL;
                memcpy(name, path, (size_t)(dot - path));
                name[dot - path] = '\0';
                object = cJSON_GetObjectItemCaseSensitive(object, name);
                if (*dot == '\0')
                        return object;
                path = dot + 1;
        }
        return NULL;
}

const char *view_text(const cJSON *object, const char *path)
{
        const char *text = cJSON_GetStringValue(view_find(object, path));

        return text != NULL ? text : "";
}

double view_number(const cJSON *object, const char *path, double fallback)
{
        const cJSON *found = view_find(object, path);

        return cJSON_IsNumber(found) ? found->valuedouble : fallback;
}

static void format_seconds(struct buffer *text, double seconds)
{
        uint64_t whole = seconds > 0 && seconds < 1e15 ? (uint64_t)seconds : 0;

        if (whole < 60)
                (void)buffer_format(text, "%" PRIu64 "s", whole);
        else if (whole < 3600)
                (void)buffer_format(text, "%" PRIu64 "m%02" PRIu64 "s", whole / 60, whole % 60);
        else if (whole < 86400)
                (void)buffer_format(text, "%" PRIu64 "h%02" PRIu64 "m", whole / 3600, whole / 60 % 60);
        else
                (void)buffer_format(text, "%" PRIu64 "d%02" PRIu64 "h", whole / 86400, whole / 3600 % 24);
}

static void format_bytes(struct buffer *text, double bytes)
{
        char size[STR_SIZE_BYTES];

        (void)buffer_text(text, str_size(bytes > 0 && bytes < 9e18 ? (uint64_t)bytes : 0, size));
}

static void format_number(struct buffer *text, enum field_kind kind, double value)
{
        if (kind == FIELD_SECONDS)
                format_seconds(text, value);
        else if (kind == FIELD_MICROSECONDS)
                (void)buffer_format(text, "%.3fs", value / 1e6);
        else if (kind == FIELD_BYTES)
                format_bytes(text, value);
        else
                (void)buffer_format(text, "%.15g", value);
}

char *view_format(const struct field *field, const cJSON *object)
{
        const cJSON *found = view_find(object, field->path);
        struct buffer text = { 0 };
        bool is_digest = field->kind == FIELD_DIGEST && cJSON_IsString(found) &&
                         str_has_prefix(found->valuestring, DIGEST_PREFIX);
        int precision = is_digest ? DIGEST_SHOWN : INT_MAX;
        size_t skipped = is_digest ? strlen(DIGEST_PREFIX) : 0;

        if (cJSON_IsNumber(found))
                format_number(&text, field->kind, found->valuedouble);
        else if (cJSON_IsBool(found))
                (void)buffer_text(&text, cJSON_IsTrue(found) ? "yes" : "no");
        else if (cJSON_IsString(found) && found->valuestring[0] != '\0')
                (void)buffer_format(&text, "%.*s", precision, found->valuestring + skipped);
        else if (cJSON_IsObject(found) || cJSON_IsArray(found))
                return cJSON_PrintUnformatted(found);
        else
                (void)buffer_text(&text, "-");
        if (text.has_failed)
                buffer_free(&text);
        return text.data;
}

static int add_object(struct table *table, const struct field *fields, const cJSON *object)
{
        char *cells[TABLE_COLUMNS_MAX] = { 0 };
        size_t count = 0;
        int r = 0;

        for (; fields[count].title != NULL && r == 0; count++) {
                cells[count] = view_format(&fields[count], object);
                if (cells[count] == NULL)
                        r = -ENOMEM;
        }
        if (r == 0)
                r = table_add(table, (const char *const *)cells);
        while (count > 0)
                free(cells[--count]);
        return r;
}

static void free_table(struct table **table)
{
        table_free(*table);
}

int view_rows(const struct cli *cli, const struct field *fields, const cJSON *array)
{
        AUTO(free_table) struct table *table = NULL;
        const char *titles[TABLE_COLUMNS_MAX] = { 0 };
        const cJSON *object;
        size_t count = 0;

        while (count < TABLE_COLUMNS_MAX && fields[count].title != NULL) {
                titles[count] = fields[count].title;
                count++;
        }
        int r = table_new(&table, titles, count);
        if (r < 0)
                return r;
        for (size_t i = 0; i < count; i++)
                if (fields[i].kind == FIELD_ID)
                        table_keep_whole(table, i);
        cJSON_ArrayForEach(object, array)
        {
                r = add_object(table, fields, object);
                if (r < 0)
                        return r;
        }
        table_print(table, cli->out, cli->width);
        return 0;
}

int view_pairs(const struct cli *cli, const struct field *fields, const cJSON *object)
{
        AUTO(free_table) struct table *table = NULL;
        int r = table_new(&table, NULL, 2);

        for (; r == 0 && fields->title != NULL; fields++) {
                const cJSON *found = view_find(object, fields->path);

                if (found == NULL || cJSON_IsNull(found))
                        continue;
                AUTO(auto_free) char *value = view_format(fields, object);
                if (value == NULL)
                        return -ENOMEM;
                r = table_add(table, (const char *const[]){ fields->title, value });
        }
        if (r == 0)
                table_print(table, cli->out, 0);
        return r;
}

int view_names(const struct cli *cli, const char *path, const cJSON *array)
{
        const cJSON *object;

        cJSON_ArrayForEach(object, array)
        {
                struct buffer name = { 0 };
                int r = text_clean(&name, view_text(object, path));

                if (r == 0)
                        (void)fprintf(cli->out, "%s\n", name.data);
                buffer_free(&name);
                if (r < 0)
                        return r;
        }
        return 0;
}

int view_json(const struct cli *cli, const cJSON *json)
{
        AUTO(auto_free) char *text = cJSON_PrintUnformatted(json);
        struct buffer safe = { 0 };
        int r = text != NULL ? text_append_json(&safe, text) : -ENOMEM;

        if (r == 0)
                (void)fprintf(cli->out, "%s\n", safe.data);
        buffer_free(&safe);
        return r;
}
