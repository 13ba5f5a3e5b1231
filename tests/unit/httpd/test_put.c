/* Numbers as JSON prints them: the fast ways must say what cJSON would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
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

static void assert_printed(cJSON *object, const char *expected)
{
        char *text = cJSON_PrintUnformatted(object);

        assert_string_equal(text, expected);
        free(text);
        cJSON_Delete(object);
}

static void test_numbers(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
                cJSON *object = cJSON_CreateObject();

                put_number(&object, "n", NUMBERS[i].value);
                assert_printed(object, NUMBERS[i].text);
        }
}

static void test_seconds(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof SECONDS / sizeof *SECONDS; i++) {
                cJSON *object = cJSON_CreateObject();

                put_seconds(&object, "n", SECONDS[i].value_ms);
                assert_printed(object, SECONDS[i].text);
        }
}

static void test_texts(void **state)
{
        cJSON *object = cJSON_CreateObject();

        (void)state;
        put_text(&object, "a", "x\"\n");
        put_text(&object, "b", NULL);
        put_text(&object, "c", "cut \xe2\x82");
        assert_printed(object, "{\"a\":\"x\\\"\\n\",\"b\":null,\"c\":\"cut ??\"}");
}

/* One failure is enough, and the rest does nothing. */
static void test_a_failure_lasts(void **state)
{
        cJSON *object = cJSON_CreateObject();

        (void)state;
        put_number(&object, "a", 1);
        put_child(&object, "b", NULL);
        assert_null(object);
        put_text(&object, "c", "x");
        put_child(&object, "d", cJSON_CreateObject());
        put_copy(&object, cJSON_CreateObject());
        assert_null(object);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_seconds),
                cmocka_unit_test(test_texts),
                cmocka_unit_test(test_a_failure_lasts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
