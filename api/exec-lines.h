/* The events of an exec as NDJSON lines; docs/api.md has them. Each tree borrows its texts: print it before they go.
 * NULL when out of memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "exec.h"
#include "fault.h"

struct cJSON;

struct cJSON *exec_line_start(uint64_t seq, const char *exec_id);
/* stream is 1 or 2. Bytes that are no text go as base64. *ret_data is for the caller to free after printing; may be
 * NULL. */
struct cJSON *exec_line_output(uint64_t seq, int stream, const char *bytes, size_t length, char **ret_data);
struct cJSON *exec_line_exit(uint64_t seq, const struct exec_result *result);
/* There is no result: nothing was started, or the end is not known. */
struct cJSON *exec_line_error(uint64_t seq, const char *exec_id, const struct fault *why);
/* The last two without seq, for what is no stream of lines. */
struct cJSON *exec_report_exit(const struct exec_result *result);
struct cJSON *exec_report_error(const char *exec_id, const struct fault *why);
/* The stream ends before the exec does. */
struct cJSON *exec_line_cut(uint64_t seq, const char *reason);
