#include "text-tail.h"

#include <errno.h>
#include <string.h>

#include "str.h"
#include "utf8.h"

static int pass_on(struct text_tail *tail, const char *bytes, size_t length, text_tail_visit visit, void *arg)
{
        size_t unfinished = utf8_unfinished(bytes, length);

        tail->length = unfinished;
        memcpy(tail->bytes, bytes + length - unfinished, unfinished);
        return length > unfinished ? visit(arg, bytes, length - unfinished) : 0;
}

int text_tail_feed(struct text_tail *tail, const void *bytes, size_t length, text_tail_visit visit, void *arg)
{
        struct buffer joined = { 0 };
        int r = -ENOMEM;

        if (length == 0)
                return 0;
        if (tail->length == 0)
                return pass_on(tail, bytes, length, visit, arg);
        (void)buffer_append(&joined, tail->bytes, tail->length);
        (void)buffer_append(&joined, bytes, length);
        if (!joined.has_failed)
                r = pass_on(tail, joined.data, joined.length, visit, arg);
        buffer_free(&joined);
        return r;
}

int text_tail_end(struct text_tail *tail, text_tail_visit visit, void *arg)
{
        size_t length = tail->length;

        tail->length = 0;
        return length > 0 ? visit(arg, tail->bytes, length) : 0;
}
