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

static int read_list(void *target, const char *value, const char *name, struct fault *why)
{
        return query_flag(value, name, &((struct file_query *)target)->is_listing, why);
}

static int read_mode(void *target, const char *value, const char *name, struct fault *why)
{
        int mode = 0;

        (void)name;
        if (value[0] == '\0' || strlen(value) > 5 || strspn(value, "01234567") != strlen(value))
                return wrong(why, "mode is octal, from 0 to 7777");
        for (; *value != '\0'; value++)
                mode = mode << 3 | (*value - '0');
        if (mode > MODE_MAX)
                return wrong(why, "mode is octal, from 0 to 7777");
        ((struct file_query *)target)->mode = mode;
        return 0;
}

static int read_parents(void *target, const char *value, const char *name, struct fault *why)
{
        return query_flag(value, name, &((struct file_query *)target)->is_making_parents, why);
}

static int read_path(void *target, const char *value, const char *name, struct fault *why)
{
        struct file_query *query = target;

        (void)name;
        if (value[0] == '\0' || str_copy(query->path, sizeof query->path, value) < 0)
                return wrong(why, "path is empty, or has more than 4095 bytes");
        return 0;
}

static int read_recursive(void *target, const char *value, const char *name, struct fault *why)
{
        return query_flag(value, name, &((struct file_query *)target)->is_recursive, why);
}

const struct query_parameter ARCHIVE_QUERY[] = { { "path", read_path, false }, { 0 } };
const struct query_parameter FILE_GET_QUERY[] = { { "list", read_list, false }, { 0 } };
const struct query_parameter FILE_PUT_QUERY[] = { { "mode", read_mode, false },
                                                  { "parents", read_parents, false },
                                                  { 0 } };
const struct query_parameter FILE_REMOVE_QUERY[] = { { "recursive", read_recursive, false }, { 0 } };

int file_query_parse(char *text, const struct query_parameter *table, struct file_query *ret_query, struct fault *why)
{
        *ret_query = (struct file_query){ .mode = -1 };
        return query_parse(text, table, ret_query, why);
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
