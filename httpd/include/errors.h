/* Faults as HTTP: a table from kind to status, and the JSON of every error answer. */
#pragma once

#include <stdbool.h>

#include "fault.h"

struct json;

/* 400 to 507. FAULT_REQUEST_TOO_LARGE is 413 and FAULT_DEADLINE 504. For a request's head and its arrival the server
 * answers the same kinds with 431 and 408. */
unsigned error_status(enum fault_kind kind);

/* Whether the connection is closed after the answer, so that no more bad input follows. */
bool error_closes_connection(enum fault_kind kind);

/* Seconds for Retry-After: at least 1 for 429 and 503, else retry_after_s of the fault (0: no header). */
unsigned error_retry_after_s(const struct fault *why, unsigned status);

/* {"code","message","retryable"}; NULL when out of memory. Bytes of the message that are not UTF-8 (a cut character)
 * become '?'. */
struct json *error_object(const struct fault *why);
/* {"error":error_object} */
struct json *error_render(const struct fault *why);
