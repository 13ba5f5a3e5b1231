#include "lines.h"

#include <errno.h>
#include <string.h>

/* The first newline ends what is pending. */
static int finish_pending(struct lines *lines, const char *bytes, size_t length, lines_visit visit, void *arg)
{
        if (lines->pending.length + length > lines->limit_bytes)
                return -EMSGSIZE;
        int r = buffer_append(&lines->pending, bytes, length);
        if (r < 0)
                return r;
        r = visit(arg, lines->pending.data, lines->pending.length);
        buffer_free(&lines->pending);
        return r;
}

static int visit_line(struct lines *lines, const char *bytes, size_t length, lines_visit visit, void *arg)
{
        if (lines->pending.length > 0)
                return finish_pending(lines, bytes, length, visit, arg);
        if (length > lines->limit_bytes)
                return -EMSGSIZE;
        return length > 0 ? visit(arg, bytes, length) : 0;
}

int lines_feed(struct lines *lines, const void *bytes, size_t length, lines_visit visit, void *arg)
{
        const char *at = bytes;
        const char *end = at + length;

        while (at < end) {
                const char *newline = memchr(at, '\n', (size_t)(end - at));

                if (newline == NULL)
                        break;
                int r = visit_line(lines, at, (size_t)(newline - at), visit, arg);
                if (r < 0)
                        return r;
                at = newline + 1;
        }
        if (at == end)
                return 0;
        if (lines->pending.length + (size_t)(end - at) > lines->limit_bytes)
                return -EMSGSIZE;
        return buffer_append(&lines->pending, at, (size_t)(end - at));
}

int lines_end(const struct lines *lines)
{
        return lines->pending.length > 0 ? -EPROTO : 0;
}

void lines_free(struct lines *lines)
{
        buffer_free(&lines->pending);
}
