/* Structured log records on one descriptor: logfmt or JSON, one line each. Values are escaped, so that a newline or an
 * escape sequence in one can never make a second record. */
#pragma once

#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

struct log;

/* Borrows fd (usually 2). With fd on the journal (JOURNAL_STREAM is set, systemd.exec(5)) lines carry the
 * "<N>" priority prefix of sd-daemon(3) and no time of their own. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int log_new(struct log **ret_log, int fd, enum log_level least,
                                                enum log_format format);
struct log *log_free(struct log *log);

/* Writes one record with one write(2). event is a constant in snake_case; then pairs of (const char *key, const char
 * *value), ended by NULL; keys are constants. A NULL value leaves its key out; a value is cut after 1,024 bytes. log
 * may be NULL (silent). A record that cannot be allocated or written is lost: the log never stops the daemon.
 * logfmt escapes unprintable characters as \n, \xNN or \uNNNN. JSON uses its own escapes, and U+FFFD for invalid UTF-8,
 * DEL, C1 controls and bidirectional controls. */
void log_event(struct log *log, enum log_level level, const char *event, ...) __attribute__((sentinel));

/* Changes the level and format, for SIGHUP. */
void log_set(struct log *log, enum log_level least, enum log_format format);
