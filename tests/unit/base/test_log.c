/* Whatever a value holds, it stays one record on one line. */
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"

#define COUNT(array) (sizeof array / sizeof((array)[0]))

/* Packets keep the borders of write(2), so that a test sees how many there were. */
struct wire {
        struct log *log;
        int fds[2];
        char record[16384];
};

static void wire_open(struct wire *wire, enum log_level least, enum log_format format)
{
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, wire->fds), 0);
        assert_int_equal(log_new(&wire->log, wire->fds[0], least, format), 0);
}

static void wire_close(struct wire *wire)
{
        assert_null(log_free(wire->log));
        (void)close(wire->fds[0]);
        (void)close(wire->fds[1]);
}

/* The next write, without its newline; NULL: there was none. */
static const char *wire_read(struct wire *wire)
{
        ssize_t length = read(wire->fds[1], wire->record, sizeof wire->record - 1);

        if (length <= 0)
                return NULL;
        assert_int_equal(wire->record[length - 1], '\n');
        wire->record[length - 1] = '\0';
        assert_int_equal(strlen(wire->record), length - 1);
        assert_null(strchr(wire->record, '\n'));
        return wire->record;
}

static const struct {
        const char *value;
        const char *logfmt;
        const char *json; /* the value as a JSON parser gets it; NULL: as it was */
} VALUES[] = {
        { "plain", "plain", NULL },
        { "/run/a-b_c.d:e,f", "/run/a-b_c.d:e,f", NULL },
        { "", "\"\"", NULL },
        { "two words", "\"two words\"", NULL },
        { "a=b", "\"a=b\"", NULL },
        { "say \"no\"", "\"say \\\"no\\\"\"", NULL },
        { "back\\slash", "\"back\\\\slash\"", NULL },
        { "x\nlevel=error event=forged", "\"x\\nlevel=error event=forged\"", NULL },
        { "a\r\tb", "\"a\\r\\tb\"", NULL },
        { "\x1b[2J", "\"\\x1b[2J\"", NULL },
        { "\x01\x7f", "\"\\x01\\x7f\"", "\x01\xef\xbf\xbd" },
        { "caf\xc3\xa9", "\"caf\xc3\xa9\"", NULL },
        { "\xc2\x9b"
          "2J",
          "\"\\u009b2J\"",
          "\xef\xbf\xbd"
          "2J" },
        { "\xe2\x80\xae"
          "cod",
          "\"\\u202ecod\"",
          "\xef\xbf\xbd"
          "cod" },
        { "\xff\xfe", "\"\\xff\\xfe\"", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xed\xa0\x80", "\"\\xed\\xa0\\x80\"", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "cut\xe2\x80", "\"cut\\xe2\\x80\"", "cut\xef\xbf\xbd\xef\xbf\xbd" },
};

static void test_logfmt_values(void **state)
{
        struct wire wire;

        wire_open(&wire, LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
        for (size_t i = 0; i < COUNT(VALUES); i++) {
                char expected[128];
                const char *record;

                log_event(wire.log, LOG_LEVEL_WARNING, "tried", "key", VALUES[i].value, "last", "1", NULL);
                record = wire_read(&wire);
                assert_non_null(record);
                (void)snprintf(expected, sizeof expected, " level=warning event=tried key=%s last=1", VALUES[i].logfmt);
                assert_int_equal(strncmp(record, "time=", 5), 0);
                assert_string_equal(record + strlen("time=2026-01-31T12:00:00.000Z"), expected);
                assert_null(wire_read(&wire));
        }
        wire_close(&wire);
}

static void test_json_values(void **state)
{
        struct wire wire;

        wire_open(&wire, LOG_LEVEL_INFO, LOG_FORMAT_JSON);
        for (size_t i = 0; i < COUNT(VALUES); i++) {
                const char *expected = VALUES[i].json != NULL ? VALUES[i].json : VALUES[i].value;
                cJSON *object;

                log_event(wire.log, LOG_LEVEL_ERROR, "tried", "key", VALUES[i].value, NULL);
                object = cJSON_Parse(wire_read(&wire));
                assert_non_null(object);
                assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(object, "key")), expected);
                assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(object, "level")), "error");
                assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(object, "event")), "tried");
                assert_non_null(cJSON_GetStringValue(cJSON_GetObjectItem(object, "time")));
                assert_int_equal(cJSON_GetArraySize(object), 4);
                assert_null(wire_read(&wire));
                cJSON_Delete(object);
        }
        wire_close(&wire);
}

static void test_levels(void **state)
{
        struct wire wire;

        wire_open(&wire, LOG_LEVEL_WARNING, LOG_FORMAT_LOGFMT);
        log_event(wire.log, LOG_LEVEL_DEBUG, "quiet", NULL);
        log_event(wire.log, LOG_LEVEL_INFO, "quiet", NULL);
        assert_null(wire_read(&wire));
        log_event(wire.log, LOG_LEVEL_WARNING, "loud", NULL);
        assert_non_null(strstr(wire_read(&wire), "level=warning event=loud"));
        log_set(wire.log, LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
        log_event(wire.log, LOG_LEVEL_DEBUG, "loud", NULL);
        assert_non_null(strstr(wire_read(&wire), "\"level\":\"debug\""));
        log_event(NULL, LOG_LEVEL_ERROR, "silent", "key", "value", NULL);
        assert_null(wire_read(&wire));
        wire_close(&wire);
}

static void test_null_value_is_left_out(void **state)
{
        struct wire wire;

        wire_open(&wire, LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
        log_event(wire.log, LOG_LEVEL_INFO, "made", "user", NULL, "id", "7", NULL);
        assert_non_null(strstr(wire_read(&wire), " event=made id=7"));
        wire_close(&wire);
}

static void test_long_value_is_cut(void **state)
{
        static const enum log_format FORMATS[] = { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

        for (size_t i = 0; i < COUNT(FORMATS); i++) {
                struct wire wire;
                char value[8192];
                const char *record;

                memset(value, 'x', sizeof value - 1);
                value[sizeof value - 1] = '\0';
                wire_open(&wire, LOG_LEVEL_INFO, FORMATS[i]);
                log_event(wire.log, LOG_LEVEL_INFO, "long", "key", value, "after", "1", NULL);
                record = wire_read(&wire);
                assert_true(strlen(record) > 1024 && strlen(record) < 1200);
                assert_non_null(strstr(record, "xxx..."));
                assert_non_null(strstr(record, "after"));
                wire_close(&wire);
        }
}

static void test_journal(void **state)
{
        static const struct {
                enum log_format format;
                const char *record;
        } FORMS[] = {
                { LOG_FORMAT_LOGFMT, "<4>level=warning event=noted key=v" },
                { LOG_FORMAT_JSON, "<4>{\"level\":\"warning\",\"event\":\"noted\",\"key\":\"v\"}" },
        };

        for (size_t i = 0; i < COUNT(FORMS); i++) {
                struct wire wire;
                struct stat status;
                char stream[64];

                wire_open(&wire, LOG_LEVEL_INFO, FORMS[i].format);
                assert_int_equal(fstat(wire.fds[0], &status), 0);
                (void)snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
                assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
                wire.log = log_free(wire.log);
                assert_int_equal(log_new(&wire.log, wire.fds[0], LOG_LEVEL_INFO, FORMS[i].format), 0);
                log_event(wire.log, LOG_LEVEL_WARNING, "noted", "key", "v", NULL);
                assert_string_equal(wire_read(&wire), FORMS[i].record);
                wire_close(&wire);

                assert_int_equal(setenv("JOURNAL_STREAM", "1:1", 1), 0); /* redirected since: not the journal */
                wire_open(&wire, LOG_LEVEL_INFO, FORMS[i].format);
                log_event(wire.log, LOG_LEVEL_WARNING, "noted", "key", "v", NULL);
                assert_int_not_equal(wire_read(&wire)[0], '<');
                wire_close(&wire);
                assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
        }
}

static void test_full_pipe_loses_the_record(void **state)
{
        int fds[2];
        struct log *log = NULL;
        char rest[65536];

        assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        while (write(fds[1], rest, sizeof rest) > 0)
                continue;
        assert_int_equal(log_new(&log, fds[1], LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT), 0);
        log_event(log, LOG_LEVEL_INFO, "lost", NULL); /* returns at all */
        assert_null(log_free(log));
        assert_null(log_free(NULL));
        (void)close(fds[0]);
        (void)close(fds[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_logfmt_values),
                cmocka_unit_test(test_json_values),
                cmocka_unit_test(test_levels),
                cmocka_unit_test(test_null_value_is_left_out),
                cmocka_unit_test(test_long_value_is_cut),
                cmocka_unit_test(test_journal),
                cmocka_unit_test(test_full_pipe_loses_the_record),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
