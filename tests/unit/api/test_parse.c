/* Bodies and queries: every field against every wrong type, its bounds, and invalid JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exec-query.h"
#include "json.h"
#include "list-query.h"
#include "parse.h"
#include "scope.h"
#include "str.h"

/* Each body, parsed into what is thrown away. */
static int parse_as_ensure(const char *text, size_t length, struct fault *why)
{
        struct ensure_body body;

        return parse_ensure(text, length, &body, why);
}

static int parse_as_exec(const char *text, size_t length, struct fault *why)
{
        struct exec_body body;
        int r = parse_exec(text, length, &body, why);

        if (r == 0)
                exec_body_release(&body);
        return r;
}

static int parse_as_touch(const char *text, size_t length, struct fault *why)
{
        uint64_t lease_s;

        return parse_touch(text, length, &lease_s, why);
}

static int parse_as_signal(const char *text, size_t length, struct fault *why)
{
        int number;

        return parse_signal(text, length, &number, why);
}

static int parse_as_reap(const char *text, size_t length, struct fault *why)
{
        double idle_s;

        return parse_reap(text, length, &idle_s, why);
}

typedef int (*parser)(const char *text, size_t length, struct fault *why);

enum type { TEXT = 1, NUMBER = 2, OBJECT = 4, ARRAY = 8 };

#define LONG_NAME "\"a12345678901234567890123456789012\""

/* Every field of every body: a value that it takes, the types that it takes, and values out of its range. */
static const struct {
        parser parse;
        const char *before, *name, *value, *after;
        unsigned types;
        const char *wrong[6];
} FIELDS[] = {
        { parse_as_ensure, "{", "image", "\"a:1\"", "}", TEXT, { "\"\"" } },
        { parse_as_ensure, "{", "policy", "\"none\"", "}", TEXT, { "\"all\"", "\"\"", "\"None\"" } },
        { parse_as_ensure,
          "{",
          "profile",
          "\"small\"",
          "}",
          TEXT,
          { "\"\"", "\"a b\"", "\"-a\"", "\"a\\n\"", LONG_NAME } },
        { parse_as_ensure,
          "{",
          "mounts",
          "[\"models\"]",
          "}",
          ARRAY,
          { "[1]", "[\"\"]", "[\"a b\"]", "[\"/srv\"]", "[\"a\",null]", "[" LONG_NAME "]" } },
        { parse_as_ensure, "{", "on_conflict", "\"fail\"", "}", TEXT, { "\"ignore\"" } },
        { parse_as_ensure, "{", "limits", "{}", "}", OBJECT, { "{\"disk\":1}" } },
        { parse_as_ensure,
          "{\"limits\":{",
          "memory",
          "1048576",
          "}}",
          NUMBER | TEXT,
          { "1048575", "-1", "1048576.5", "1e300", "\"1x\"", "\"1023k\"" } },
        { parse_as_ensure, "{\"limits\":{", "cpus", "0.5", "}}", NUMBER, { "0", "-1", "1024.5", "1e999", "0.001" } },
        { parse_as_ensure, "{\"limits\":{", "pids", "32", "}}", NUMBER, { "0", "-1", "0.5", "4194305" } },
        { parse_as_exec, "{", "argv", "[\"a\"]", "}", ARRAY, { "[]", "[1]", "[\"a\",null]", "[\"\"]", "[[\"a\"]]" } },
        { parse_as_exec,
          "{\"argv\":[\"a\"],",
          "profile",
          "\"small\"",
          "}",
          TEXT,
          { "\"\"", "\"a b\"", "\"/a\"", LONG_NAME } },
        { parse_as_exec, "{\"argv\":[\"a\"],", "cwd", "\"/\"", "}", TEXT, { "\"\"", "\"a\"", "\"./a\"" } },
        { parse_as_exec,
          "{\"argv\":[\"a\"],",
          "env",
          "{\"A\":\"b=c\",\"B\":\"\"}",
          "}",
          OBJECT | ARRAY,
          { "{\"\":\"b\"}", "{\"A=\":\"b\"}", "{\"A\":1}", "[\"A\"]", "[\"=b\"]", "[\"A=1\",\"A=2\"]" } },
        { parse_as_exec,
          "{\"argv\":[\"a\"],",
          "env",
          "[\"A=b\",\"AB=\"]",
          "}",
          OBJECT | ARRAY,
          { "{\"A\":\"1\",\"A\":\"2\"}", "[1]" } },
        { parse_as_exec, "{\"argv\":[\"a\"],", "stdin", "\"\"", "}", TEXT, { NULL } },
        { parse_as_exec,
          "{\"argv\":[\"a\"],",
          "stdin_b64",
          "\"/w==\"",
          "}",
          TEXT,
          { "\"/w\"", "\"/w=\"", "\"/w==\\n\"", "\"/x==\"", "\"=w==\"" } },
        { parse_as_exec, "{\"argv\":[\"a\"],", "timeout_s", "0.5", "}", NUMBER, { "0", "-1", "86400.1", "1e999" } },
        { parse_as_exec, "{\"argv\":[\"a\"],", "max_output_bytes", "1", "}", NUMBER, { "0", "8388609", "1.5", "-1" } },
        { parse_as_touch, "{", "lease_s", "60", "}", NUMBER, { "-1", "86401", "0.5", "1e999", "1e-9" } },
        { parse_as_signal,
          "{",
          "signal",
          "\"TERM\"",
          "}",
          TEXT | NUMBER,
          { "0", "65", "1.5", "\"SIG\"", "\"15\"", "\"\"" } },
        { parse_as_signal, "{", "signal", "9", "}", TEXT | NUMBER, { "-9" } },
        { parse_as_reap, "{", "idle_s", "0.5", "}", NUMBER, { "-0.1", "31536001", "1e999" } },
};
enum { N_FIELDS = sizeof FIELDS / sizeof *FIELDS };

static const struct {
        unsigned type;
        const char *value;
} SAMPLES[] = {
        { TEXT, "\"?\"" }, { NUMBER, "7" }, { OBJECT, "{\"?\":7}" }, { ARRAY, "[7]" },
        { 0, "null" },     { 0, "true" },   { 0, "false" },
};
enum { N_SAMPLES = sizeof SAMPLES / sizeof *SAMPLES };

static int parse_field(size_t i, const char *value, bool twice, struct fault *why)
{
        struct buffer body = { 0 };
        char *exact;
        int r;

        (void)buffer_format(&body, "%s\"%s\":%s", FIELDS[i].before, FIELDS[i].name, value);
        if (twice)
                (void)buffer_format(&body, ",\"%s\":%s", FIELDS[i].name, value);
        (void)buffer_text(&body, FIELDS[i].after);
        /* Without a NUL at the end, so that a read beyond it is detected. */
        exact = malloc(body.length);
        assert_non_null(exact);
        memcpy(exact, body.data, body.length);
        r = FIELDS[i].parse(exact, body.length, why);
        free(exact);
        buffer_free(&body);
        return r;
}

static void refuse(size_t i, const char *value, bool twice)
{
        struct fault why = { 0 };

        if (parse_field(i, value, twice, &why) == 0)
                fail_msg("%s took %s%s", FIELDS[i].name, value, twice ? " twice" : "");
        assert_int_equal(why.kind, FAULT_REQUEST_INVALID);
        assert_true(strlen(why.message) > 10);
}

static void test_every_field_takes_its_value_once(void **state)
{
        struct fault why = { 0 };

        (void)state;
        for (size_t i = 0; i < N_FIELDS; i++) {
                if (parse_field(i, FIELDS[i].value, false, &why) < 0)
                        fail_msg("%s refused %s: %s", FIELDS[i].name, FIELDS[i].value, why.message);
                refuse(i, FIELDS[i].value, true);
        }
}

static void test_every_field_refuses_wrong_types(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_FIELDS; i++)
                for (size_t sample = 0; sample < N_SAMPLES; sample++)
                        if ((FIELDS[i].types & SAMPLES[sample].type) == 0)
                                refuse(i, SAMPLES[sample].value, false);
}

static void test_every_field_refuses_values_out_of_range(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_FIELDS; i++)
                for (size_t wrong = 0; wrong < 6 && FIELDS[i].wrong[wrong] != NULL; wrong++)
                        refuse(i, FIELDS[i].wrong[wrong], false);
}

static void test_empty_bodies(void **state)
{
        struct fault why = { 0 };

        (void)state;
        assert_int_equal(parse_as_ensure("", 0, &why), 0);
        assert_int_equal(parse_as_ensure(NULL, 0, &why), 0);
        assert_int_equal(parse_as_touch("{}", 2, &why), 0);
        assert_int_equal(parse_as_reap(" {} ", 4, &why), 0);
        assert_true(parse_as_exec("", 0, &why) < 0);
        assert_non_null(strstr(why.message, "argv is missing"));
        assert_true(parse_as_signal("{}", 2, &why) < 0);
}

static void test_exec_is_read_whole(void **state)
{
        static const char TEXT_BODY[] =
                "{\"argv\":[\"sh\",\"\"],\"cwd\":\"/tmp\",\"env\":{\"A\":\"b=c\"},\"stdin_b64\":\"AGI=\","
                "\"timeout_s\":2.5,\"max_output_bytes\":4096}";
        static const char BOTH[] = "{\"argv\":[\"a\"],\"stdin\":\"\",\"stdin_b64\":\"\"}";
        struct exec_body body;
        struct fault why = { 0 };

        (void)state;
        assert_int_equal(parse_exec(TEXT_BODY, sizeof TEXT_BODY - 1, &body, &why), 0);
        assert_string_equal(body.request.argv[0], "sh");
        assert_string_equal(body.request.argv[1], "");
        assert_null(body.request.argv[2]);
        assert_string_equal(body.request.working_dir, "/tmp");
        assert_string_equal(body.request.environment[0], "A=b=c");
        assert_null(body.request.environment[1]);
        assert_int_equal(body.request.input_length, 2);
        assert_memory_equal(body.request.input, "\0b", 2);
        assert_true(body.request.timeout_s == 2.5);
        assert_int_equal(body.request.max_output_bytes, 4096);
        exec_body_release(&body);
        assert_true(parse_as_exec(BOTH, sizeof BOTH - 1, &why) < 0);
        assert_non_null(strstr(why.message, "not both"));
}

static void test_counts_are_bounded(void **state)
{
        static const struct {
                const char *before, *after;
                unsigned most;
        } CASES[] = {
                { "{\"argv\":[\"a\"", "]}", EXEC_ARGV_MAX - 1 },
                { "{\"argv\":[\"a\"],\"env\":[\"A=\"", "]}", EXEC_ENV_MAX - 1 },
        };
        struct fault why = { 0 };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                for (unsigned n = CASES[i].most; n <= CASES[i].most + 1; n++) {
                        struct buffer body = { 0 };

                        (void)buffer_text(&body, CASES[i].before);
                        for (unsigned item = 0; item < n; item++)
                                (void)buffer_format(&body, ",\"B%u=\"", item);
                        (void)buffer_text(&body, CASES[i].after);
                        assert_int_equal(parse_as_exec(body.data, body.length, &why) == 0, n == CASES[i].most);
                        buffer_free(&body);
                }
        }
}

/* ---- invalid JSON ---- */

static const struct {
        const char *text;
        size_t length; /* 0: strlen */
} BAD_JSON[] = {
        { "{" },
        { "}" },
        { "{}{}" },
        { "{}," },
        { "[]" },
        { "null" },
        { "7" },
        { "\"a\"" },
        { " " },
        { "{\"a\"}" },
        { "{\"a\":}" },
        { "{\"a\":1,}" },
        { "{,}" },
        { "{a:1}" },
        { "{'a':1}" },
        { "{\"a\":01}" },
        { "{\"a\":1.}" },
        { "{\"a\":.5}" },
        { "{\"a\":+1}" },
        { "{\"a\":1e}" },
        { "{\"a\":-}" },
        { "{\"a\":0x1}" },
        { "{\"a\":NaN}" },
        { "{\"a\":Infinity}" },
        { "{\"a\":tru}" },
        { "{\"a\":\"b}" },
        { "{\"a\":\"\\u0000\"}" },
        { "{\"\\u0000\":1}" },
        { "{\"a\":\"\\u000\"}" },
        { "{\"a\":\"\\ud800\"}" },
        { "{\"a\":\"\\x\"}" },
        { "{\"a\":\"\n\"}" },
        { "{\"a\":\"\x01\"}" },
        { "{\"a\":\"\xff\"}" },
        { "{\"a\":\"\xc0\xaf\"}" },
        { "{\"a\":\"\xed\xa0\x80\"}" },
        { "{\"a\":\"\xf4\x90\x80\x80\"}" },
        { "{\"a\":\"\xe2\x82\"}" },
        { "{\"a\":\"\xe2\x82" },
        { "\xef\xbb\xbf{}" },
        { "{}\0", 3 },
        { "\0", 1 },
        { "{\"a\":\"\0\"}", 8 },
        { "{}\x01" },
        { "{/**/}" },
        { "{\"a\":[[[[[[[[1]]]]]]]]}" },
        { "{\"a\":\"\\" },
        { "{\"a\":1 2}" },
};

static void test_bad_json(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof BAD_JSON / sizeof *BAD_JSON; i++) {
                size_t length = BAD_JSON[i].length == 0 ? strlen(BAD_JSON[i].text) : BAD_JSON[i].length;
                char *exact = malloc(length);
                struct fault why = { 0 };

                assert_non_null(exact);
                memcpy(exact, BAD_JSON[i].text, length);
                if (parse_as_ensure(exact, length, &why) == 0)
                        fail_msg("took %s", BAD_JSON[i].text);
                assert_int_equal(why.kind, FAULT_REQUEST_INVALID);
                free(exact);
        }
}

/* The control of the table above: what it refuses is not refused for looking unusual. */
static void test_good_json(void **state)
{
        static const char *const GOOD[] = {
                " { \"argv\" : [ \"a\" ] }\r\n\t",
                "{\"argv\":[\"\\u00e9\\ud83d\\ude00\\\\u0000\\\"\\/\\n\"]}",
                "{\"argv\":[\"\xc3\xa9\xf0\x9f\x98\x80\x7f\"]}",
                "{\"\\u0061rgv\":[\"a\"],\"timeout_s\":1.5E+1}",
                "{\"argv\":[\"a\"],\"timeout_s\":10e-1,\"max_output_bytes\":1e3}",
                "{\"argv\":[\"[[[[[[[[[[{{{{{{{{{{\"]}",
        };

        (void)state;
        for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
                struct fault why = { 0 };

                if (parse_as_exec(GOOD[i], strlen(GOOD[i]), &why) < 0)
                        fail_msg("refused %s: %s", GOOD[i], why.message);
        }
}

static void test_depth_and_values_are_bounded(void **state)
{
        enum { LENGTH = 1 << 20 };
        char *text = malloc(LENGTH);
        struct fault why = { 0 };

        (void)state;
        assert_non_null(text);
        memset(text, '[', LENGTH);
        assert_null(json_parse(text, LENGTH, &why));
        assert_non_null(strstr(why.message, "too many levels"));
        memset(text, ',', LENGTH);
        text[0] = '[';
        assert_null(json_parse(text, LENGTH, &why));
        assert_non_null(strstr(why.message, "too many values"));
        free(text);
}

/* ---- the query ---- */

static const struct {
        const char *text;
        const struct query_parameter *table;
        bool is_taken;
} QUERIES[] = {
        { NULL, EXEC_LIST_QUERY, true },
        { "", EXEC_LIST_QUERY, true },
        { "user=ada", EXEC_LIST_QUERY, true },
        { "user=%61da&", EXEC_LIST_QUERY, true },
        { "user=ada", CARREL_LIST_QUERY, false },
        { "user=", EXEC_LIST_QUERY, false },
        { "user", EXEC_LIST_QUERY, false },
        { "user=a%00", EXEC_LIST_QUERY, false },
        { "user=a%0", EXEC_LIST_QUERY, false },
        { "user=a%2fb", EXEC_LIST_QUERY, false },
        { "user=a&user=a", EXEC_LIST_QUERY, false },
        { "&user=a", EXEC_LIST_QUERY, false },
        { "limit=1000", CARREL_LIST_QUERY, true },
        { "limit=1001", CARREL_LIST_QUERY, false },
        { "limit=1%00", CARREL_LIST_QUERY, false },
        { "limit=-1", CARREL_LIST_QUERY, false },
        { "limit= 1", CARREL_LIST_QUERY, false },
        { "state=ready&after=a&limit=5", CARREL_LIST_QUERY, true },
        { "state=READY", CARREL_LIST_QUERY, false },
        { "state=ready%00", CARREL_LIST_QUERY, false },
        { "STATE=ready", CARREL_LIST_QUERY, false },
        { "after=7&follow=1", EXEC_OUTPUT_QUERY, true },
        { "after=-1", EXEC_OUTPUT_QUERY, false },
        { "follow=yes", EXEC_OUTPUT_QUERY, false },
        { "reference=a%3a1&format=oci", IMAGE_LOAD_QUERY, true },
        { "reference=", IMAGE_LOAD_QUERY, false },
        { "format=0123456789abcdef", IMAGE_LOAD_QUERY, false },
};

static void test_queries(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof QUERIES / sizeof *QUERIES; i++) {
                struct list_query query;
                struct fault why = { 0 };
                char *text = QUERIES[i].text == NULL ? NULL : strdup(QUERIES[i].text);
                bool is_taken = list_query_parse(text, QUERIES[i].table, &query, &why) == 0;

                free(text);
                if (is_taken != QUERIES[i].is_taken)
                        fail_msg("%s: %s", QUERIES[i].text, is_taken ? "taken" : why.message);
        }
}

static void test_a_long_query_value(void **state)
{
        char text[600] = "user=";
        struct list_query query;

        (void)state;
        memset(text + 5, 'a', sizeof text - 6);
        assert_true(list_query_parse(text, EXEC_LIST_QUERY, &query, NULL) < 0);
        text[5 + USER_ID_MAX] = '\0';
        assert_int_equal(list_query_parse(text, EXEC_LIST_QUERY, &query, NULL), 0);
        assert_int_equal(strlen(query.user), USER_ID_MAX);
}

/* The decoded value is in the text itself, and the rest of the text is untouched. */
static void test_values_are_decoded_in_place(void **state)
{
        char text[] = "argv=%61%62&argv=c&env=A%3D%41&cwd=/%74&argv=";
        struct exec_query query;

        (void)state;
        assert_int_equal(exec_query_parse(text, &query, NULL), 0);
        assert_string_equal(query.request.argv[0], "ab");
        assert_string_equal(query.request.argv[1], "c");
        assert_string_equal(query.request.argv[2], "");
        assert_null(query.request.argv[3]);
        assert_string_equal(query.request.environment[0], "A=A");
        assert_string_equal(query.request.working_dir, "/t");
        assert_ptr_equal(query.request.argv[0], text + 5);
        exec_query_release(&query);
}

static void test_the_profile_of_an_exec(void **state)
{
        static const char *const BAD[] = { "argv=a&profile=", "argv=a&profile=a%20b", "argv=a&profile=a&profile=b",
                                           "profile=a&request=message",
                                           "argv=a&profile=a12345678901234567890123456789012" };
        static const char MESSAGE[] = "{\"argv\":[\"a\"],\"profile\":\"small\"}";
        char text[] = "argv=a&profile=sm%61ll";
        struct exec_query query;
        struct exec_body body;

        (void)state;
        assert_int_equal(exec_query_parse(text, &query, NULL), 0);
        assert_string_equal(query.profile, "small");
        exec_query_release(&query);
        for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
                AUTO(auto_free) char *bad = strdup(BAD[i]);

                if (exec_query_parse(bad, &query, NULL) == 0)
                        fail_msg("taken: %s", BAD[i]);
        }
        assert_int_equal(parse_exec_message(MESSAGE, strlen(MESSAGE), &body, NULL), 0);
        assert_string_equal(body.profile, "small");
        exec_body_release(&body);
        assert_int_equal(parse_exec(MESSAGE, strlen(MESSAGE), &body, NULL), 0);
        assert_string_equal(body.profile, "small");
        exec_body_release(&body);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_field_takes_its_value_once),
                cmocka_unit_test(test_every_field_refuses_wrong_types),
                cmocka_unit_test(test_every_field_refuses_values_out_of_range),
                cmocka_unit_test(test_empty_bodies),
                cmocka_unit_test(test_exec_is_read_whole),
                cmocka_unit_test(test_counts_are_bounded),
                cmocka_unit_test(test_bad_json),
                cmocka_unit_test(test_good_json),
                cmocka_unit_test(test_depth_and_values_are_bounded),
                cmocka_unit_test(test_queries),
                cmocka_unit_test(test_a_long_query_value),
                cmocka_unit_test(test_values_are_decoded_in_place),
                cmocka_unit_test(test_the_profile_of_an_exec),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
