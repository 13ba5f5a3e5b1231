/* The events of an exec as NDJSON lines (docs/api.md). NULL when out of memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "exec.h"
#include "fault.h"

struct json;

struct json *exec_line_start(uint64_t seq, const char *exec_id);
/* stream is 1 or 2. Bytes that are not text become base64. */
struct json *exec_line_output(uint64_t seq, int stream, const char *bytes, size_t length);
struct json *exec_line_exit(uint64_t seq, const struct exec_result *result);
/* There is no result: nothing was started, or the outcome is unknown. */
struct json *exec_line_error(uint64_t seq, const char *exec_id, const struct fault *why);
/* The last two without seq, for frames. */
struct json *exec_report_exit(const struct exec_result *result);
struct json *exec_report_error(const char *exec_id, const struct fault *why);
/* The stream ends before the exec does. */
struct json *exec_line_cut(uint64_t seq, const char *reason);
