#include "put.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

void put_child(cJSON **object, const char *key, cJSON *child)
{
        bool is_added = false;

        if (*object != NULL && child != NULL)
                is_added = key == NULL ? cJSON_AddItemToArray(*object, child)
                                       : cJSON_AddItemToObjectCS(*object, key, child);
        if (is_added)
                return;
        cJSON_Delete(child);
        cJSON_Delete(*object);
        *object = NULL;
}

static cJSON *mended_text(const char *value)
{
        char *copy = strdup(value);
        cJSON *text;

        if (copy == NULL)
                return NULL;
        utf8_mend(copy);
        text = cJSON_CreateString(copy);
        free(copy);
        return text;
}

void put_text(cJSON **object, const char *key, const char *value)
{
        if (value == NULL)
                put_child(object, key, cJSON_CreateNull());
        else if (utf8_is_text(value, strlen(value)))
                put_child(object, key, cJSON_CreateStringReference(value));
        else
                put_child(object, key, mended_text(value));
}

/* cJSON prints any number beyond an int through "%1.15g" and reads it back with sscanf, which took an eighth of
 * the time of an ensure. Whole numbers are exact in a double up to 2^53. */
void put_number(cJSON **object, const char *key, double value)
{
        char text[32];

        if (value != floor(value) || fabs(value) <= INT_MAX || fabs(value) > 0x1p53) {
                put_child(object, key, cJSON_CreateNumber(value));
                return;
        }
        (void)snprintf(text, sizeof text, "%lld", (long long)value);
        put_child(object, key, cJSON_CreateRaw(text));
}

void put_bool(cJSON **object, const char *key, bool value)
{
        put_child(object, key, cJSON_CreateBool(value));
}

void put_seconds(cJSON **object, const char *key, double value_ms)
{
        char text[32];
        long long ms;
        int length;

        if (!(value_ms >= 0 && value_ms <= 0x1p53)) {
                put_number(object, key, value_ms / 1000);
                return;
        }
        ms = llround(value_ms);
        length = snprintf(text, sizeof text, "%lld.%03lld", ms / 1000, ms % 1000);
        while (text[length - 1] == '0')
                text[--length] = '\0';
        if (text[length - 1] == '.')
                text[--length] = '\0';
        put_child(object, key, cJSON_CreateRaw(text));
}

void put_copy(cJSON **array, cJSON *item)
{
        put_child(array, NULL, cJSON_Duplicate(item, true));
        cJSON_Delete(item);
}
