#include "fields.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "str.h"

static int read_member(const cJSON *member, const struct field *table, void *target, uint32_t *seen, struct fault *why)
{
        for (size_t i = 0; table[i].name != NULL; i++) {
                if (!str_equal(table[i].name, member->string))
                        continue;
                if ((*seen & 1U << i) != 0)
                        return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "the body has %s twice", table[i].name);
                *seen |= 1U << i;
                return table[i].read(target, member, table[i].name, why);
        }
        return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "the body has the unknown field \"%.40s\"",
                         member->string);
}

int fields_read(const cJSON *object, const struct field *table, void *target, struct fault *why)
{
        const cJSON *member;
        uint32_t seen = 0;

        cJSON_ArrayForEach(member, object)
        {
                int r = read_member(member, table, target, &seen, why);

                if (r < 0)
                        return r;
        }
        return 0;
}

int fields_parse(const char *text, size_t length, const struct field *table, void *target, cJSON **ret_tree,
                 struct fault *why)
{
        cJSON *tree = length == 0 ? NULL : json_parse(text, length, why);
        int r = 0;

        if (length > 0 && tree == NULL)
                return -EBADMSG;
        if (tree != NULL && !cJSON_IsObject(tree))
                r = fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "the body must be a JSON object");
        else
                r = fields_read(tree, table, target, why);
        if (r < 0)
                cJSON_Delete(tree);
        else
                *ret_tree = tree;
        return r;
}

int field_whole(const cJSON *value, const char *name, uint64_t min, uint64_t max, uint64_t *ret_value,
                struct fault *why)
{
        double number = value->valuedouble;

        if (!cJSON_IsNumber(value) || !(number >= (double)min && number <= (double)max) || number != floor(number))
                return fault_set(why, FAULT_REQUEST_INVALID, ERANGE, "%s must be a whole number from %ju to %ju", name,
                                 (uintmax_t)min, (uintmax_t)max);
        *ret_value = (uint64_t)number;
        return 0;
}

int field_decimal(const cJSON *value, const char *name, double min, double max, double *ret_value, struct fault *why)
{
        if (!cJSON_IsNumber(value) || !(value->valuedouble >= min && value->valuedouble <= max))
                return fault_set(why, FAULT_REQUEST_INVALID, ERANGE, "%s must be a number from %g to %.0f", name, min,
                                 max);
        *ret_value = value->valuedouble;
        return 0;
}

int field_text(const cJSON *value, const char *name, size_t min, size_t max, const char **ret_text, struct fault *why)
{
        size_t length = cJSON_IsString(value) ? strlen(value->valuestring) : 0;

        if (!cJSON_IsString(value) || length < min || length > max)
                return fault_set(why, FAULT_REQUEST_INVALID, ERANGE, "%s must be a string of %zu to %zu bytes", name,
                                 min, max);
        *ret_text = value->valuestring;
        return 0;
}

int field_choice(const cJSON *value, const char *name, const char *const *choices, size_t n, size_t *ret_index,
                 struct fault *why)
{
        char expected[128] = "";
        size_t length = 0;

        for (size_t i = 0; i < n; i++) {
                if (cJSON_IsString(value) && str_equal(value->valuestring, choices[i])) {
                        *ret_index = i;
                        return 0;
                }
                (void)snprintf(expected + length, sizeof expected - length, "%s%s", i == 0 ? "" : ", ", choices[i]);
                length = strlen(expected);
        }
        return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s must be one of %s", name, expected);
}
