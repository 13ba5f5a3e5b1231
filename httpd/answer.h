/* Answers of every kind. */
#pragma once

#include "exchange.h"

struct cJSON;
struct exec_result;

/* Prints and frees tree; NULL (out of memory) is answered as resource_exhausted. */
void answer_json(struct request *request, unsigned status, struct cJSON *tree);
void answer_fault(struct request *request, const struct fault *why);
struct answer_header {
        const char *name, *value;
};
/* A status other than the table's, and a header that belongs to it, or NULL. */
void answer_fault_as(struct request *request, unsigned status, const struct fault *why,
                     const struct answer_header *header);
/* The same with a body of its own, which it frees: error_render's with something added. */
void answer_error(struct request *request, unsigned status, const struct fault *why, const struct answer_header *header,
                  struct cJSON *tree);
struct job;
/* How a program ended, with its outputs. job: whose result it is, which request->work follows; NULL: it is being told.
 */
void answer_exec_result(struct request *request, const struct exec_result *result, const struct job *job);
void answer_no_memory(struct request *request);
/* Takes the buffer's content. */
void answer_text(struct request *request, const char *content_type, struct buffer *text);
#define ANSWER_JSON "application/json"
#define ANSWER_NDJSON "application/x-ndjson"
/* From request->stream; exec_id, unless NULL, goes into a header. */
void answer_stream(struct request *request, const char *content_type, const char *exec_id);
