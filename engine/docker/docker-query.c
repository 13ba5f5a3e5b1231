#include "docker-query.h"

#include <cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "scope.h"
#include "str.h"

#define LETTERS_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

char *docker_text(const char *format, ...)
{
        char *text;
        va_list arguments;

        va_start(arguments, format);
        int length = vasprintf(&text, format, arguments);
        va_end(arguments);
        return length >= 0 ? text : NULL;
}

char *docker_escape(const char *text)
{
        struct buffer escaped = { 0 };
        char *result;

        for (; *text != '\0'; text++)
                if (strchr(LETTERS_DIGITS "-._~", *text) != NULL)
                        buffer_append(&escaped, text, 1);
                else
                        buffer_format(&escaped, "%%%02X", (unsigned char)*text);
        result = buffer_take(&escaped);
        buffer_free(&escaped);
        return result;
}

static bool add_filter(cJSON *json, const char *name, const char *const *values)
{
        cJSON *array = cJSON_AddArrayToObject(json, name);

        if (array == NULL)
                return false;
        for (; *values != NULL; values++)
                if (!cJSON_AddItemToArray(array, cJSON_CreateString(*values)))
                        return false;
        return true;
}

char *docker_filters(const char *label, const char *value, const struct docker_filter *filters)
{
        AUTO(auto_free) char *pair = docker_text("%s=%s", label, value);
        const char *const pairs[] = { pair, NULL };
        cJSON *json = cJSON_CreateObject();
        bool is_whole = json != NULL && pair != NULL && add_filter(json, "label", pairs);
        char *text = NULL;
        char *escaped = NULL;

        for (; is_whole && filters->name != NULL; filters++)
                is_whole = add_filter(json, filters->name, filters->values);
        if (is_whole)
                text = cJSON_PrintUnformatted(json);
        if (text != NULL)
                escaped = docker_escape(text);
        cJSON_free(text);
        cJSON_Delete(json);
        return escaped;
}

static bool consists_of(const char *text, const char *characters, size_t size)
{
        return text != NULL && text[0] != '\0' && strlen(text) < size && text[strspn(text, characters)] == '\0';
}

bool docker_is_name(const char *text)
{
        return consists_of(text, LETTERS_DIGITS "_.-", ENGINE_NAME_BYTES) && strchr("_.-", text[0]) == NULL;
}

/* No empty segments and none of dots: a router would resolve them. */
bool docker_is_reference(const char *text)
{
        return consists_of(text, LETTERS_DIGITS "_.-/:@", 256) && strchr("/.:@-", text[0]) == NULL &&
               strstr(text, "//") == NULL && strstr(text, "/.") == NULL && strstr(text, "..") == NULL;
}
