#include "file-query.h"

#include <errno.h>
#include <string.h>

#include "str.h"
#include "url.h"

enum { MODE_MAX = 07777 };

static int wrong(struct fault *why, const char *sentence)
{
        return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s", sentence);
}

static int read_flag(const char *value, bool *ret_flag, struct fault *why)
{
        if (!str_equal(value, "0") && !str_equal(value, "1"))
                return wrong(why, "list, parents and recursive are 0 or 1");
        *ret_flag = value[0] == '1';
        return 0;
}

static int read_list(struct file_query *query, const char *value, struct fault *why)
{
        return read_flag(value, &query->is_listing, why);
}

static int read_mode(struct file_query *query, const char *value, struct fault *why)
{
        int mode = 0;

        if (value[0] == '\0' || strlen(value) > 5 || strspn(value, "01234567") != strlen(value))
                return wrong(why, "mode is octal, from 0 to 7777");
        for (; *value != '\0'; value++)
                mode = mode << 3 | (*value - '0');
        if (mode > MODE_MAX)
                return wrong(why, "mode is octal, from 0 to 7777");
        query->mode = mode;
        return 0;
}

static int read_parents(struct file_query *query, const char *value, struct fault *why)
{
        return read_flag(value, &query->is_making_parents, why);
}

static int read_path(struct file_query *query, const char *value, struct fault *why)
{
        if (value[0] == '\0')
                return wrong(why, "path must not be empty");
        memcpy(query->path, value, strlen(value) + 1);
        return 0;
}

static int read_recursive(struct file_query *query, const char *value, struct fault *why)
{
        return read_flag(value, &query->is_recursive, why);
}

static const struct pair {
        const char *name;
        unsigned bit;
        int (*read)(struct file_query *query, const char *value, struct fault *why);
} PAIRS[] = {
        { "list", FILE_QUERY_LIST, read_list },
        { "mode", FILE_QUERY_MODE, read_mode },
        { "parents", FILE_QUERY_PARENTS, read_parents },
        { "path", FILE_QUERY_PATH, read_path },
        { "recursive", FILE_QUERY_RECURSIVE, read_recursive },
};
enum { N_PAIRS = sizeof PAIRS / sizeof *PAIRS };

static int read_pair(const char *text, size_t length, unsigned known, unsigned *seen, struct file_query *query,
                     struct fault *why)
{
        const char *equals = memchr(text, '=', length);
        size_t name_length = equals == NULL ? length : (size_t)(equals - text);
        char value[FILE_PATH_BYTES] = "";
        size_t n;

        for (size_t i = 0; i < N_PAIRS; i++) {
                const struct pair *pair = &PAIRS[i];

                if ((known & pair->bit) == 0 || strlen(pair->name) != name_length ||
                    memcmp(pair->name, text, name_length) != 0)
                        continue;
                if ((*seen & pair->bit) != 0)
                        return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "the query has %s twice", pair->name);
                *seen |= pair->bit;
                if (equals == NULL || url_decode(equals + 1, length - name_length - 1, value, sizeof value, &n) < 0 ||
                    strlen(value) != n)
                        return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "the query's %s is malformed", pair->name);
                return pair->read(query, value, why);
        }
        return wrong(why, "the query has a parameter that is not known here");
}

int file_query_parse(const char *text, unsigned known, struct file_query *ret_query, struct fault *why)
{
        struct file_query query = { .mode = -1 };
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

int file_path_decode(const char *rest, char ret_path[static FILE_PATH_BYTES], struct fault *why)
{
        size_t n;
        int r = url_decode(rest, strlen(rest), ret_path, FILE_PATH_BYTES, &n);

        if (r == -ENAMETOOLONG)
                return wrong(why, "the path has more than 4095 bytes");
        if (r < 0 || strlen(ret_path) != n)
                return wrong(why, "the path has a malformed percent escape or a NUL");
        if (n == 0)
                memcpy(ret_path, ".", 2);
        return 0;
}

static bool read_position(const char *text, size_t length, int64_t *ret_position)
{
        char digits[20];
        uint64_t number;

        if (length == 0 || length >= sizeof digits)
                return false;
        memcpy(digits, text, length);
        digits[length] = '\0';
        if (str_parse_u64(digits, 0, INT64_MAX / 2, &number) < 0)
                return false;
        *ret_position = (int64_t)number;
        return true;
}

bool file_range_parse(const char *header, int64_t *ret_first, int64_t *ret_last)
{
        const char *dash;
        int64_t first = -1, last = -1;

        if (header == NULL || strncmp(header, "bytes=", 6) != 0)
                return false;
        header += 6;
        dash = strchr(header, '-');
        if (dash == NULL)
                return false;
        if (dash > header && !read_position(header, (size_t)(dash - header), &first))
                return false;
        if (dash[1] != '\0' && !read_position(dash + 1, strlen(dash + 1), &last))
                return false;
        if ((first < 0 && last < 0) || (first >= 0 && last >= 0 && last < first))
                return false;
        *ret_first = first;
        *ret_last = last;
        return true;
}
