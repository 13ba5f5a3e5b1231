#include "api-path.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* Everything but the unreserved characters is encoded. */
static int append_encoded(struct buffer *path, const char *text)
{
        int r = buffer_append(path, "", 0);

        for (; *text != '\0' && r == 0; text++) {
                unsigned char byte = (unsigned char)*text;

                if (byte < 0x80 && (isalnum(byte) || strchr("-._~", byte) != NULL))
                        r = buffer_append(path, text, 1);
                else
                        r = buffer_format(path, "%%%02X", byte);
        }
        return r;
}

int api_path_append(struct buffer *path, const char *segment)
{
        if (*segment == '\0' || str_equal(segment, ".") || str_equal(segment, ".."))
                return -EINVAL;
        (void)buffer_text(path, "/");
        return append_encoded(path, segment);
}

int api_path_query(struct buffer *path, const char *name, const char *value)
{
        if (value == NULL)
                return 0;
        bool has_query = path->data != NULL && strchr(path->data, '?') != NULL;
        (void)buffer_format(path, "%c%s=", has_query ? '&' : '?', name);
        return append_encoded(path, value);
}
