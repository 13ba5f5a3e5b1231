#include "put.h"

#include <cjson/cJSON.h>
#include <math.h>
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

void put_number(cJSON **object, const char *key, double value)
{
        put_child(object, key, cJSON_CreateNumber(value));
}

void put_bool(cJSON **object, const char *key, bool value)
{
        put_child(object, key, cJSON_CreateBool(value));
}

void put_seconds(cJSON **object, const char *key, double value_ms)
{
        put_number(object, key, round(value_ms) / 1000);
}

void put_copy(cJSON **array, cJSON *item)
{
        put_child(array, NULL, cJSON_Duplicate(item, true));
        cJSON_Delete(item);
}
