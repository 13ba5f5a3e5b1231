#include "pieces.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "exchange.h"
#include "put.h"
#include "scope.h"
#include "stream.h"

struct sending {
        struct request *request;
        struct pieces pieces;
};

static void release_sending(void *arg)
{
        struct sending *sending = arg;

        sending->pieces.release(sending->pieces.arg);
        free(sending);
}

static int add(const struct pieces *pieces, struct buffer *text)
{
        int r = pieces->add(pieces->arg, text);

        return r >= 0 && text->has_failed ? -ENOMEM : r;
}

/* The stream's queue is empty when this is called. A piece of a list is empty when the filter accepted none of its
 * items; then a space is sent, because without a byte the connection would be suspended and nothing would resume it. */
static ssize_t make(void *arg, char *target, size_t size)
{
        struct sending *sending = arg;
        struct stream *stream = sending->request->stream;
        struct buffer text = { 0 };
        int r = add(&sending->pieces, &text);

        (void)target, (void)size;
        if (r > 0 && text.length == 0 && buffer_text(&text, " ") < 0)
                r = -ENOMEM;
        if (r >= 0 && text.length > 0 && stream_push_bytes(stream, text.data, text.length) < 0)
                r = -ENOMEM;
        buffer_free(&text);
        if (r < 0)
                stream_break(stream);
        else if (r == 0)
                stream_end(stream);
        connection_enter(exchange_of(sending->request)->connection, CONNECTION_WRITING);
        return 0;
}

static int begin_stream(struct request *request, int64_t size, const struct pieces *pieces, const struct buffer *first)
{
        struct sending *sending = malloc(sizeof *sending);
        struct MHD_Response *response;

        if (sending == NULL || stream_new(&request->stream, request, SIZE_MAX, NULL, sending) < 0) {
                free(sending);
                return -ENOMEM;
        }
        *sending = (struct sending){ request, *pieces };
        stream_make(request->stream, make, release_sending);
        response = stream_response(request->stream, size);
        if (response == NULL || stream_push_bytes(request->stream, first->data, first->length) < 0)
                stream_break(request->stream);
        if (response == NULL)
                return -ENOMEM;
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, ANSWER_JSON);
        exchange_answer(exchange_of(request), HTTP_OK, response);
        return 0;
}

int answer_pieces(struct request *request, int64_t size, const struct pieces *pieces)
{
        struct buffer text = { 0 };
        int r = add(pieces, &text);

        if (r > 0)
                r = begin_stream(request, size, pieces, &text);
        else if (r == 0)
                answer_text(request, ANSWER_JSON, &text);
        if (request->stream == NULL) /* otherwise the stream releases it */
                pieces->release(pieces->arg);
        buffer_free(&text);
        return r;
}

/* ---- a list ---- */

/* The members of an object, without its braces; takes object. */
static void add_members(struct buffer *text, struct json *object, const char *before, const char *after)
{
        AUTO(auto_free) char *members = json_take(object);
        size_t length = members == NULL ? 0 : strlen(members);

        if (length < 2) {
                text->has_failed = true;
        } else if (length > 2) {
                (void)buffer_text(text, before);
                (void)buffer_append(text, members + 1, length - 2);
                (void)buffer_text(text, after);
        }
}

void piece_list_begin(struct piece_list *list, struct buffer *text, struct json *head, const char *name)
{
        *list = (struct piece_list){ .has_begun = true };
        (void)buffer_text(text, "{");
        add_members(text, head, "", ",");
        (void)buffer_format(text, "\"%s\":[", name);
}

void piece_list_add(struct piece_list *list, struct buffer *text, struct json *item)
{
        AUTO(auto_free) char *text_of_item = json_take(item);

        if (text_of_item == NULL) {
                text->has_failed = true;
                return;
        }
        if (list->has_items)
                (void)buffer_text(text, ",");
        (void)buffer_text(text, text_of_item);
        list->has_items = true;
}

void piece_list_end(struct buffer *text, struct json *tail)
{
        (void)buffer_text(text, "]");
        add_members(text, tail, ",", "");
        (void)buffer_text(text, "}");
}
