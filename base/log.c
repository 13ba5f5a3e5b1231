#include "log.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "str.h"

/* Longer values are cut: a hostile caller must not fill the journal with one request. */
#define LONGEST_VALUE_BYTES 1024
#define CUT_MARK "..."
#define REPLACEMENT_CHARACTER "\xef\xbf\xbd" /* U+FFFD */

struct log {
        int fd;
        bool is_journal;
        enum log_level least;
        enum log_format format;
};

static const struct {
        const char *name;
        char priority; /* as in syslog(3) */
} LEVELS[] = {
        [LOG_LEVEL_DEBUG] = { "debug", '7' },
        [LOG_LEVEL_INFO] = { "info", '6' },
        [LOG_LEVEL_WARNING] = { "warning", '4' },
        [LOG_LEVEL_ERROR] = { "error", '3' },
};

/* JOURNAL_STREAM has the device and inode of the journal's stream (systemd.exec(5)). A descriptor that was redirected
 * since then has others. */
static bool leads_to_journal(int fd)
{
        const char *stream = getenv("JOURNAL_STREAM");
        char own[64];
        struct stat status;

        if (stream == NULL || fstat(fd, &status) < 0)
                return false;
        (void)snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
        return strcmp(stream, own) == 0;
}

int log_new(struct log **ret_log, int fd, enum log_level least, enum log_format format)
{
        struct log *log = calloc(1, sizeof *log);

        if (log == NULL)
                return -ENOMEM;
        log->fd = fd;
        log->is_journal = leads_to_journal(fd);
        log_set(log, least, format);
        *ret_log = log;
        return 0;
}

struct log *log_free(struct log *log)
{
        free(log);
        return NULL;
}

void log_set(struct log *log, enum log_level least, enum log_format format)
{
        log->least = least;
        log->format = format;
}

/* Writes one unit of a value: length bytes at text, whose code point is code. A length of 0 stands for a byte that is
 * not UTF-8. */
typedef void (*unit_writer)(struct buffer *record, const char *text, size_t length, uint32_t code);

static void write_value(struct buffer *record, const char *value, unit_writer write_unit)
{
        for (const char *at = value; *at != '\0';) {
                uint32_t code = 0;
                size_t length = str_decode_utf8(at, &code);

                if (at - value >= LONGEST_VALUE_BYTES) {
                        (void)buffer_text(record, CUT_MARK);
                        return;
                }
                write_unit(record, at, length, code);
                at += length > 0 ? length : 1;
        }
}

static void write_logfmt_unit(struct buffer *record, const char *text, size_t length, uint32_t code)
{
        static const char NAMED[] = "\n\r\t\"\\";
        static const char LETTERS[] = "nrt\"\\"; /* that stand for them after a backslash */
        const char *named = length == 1 ? strchr(NAMED, *text) : NULL;

        if (named != NULL)
                (void)buffer_format(record, "\\%c", LETTERS[named - NAMED]);
        else if (length <= 1 && (length == 0 || str_is_unprintable(code)))
                (void)buffer_format(record, "\\x%02x", (unsigned)(unsigned char)*text);
        else if (str_is_unprintable(code))
                (void)buffer_format(record, "\\u%04" PRIx32, code);
        else
                (void)buffer_append(record, text, length);
}

/* cJSON escapes quotes and C0 itself, and copies the rest as it is. */
static void write_json_unit(struct buffer *record, const char *text, size_t length, uint32_t code)
{
        if (length == 0 || (code >= 0x7f && str_is_unprintable(code)))
                (void)buffer_text(record, REPLACEMENT_CHARACTER);
        else
                (void)buffer_append(record, text, length);
}

static bool needs_quotes(const char *value)
{
        if (*value == '\0')
                return true;
        for (; *value != '\0'; value++)
                if (*value <= ' ' || *value > '~' || *value == '"' || *value == '=' || *value == '\\')
                        return true;
        return false;
}

/* Collects the fields of one record. */
struct sink {
        struct buffer *record;
        cJSON *object; /* JSON only */
};

static void add_logfmt_field(struct sink *sink, const char *key, const char *value)
{
        const char *quote = needs_quotes(value) ? "\"" : "";
        bool is_first = sink->record->length == 0 || sink->record->data[sink->record->length - 1] == '>';

        (void)buffer_format(sink->record, "%s%s=%s", is_first ? "" : " ", key, quote);
        write_value(sink->record, value, write_logfmt_unit);
        (void)buffer_text(sink->record, quote);
}

static void add_json_field(struct sink *sink, const char *key, const char *value)
{
        struct buffer clean = { 0 };

        write_value(&clean, value, write_json_unit);
        (void)buffer_text(&clean, "");
        if (clean.has_failed || cJSON_AddStringToObject(sink->object, key, clean.data) == NULL)
                sink->record->has_failed = true;
        buffer_free(&clean);
}

typedef void (*field_adder)(struct sink *sink, const char *key, const char *value);

static void add_fields(const struct log *log, struct sink *sink, enum log_level level, const char *event, va_list args)
{
        field_adder add = log->format == LOG_FORMAT_JSON ? add_json_field : add_logfmt_field;

        if (!log->is_journal) {
                char time[CLOCK_TEXT_BYTES];

                clock_format_utc(clock_wall_ms(), time);
                add(sink, "time", time);
        }
        add(sink, "level", LEVELS[level].name);
        add(sink, "event", event);
        for (const char *key = va_arg(args, const char *); key != NULL; key = va_arg(args, const char *)) {
                const char *value = va_arg(args, const char *);

                if (value != NULL)
                        add(sink, key, value);
        }
}

/* Appends the object as one line of JSON, and frees it. */
static void finish_json(struct sink *sink)
{
        char *text = cJSON_PrintUnformatted(sink->object);

        if (text == NULL)
                sink->record->has_failed = true;
        else
                (void)buffer_text(sink->record, text);
        cJSON_free(text);
        cJSON_Delete(sink->object);
}

void log_event(struct log *log, enum log_level level, const char *event, ...)
{
        struct buffer record = { 0 };
        struct sink sink = { .record = &record };
        ssize_t written;
        va_list args;

        if (log == NULL || level < log->least)
                return;
        if (log->is_journal)
                (void)buffer_format(&record, "<%c>", LEVELS[level].priority);
        if (log->format == LOG_FORMAT_JSON)
                sink.object = cJSON_CreateObject(); /* cJSON accepts NULL: the next add fails */
        va_start(args, event);
        add_fields(log, &sink, level, event, args);
        va_end(args);
        if (log->format == LOG_FORMAT_JSON)
                finish_json(&sink);
        (void)buffer_text(&record, "\n");
        do
                written = record.has_failed ? 0 : write(log->fd, record.data, record.length);
        while (written < 0 && errno == EINTR);
        buffer_free(&record);
}
