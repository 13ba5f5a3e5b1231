/* Explains failed calls to people, and reads the error of an answer. */
#pragma once

#include <cjson/cJSON.h>

struct api_error;
struct fault;

/* Fills *error for a call that got no answer. Connects again to distinguish "nobody listens", "not allowed" and
 * "was there, and is gone", because the transport's error does not. */
void api_reach_explain(struct api_error *error, const char *socket_path, const struct fault *why);

/* Fills *error from the body of an answer that is not 2xx: {"error":{code,message,retryable}}, or anything else. */
void api_error_parse(struct api_error *error, int http_status, const char *body);
/* The same from an "error" object. */
void api_error_read(struct api_error *error, const cJSON *object);
