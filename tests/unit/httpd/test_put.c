/* JSON as cJSON would print it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "put.h"

static const struct {
        double value;
        const char *text;
} NUMBERS[] = {
        { 0, "{\"n\":0}" },
        { -1, "{\"n\":-1}" },
        { 2147483647, "{\"n\":2147483647}" },
        { 2147483648, "{\"n\":2147483648}" },
        { -2147483649, "{\"n\":-2147483649}" },
        { 9007199254740992, "{\"n\":9007199254740992}" },
        { 1.5, "{\"n\":1.5}" },
        { 1e300, "{\"n\":1e+300}" },
        { __builtin_inf(), "{\"n\":null}" },
        { __builtin_nan(""), "{\"n\":null}" },
};

static const struct {
        double value_ms;
        const char *text;
} SECONDS[] = {
        { 0, "{\"n\":0}" },
        { 1, "{\"n\":0.001}" },
        { 10, "{\"n\":0.01}" },
        { 1000, "{\"n\":1}" },
        { 1250, "{\"n\":1.25}" },
        { 0.4, "{\"n\":0}" },
        { 0.6, "{\"n\":0.001}" },
        { 100000, "{\"n\":100}" },
        { -1500, "{\"n\":-1.5}" },
        { 86400001, "{\"n\":86400.001}" },
        { __builtin_nan(""), "{\"n\":null}" },
};

static void assert_written(struct json *object, const char *expected)
{
        char *text = json_take(object);

        assert_non_null(text);
        assert_string_equal(text, expected);
        free(text);
}

static void test_numbers(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
                struct json *object = json_object();

                put_number(&object, "n", NUMBERS[i].value);
                assert_written(object, NUMBERS[i].text);
        }
}

static void test_seconds(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof SECONDS / sizeof *SECONDS; i++) {
                struct json *object = json_object();

                put_seconds(&object, "n", SECONDS[i].value_ms);
                assert_written(object, SECONDS[i].text);
        }
}

static void test_texts(void **state)
{
        struct json *object = json_object();

        (void)state;
        put_text(&object, "a", "x\"\n");
        put_text(&object, "b", NULL);
        put_text(&object, "c", "cut \xe2\x82");
        assert_written(object, "{\"a\":\"x\\\"\\n\",\"b\":null,\"c\":\"cut ??\"}");
}

static void test_bytes(void **state)
{
        struct json *object = json_object();

        (void)state;
        put_bytes(&object, "a", NULL, 0);
        put_bytes(&object, "b", "\x01\x7f\b\f\r\t\\/\xc3\xa4, no more", 11);
        put_bytes(&object, "c", "\xff\xfe", 2);
        put_base64(&object, "d", "\0\xff", 2);
        assert_written(object,
                       "{\"a\":\"\",\"b\":\"\\u0001\x7f\\b\\f\\r\\t\\\\/\xc3\xa4,\",\"c\":\"??\",\"d\":\"AP8=\"}");
}

/* Longer than any buffer inside. */
static void test_long_text(void **state)
{
        enum { LENGTH = 5000 };
        char text[LENGTH + 1], expected[2 * LENGTH + 16];
        struct json *object = json_object();
        size_t n;

        (void)state;
        memset(text, 'x', LENGTH);
        for (size_t i = 0; i < LENGTH; i += 7)
                text[i] = '"';
        text[LENGTH] = '\0';
        n = (size_t)snprintf(expected, sizeof expected, "{\"t\":\"");
        for (size_t i = 0; i < LENGTH; i++) {
                if (text[i] == '"')
                        expected[n++] = '\\';
                expected[n++] = text[i];
        }
        memcpy(expected + n, "\"}", 3);
        put_text(&object, "t", text);
        assert_written(object, expected);
}

static void test_nesting(void **state)
{
        struct json *object = json_object(), *array = json_array();

        (void)state;
        put_text(&array, NULL, "a");
        put_number(&array, NULL, 1);
        put_child(&array, NULL, json_object());
        put_child(&array, NULL, json_array());
        put_child(&object, "array", array);
        put_bool(&object, "is", true);
        put_json(&object, "text", "{\"x\":1}");
        assert_written(object, "{\"array\":[\"a\",1,{},[]],\"is\":true,\"text\":{\"x\":1}}");
        assert_written(json_array(), "[]");
        assert_null(json_take(NULL));
        assert_null(json_free(NULL));
}

/* One failure is enough, and the rest does nothing. */
static void test_a_failure_lasts(void **state)
{
        struct json *object = json_object();

        (void)state;
        put_number(&object, "a", 1);
        put_child(&object, "b", NULL);
        assert_null(object);
        put_text(&object, "c", "x");
        put_child(&object, "d", json_object());
        put_bool(&object, "e", true);
        put_bytes(&object, "f", "x", 1);
        put_base64(&object, "g", "x", 1);
        put_seconds(&object, "h", 1);
        put_json(&object, "i", "[]");
        assert_null(object);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_numbers),         cmocka_unit_test(test_seconds),
                cmocka_unit_test(test_texts),           cmocka_unit_test(test_bytes),
                cmocka_unit_test(test_long_text),       cmocka_unit_test(test_nesting),
                cmocka_unit_test(test_a_failure_lasts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
