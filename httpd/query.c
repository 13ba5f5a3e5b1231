#include "query.h"

#include <errno.h>
#include <string.h>

#include "str.h"
#include "url.h"

static const struct query_parameter *find(const struct query_parameter *table, const char *name, size_t length)
{
        for (; table->name != NULL; table++)
                if (strlen(table->name) == length && memcmp(table->name, name, length) == 0)
                        return table;
        return NULL;
}

static int read_pair(char *text, size_t length, const struct query_parameter *table, unsigned *seen, void *target,
                     struct fault *why)
{
        char *equals = memchr(text, '=', length);
        size_t name_length = equals == NULL ? length : (size_t)(equals - text);
        const struct query_parameter *parameter = find(table, text, name_length);
        unsigned bit;
        size_t n;

        if (parameter == NULL)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "the query has an unknown parameter");
        bit = 1U << (parameter - table);
        if (!parameter->is_repeated && (*seen & bit) != 0)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "the query has %s twice", parameter->name);
        *seen |= bit;
        /* The decoded value is never longer. The byte after the pair has been read already, so the NUL may overwrite
         * it. */
        if (equals == NULL ||
            url_decode(equals + 1, length - name_length - 1, equals + 1, length - name_length, &n) < 0 ||
            strlen(equals + 1) != n)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "the query's %s is malformed", parameter->name);
        return parameter->read(target, equals + 1, parameter->name, why);
}

int query_parse(char *text, const struct query_parameter *table, void *target, struct fault *why)
{
        unsigned seen = 0;
        char *next;

        for (; text != NULL && *text != '\0'; text = next) {
                size_t length = strcspn(text, "&");
                int r;

                next = text + length + (text[length] == '&' ? 1 : 0);
                r = read_pair(text, length, table, &seen, target, why);
                if (r < 0)
                        return r;
        }
        return 0;
}

int query_flag(const char *value, const char *name, bool *ret_flag, struct fault *why)
{
        if (!str_equal(value, "0") && !str_equal(value, "1"))
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s is 0 or 1", name);
        *ret_flag = value[0] == '1';
        return 0;
}
