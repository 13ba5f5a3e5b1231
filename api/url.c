#include "url.h"

#include <errno.h>
#include <string.h>

#include "str.h"

static int hex_value(char digit)
{
        if (digit >= '0' && digit <= '9')
                return digit - '0';
        if (digit >= 'a' && digit <= 'f')
                return digit - 'a' + 10;
        if (digit >= 'A' && digit <= 'F')
                return digit - 'A' + 10;
        return -1;
}

/* The byte that the escape at text[0] == '%' stands for, or -1. */
static int escaped_byte(const char *text, size_t length)
{
        int high = length >= 3 ? hex_value(text[1]) : -1;
        int low = length >= 3 ? hex_value(text[2]) : -1;

        return high < 0 || low < 0 ? -1 : high << 4 | low;
}

int url_decode(const char *text, size_t length, char *target, size_t size, size_t *ret_length)
{
        size_t written = 0;

        for (size_t i = 0; i < length; i++) {
                bool is_escaped = text[i] == '%';
                int value = is_escaped ? escaped_byte(text + i, length - i) : (unsigned char)text[i];

                if (value < 0)
                        return -EINVAL;
                if (written + 1 >= size)
                        return -ENAMETOOLONG;
                target[written++] = (char)value;
                i += is_escaped ? 2 : 0;
        }
        if (written >= size)
                return -ENAMETOOLONG;
        target[written] = '\0';
        *ret_length = written;
        return 0;
}

static int read_user(char target[USER_ID_MAX + 1], const char *value, size_t length, struct fault *why)
{
        int r = user_id_check(value, length, why);

        if (r == 0)
                memcpy(target, value, length + 1);
        return r;
}

static int read_after(struct list_query *query, const char *value, size_t length, struct fault *why)
{
        return read_user(query->after, value, length, why);
}

static int read_limit(struct list_query *query, const char *value, size_t length, struct fault *why)
{
        uint64_t limit;

        if (strlen(value) != length || str_parse_u64(value, 1, LIST_LIMIT_MAX, &limit) < 0)
                return fault_set(why, FAULT_REQUEST_INVALID, ERANGE, "limit is a whole number from 1 to %d",
                                 LIST_LIMIT_MAX);
        query->limit = (size_t)limit;
        return 0;
}

static int read_state(struct list_query *query, const char *value, size_t length, struct fault *why)
{
        for (int state = 0; state < CARREL_STATES; state++) {
                if (strlen(value) == length && str_equal(value, carrel_state_name((enum carrel_state)state))) {
                        query->state = state;
                        return 0;
                }
        }
        return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "state is one of queued, starting, ready, retiring, lost");
}

static int read_query_user(struct list_query *query, const char *value, size_t length, struct fault *why)
{
        return read_user(query->user, value, length, why);
}

static int read_seq(struct list_query *query, const char *value, size_t length, struct fault *why)
{
        if (strlen(value) != length || str_parse_u64(value, 0, UINT64_MAX - 1, &query->after_seq) < 0)
                return fault_set(why, FAULT_REQUEST_INVALID, ERANGE, "after is the seq of an event");
        query->has_seq = true;
        return 0;
}

static int read_follow(struct list_query *query, const char *value, size_t length, struct fault *why)
{
        if (length != 1 || (value[0] != '0' && value[0] != '1'))
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "follow is 0 or 1");
        query->is_following = value[0] == '1';
        return 0;
}

static int read_text(char *target, size_t size, const char *what, const char *value, size_t length, struct fault *why)
{
        if (strlen(value) != length || length == 0 || length >= size)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s is empty, too long or no text", what);
        memcpy(target, value, length + 1);
        return 0;
}

static int read_reference(struct list_query *query, const char *value, size_t length, struct fault *why)
{
        return read_text(query->reference, sizeof query->reference, "reference", value, length, why);
}

static int read_format(struct list_query *query, const char *value, size_t length, struct fault *why)
{
        return read_text(query->format, sizeof query->format, "format", value, length, why);
}

static const struct pair {
        const char *name;
        unsigned bit;
        int (*read)(struct list_query *query, const char *value, size_t length, struct fault *why);
} PAIRS[] = {
        { "after", QUERY_AFTER, read_after },
        { "after", QUERY_SEQ, read_seq },
        { "follow", QUERY_FOLLOW, read_follow },
        { "format", QUERY_FORMAT, read_format },
        { "reference", QUERY_REFERENCE, read_reference },
        { "limit", QUERY_LIMIT, read_limit },
        { "state", QUERY_STATE, read_state },
        { "user", QUERY_USER, read_query_user },
};
enum { N_PAIRS = sizeof PAIRS / sizeof *PAIRS };

static int read_pair(const char *text, size_t length, unsigned known, unsigned *seen, struct list_query *query,
                     struct fault *why)
{
        const char *equals = memchr(text, '=', length);
        size_t name_length = equals == NULL ? length : (size_t)(equals - text);
        char value[256];
        size_t value_length;

        for (size_t i = 0; i < N_PAIRS; i++) {
                const struct pair *pair = &PAIRS[i];

                if ((known & pair->bit) == 0 || strlen(pair->name) != name_length ||
                    memcmp(pair->name, text, name_length) != 0)
                        continue;
                if ((*seen & pair->bit) != 0)
                        return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "the query has %s twice", pair->name);
                *seen |= pair->bit;
                if (equals == NULL ||
                    url_decode(equals + 1, length - name_length - 1, value, sizeof value, &value_length) < 0)
                        return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "the query's %s is malformed", pair->name);
                return pair->read(query, value, value_length, why);
        }
        return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "the query has a parameter that is not known here");
}

int url_parse_query(const char *text, unsigned known, struct list_query *ret_query, struct fault *why)
{
        struct list_query query = { .state = -1, .limit = LIST_LIMIT_DEFAULT, .format = "auto" };
        unsigned seen = 0;

        while (text != NULL && *text != '\0') {
                size_t length = strcspn(text, "&");
                int r = read_pair(text, length, known, &seen, &query, why);

                if (r < 0)
                        return r;
                text += length + (text[length] == '&' ? 1 : 0);
        }
        *ret_query = query;
        return 0;
}
