/* Faults as HTTP: one table from kind to status, and the one shape of every error answer. */
#pragma once

#include <stdbool.h>

#include "fault.h"

struct cJSON;

/* 400 to 504. FAULT_REQUEST_TOO_LARGE is 413, and FAULT_DEADLINE 504; the API itself answers the same kinds with 431
 * and 408 when it is the request's headers, or the request's arrival. */
unsigned error_status(enum fault_kind kind);

/* Whether the connection is closed after the answer: bad input is not followed by more of it. */
bool error_closes_connection(enum fault_kind kind);

/* Seconds for Retry-After: at least 1 for 429 and 503, else what the fault says (0: no header). */
unsigned error_retry_after_s(const struct fault *why, unsigned status);

/* {"error":{"code","message","retryable"}}, to be freed with cJSON_Delete; NULL when out of memory. Bytes of the
 * message that are not UTF-8 (a cut character) become '?'. */
struct cJSON *error_render(const struct fault *why);
