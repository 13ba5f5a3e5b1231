#include "answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "exchange.h"
#include "put.h"
#include "stream.h"

/* Takes body. */
static struct MHD_Response *make_response(char *body, const char *content_type)
{
        struct MHD_Response *response;

        if (body == NULL)
                return NULL;
        response = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_FREE);
        if (response == NULL)
                free(body);
        else
                (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
        return response;
}

void answer_json(struct request *request, unsigned status, struct json *json)
{
        struct MHD_Response *response = make_response(json_take(json), ANSWER_JSON);

        if (response != NULL)
                exchange_answer(exchange_of(request), status, response);
        else
                answer_no_memory(request);
}

void answer_error(struct request *request, unsigned status, const struct fault *why, const struct answer_header *header,
                  struct json *json)
{
        struct MHD_Response *response = make_response(json_take(json), ANSWER_JSON);
        unsigned retry_after_s = error_retry_after_s(why, status);
        char seconds[16];

        (void)snprintf(seconds, sizeof seconds, "%u", retry_after_s);
        if (response != NULL && retry_after_s > 0)
                (void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
        if (response != NULL && header != NULL)
                (void)MHD_add_response_header(response, header->name, header->value);
        if (response != NULL && error_closes_connection(why->kind))
                (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
        exchange_answer(exchange_of(request), status, response);
}

void answer_fault_as(struct request *request, unsigned status, const struct fault *why,
                     const struct answer_header *header)
{
        answer_error(request, status, why, header, error_render(why));
}

void answer_fault(struct request *request, const struct fault *why)
{
        answer_fault_as(request, error_status(why->kind), why, NULL);
}

void answer_no_memory(struct request *request)
{
        struct fault why;

        (void)fault_set(&why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "the server is out of memory");
        answer_fault(request, &why);
}

void answer_text(struct request *request, const char *content_type, struct buffer *text)
{
        exchange_answer(exchange_of(request), HTTP_OK, make_response(buffer_take(text), content_type));
}

void answer_stream(struct request *request, unsigned status, int64_t size, const struct answer_header *headers)
{
        struct MHD_Response *response = stream_response(request->stream, size);

        for (; response != NULL && headers->name != NULL; headers++)
                (void)MHD_add_response_header(response, headers->name, headers->value);
        exchange_answer(exchange_of(request), status, response);
}
