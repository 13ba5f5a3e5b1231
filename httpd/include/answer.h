/* Answers. Only the first answer of a request counts. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "request.h"

struct json;

enum http_status {
        HTTP_SWITCHING_PROTOCOLS = 101,
        HTTP_OK = 200,
        HTTP_ACCEPTED = 202,
        HTTP_PARTIAL_CONTENT = 206,
        HTTP_BAD_REQUEST = 400,
        HTTP_NOT_FOUND = 404,
        HTTP_REQUEST_TIMEOUT = 408,
        HTTP_RANGE_NOT_SATISFIABLE = 416,
        HTTP_UPGRADE_REQUIRED = 426,
        HTTP_HEADERS_TOO_LARGE = 431,
        HTTP_SERVICE_UNAVAILABLE = 503
};

#define ANSWER_JSON "application/json"
#define ANSWER_NDJSON "application/x-ndjson"

struct answer_header {
        const char *name, *value; /* copied */
};

/* Takes json. NULL (out of memory) is answered with FAULT_RESOURCE_EXHAUSTED. */
void answer_json(struct request *request, unsigned status, struct json *json);
/* Takes the buffer's content. */
void answer_text(struct request *request, const char *content_type, struct buffer *text);

void answer_fault(struct request *request, const struct fault *why);
/* With another status than error_status has, and a header or NULL. */
void answer_fault_as(struct request *request, unsigned status, const struct fault *why,
                     const struct answer_header *header);
/* The same with its own body: error_render's, with more members. Takes json. */
void answer_error(struct request *request, unsigned status, const struct fault *why, const struct answer_header *header,
                  struct json *json);
void answer_no_memory(struct request *request);

enum { ANSWER_SIZE_UNKNOWN = -1 };

/* The body comes from request->stream; size bytes of it, or ANSWER_SIZE_UNKNOWN. headers end with a NULL name. */
void answer_stream(struct request *request, unsigned status, int64_t size, const struct answer_header *headers);
