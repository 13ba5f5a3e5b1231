/* Bounded parsing, UTF-8, and buffers. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "str.h"

#define COUNT(array) (sizeof array / sizeof((array)[0]))
#define UNTOUCHED 77

static const struct {
        const char *text;
        uint64_t min, max;
        int result;
        uint64_t value;
} NUMBERS[] = {
        { "0", 0, 10, 0, 0 },
        { "10", 0, 10, 0, 10 },
        { "007", 0, 10, 0, 7 }, /* decimal, never octal */
        { "18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX },
        { "18446744073709551616", 0, UINT64_MAX, -ERANGE, UNTOUCHED },
        { "99999999999999999999999999", 0, UINT64_MAX, -ERANGE, UNTOUCHED },
        { "11", 0, 10, -ERANGE, UNTOUCHED },
        { "4", 5, 10, -ERANGE, UNTOUCHED },
        { NULL, 0, 10, -EINVAL, UNTOUCHED },
        { "", 0, 10, -EINVAL, UNTOUCHED },
        { "-1", 0, 10, -EINVAL, UNTOUCHED },
        { "+1", 0, 10, -EINVAL, UNTOUCHED },
        { " 1", 0, 10, -EINVAL, UNTOUCHED },
        { "1 ", 0, 10, -EINVAL, UNTOUCHED },
        { "0x1", 0, 10, -EINVAL, UNTOUCHED },
        { "1e1", 0, 10, -EINVAL, UNTOUCHED },
};

static void test_parse_u64(void **state)
{
        for (size_t i = 0; i < COUNT(NUMBERS); i++) {
                uint64_t value = UNTOUCHED;

                assert_int_equal(str_parse_u64(NUMBERS[i].text, NUMBERS[i].min, NUMBERS[i].max, &value),
                                 NUMBERS[i].result);
                assert_int_equal(value, NUMBERS[i].value);
        }
}

static const struct {
        const char *text;
        double min, max;
        double value;
        int result;
} DECIMALS[] = {
        { "1.5", 0, 10, 1.5, 0 },
        { "0.000001", 0, 10, 0.000001, 0 },
        { "10", 0, 10, 10, 0 },
        { "10.0", 0, 10, 10, 0 },
        { "10.1", 0, 10, UNTOUCHED, -ERANGE },
        { "0.05", 0.1, 10, UNTOUCHED, -ERANGE },
        { "0.0000001", 0, 10, UNTOUCHED, -EINVAL },
        { "1.", 0, 10, UNTOUCHED, -EINVAL },
        { ".5", 0, 10, UNTOUCHED, -EINVAL },
        { "1.2.3", 0, 10, UNTOUCHED, -EINVAL },
        { "1,5", 0, 10, UNTOUCHED, -EINVAL },
        { "-1", 0, 10, UNTOUCHED, -EINVAL },
        { "nan", 0, 10, UNTOUCHED, -EINVAL },
        { "inf", 0, 10, UNTOUCHED, -EINVAL },
        { "1e1", 0, 10, UNTOUCHED, -EINVAL },
        { "", 0, 10, UNTOUCHED, -EINVAL },
        { NULL, 0, 10, UNTOUCHED, -EINVAL },
        { "00000000000000000000000000000001", 0, 10, UNTOUCHED, -EINVAL },
};

static void test_parse_decimal(void **state)
{
        for (size_t i = 0; i < COUNT(DECIMALS); i++) {
                double value = UNTOUCHED;

                assert_int_equal(str_parse_decimal(DECIMALS[i].text, DECIMALS[i].min, DECIMALS[i].max, &value),
                                 DECIMALS[i].result);
                assert_true(value == DECIMALS[i].value);
        }
}

static const struct {
        const char *text;
        uint64_t value;
        int result;
} SIZES[] = {
        { "0", 0, 0 },
        { "512", 512, 0 },
        { "1k", 1024, 0 },
        { "2K", 2048, 0 },
        { "3m", 3145728, 0 },
        { "2G", 2147483648, 0 },
        { "17179869183g", 18446744072635809792U, 0 },
        { "17179869184g", UNTOUCHED, -ERANGE },
        { "1t", 1099511627776, 0 },
        { "1GB", 1073741824, 0 },
        { "512MiB", 536870912, 0 },
        { "7b", 7, 0 },
        { "1ib", UNTOUCHED, -EINVAL },
        { "1kbb", UNTOUCHED, -EINVAL },
        { "b", UNTOUCHED, -EINVAL },
        { "1kk", UNTOUCHED, -EINVAL },
        { "k", UNTOUCHED, -EINVAL },
        { "1kb", 1024, 0 },
        { "1 k", UNTOUCHED, -EINVAL },
        { "-1k", UNTOUCHED, -EINVAL },
        { "1.5g", UNTOUCHED, -EINVAL },
        { "", UNTOUCHED, -EINVAL },
        { NULL, UNTOUCHED, -EINVAL },
};

static void test_show_size(void **state)
{
        static const struct {
                uint64_t bytes;
                const char *text;
        } CASES[] = {
                { 0, "0" },
                { 1023, "1023" },
                { 1024, "1k" },
                { 1500, "1.5k" },
                { 10240, "10k" },
                { 1048575, "1m" },
                { 73400321, "70m" },
                { 2147483648, "2g" },
                { 1503238553, "1.4g" },
                { 1099511627776, "1t" },
                { UINT64_MAX, "16e" },
                { 1047552, "1023k" },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                char text[STR_SIZE_BYTES];

                assert_string_equal(str_size(CASES[i].bytes, text), CASES[i].text);
        }
}

static void test_show_number(void **state)
{
        static const struct {
                uint64_t number;
                const char *text;
        } CASES[] = { { 0, "0" }, { 9, "9" }, { 10, "10" }, { UINT64_MAX, "18446744073709551615" } };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                char text[STR_U64_BYTES];

                assert_int_equal(str_u64(CASES[i].number, text), strlen(CASES[i].text));
                assert_string_equal(text, CASES[i].text);
        }
}

static void test_parse_size(void **state)
{
        uint64_t bytes = UNTOUCHED;

        for (size_t i = 0; i < COUNT(SIZES); i++) {
                uint64_t value = UNTOUCHED;

                assert_int_equal(str_parse_size(SIZES[i].text, 0, UINT64_MAX, &value), SIZES[i].result);
                assert_int_equal(value, SIZES[i].value);
        }
        assert_int_equal(str_parse_size("1k", 1025, 2048, &bytes), -ERANGE);
        assert_int_equal(str_parse_size("1k", 0, 1023, &bytes), -ERANGE);
        assert_int_equal(bytes, UNTOUCHED);
}

static void test_compare_and_copy(void **state)
{
        char target[4] = "xyz";

        assert_true(str_equal(NULL, NULL));
        assert_false(str_equal(NULL, ""));
        assert_false(str_equal("", NULL));
        assert_true(str_equal("a", "a"));
        assert_false(str_equal("a", "A"));
        assert_true(str_has_prefix("carrel-x", "carrel-"));
        assert_true(str_has_prefix("x", ""));
        assert_false(str_has_prefix("carr", "carrel-"));
        assert_int_equal(str_copy(target, sizeof target, "abc"), 0);
        assert_string_equal(target, "abc");
        assert_int_equal(str_copy(target, sizeof target, "abcd"), -ENAMETOOLONG);
        assert_string_equal(target, "");
}

static const struct {
        const char *text;
        size_t length;
        uint32_t code;
} SEQUENCES[] = {
        { "a", 1, 'a' },
        { "", 1, 0 }, /* the NUL itself */
        { "\x7f", 1, 0x7f },
        { "\xc2\x80", 2, 0x80 },
        { "\xdf\xbf", 2, 0x7ff },
        { "\xe0\xa0\x80", 3, 0x800 },
        { "\xed\x9f\xbf", 3, 0xd7ff },
        { "\xef\xbf\xbf", 3, 0xffff },
        { "\xf0\x90\x80\x80", 4, 0x10000 },
        { "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
        { "\x80", 0, UNTOUCHED },             /* a continuation alone */
        { "\xc0\x80", 0, UNTOUCHED },         /* overlong */
        { "\xc1\xbf", 0, UNTOUCHED },         /* overlong */
        { "\xe0\x9f\xbf", 0, UNTOUCHED },     /* overlong */
        { "\xf0\x8f\xbf\xbf", 0, UNTOUCHED }, /* overlong */
        { "\xed\xa0\x80", 0, UNTOUCHED },     /* a surrogate */
        { "\xf4\x90\x80\x80", 0, UNTOUCHED }, /* beyond U+10FFFF */
        { "\xf8\x88\x80\x80\x80", 0, UNTOUCHED },
        { "\xff", 0, UNTOUCHED },
        { "\xc2", 0, UNTOUCHED },         /* cut by the NUL */
        { "\xf0\x90\x80", 0, UNTOUCHED }, /* cut by the NUL */
        { "\xc2z", 0, UNTOUCHED },
};

static void test_decode_utf8(void **state)
{
        for (size_t i = 0; i < COUNT(SEQUENCES); i++) {
                uint32_t code = UNTOUCHED;

                assert_int_equal(str_decode_utf8(SEQUENCES[i].text, &code), SEQUENCES[i].length);
                assert_int_equal(code, SEQUENCES[i].code);
        }
}

static void test_unprintable(void **state)
{
        static const uint32_t HARMFUL[] = { 0, '\n', 0x1b, 0x7f, 0x80, 0x9b, 0x9f, 0x200e, 0x2028, 0x202e, 0x2066 };
        static const uint32_t HARMLESS[] = { ' ', '~', 0xa0, 0xe9, 0x200d, 0x2026, 0x4e2d, 0x1f600 };

        for (size_t i = 0; i < COUNT(HARMFUL); i++)
                assert_true(str_is_unprintable(HARMFUL[i]));
        for (size_t i = 0; i < COUNT(HARMLESS); i++)
                assert_false(str_is_unprintable(HARMLESS[i]));
}

static void test_distance(void **state)
{
        char longest[65];

        memset(longest, 'a', 64);
        longest[64] = '\0';
        assert_int_equal(str_distance("idle_ttl_s", "idle_ttl_s"), 0);
        assert_int_equal(str_distance("IDLE_TTL_S", "idle_ttl_s"), 0);
        assert_int_equal(str_distance("idle_tll_s", "idle_ttl_s"), 1);
        assert_int_equal(str_distance("idle_ttl", "idle_ttl_s"), 2);
        assert_int_equal(str_distance("", "abc"), 3);
        assert_int_equal(str_distance("abc", ""), 3);
        assert_int_equal(str_distance("kitten", "sitting"), 3);
        assert_int_equal(str_distance(longest, "a"), UINT_MAX);
        assert_int_equal(str_distance("a", longest), UINT_MAX);
        assert_int_equal(str_distance(longest + 1, "a"), 62);
}

static void test_buffer(void **state)
{
        struct buffer buffer = { 0 };
        char *text;

        assert_int_equal(buffer_text(&buffer, "one"), 0);
        assert_int_equal(buffer_append(&buffer, "\0two", 4), 0);
        assert_int_equal(buffer_format(&buffer, "-%d-%s", 3, "four"), 0);
        assert_int_equal(buffer.length, 14);
        assert_memory_equal(buffer.data, "one\0two-3-four", 15);
        buffer_consume(&buffer, 4);
        assert_string_equal(buffer.data, "two-3-four");
        buffer_consume(&buffer, 1000);
        assert_int_equal(buffer.length, 0);
        assert_string_equal(buffer.data, "");
        for (size_t i = 0; i < 1000; i++)
                assert_int_equal(buffer_format(&buffer, "%03zu", i), 0);
        assert_int_equal(strlen(buffer.data), 3000);
        text = buffer_take(&buffer);
        assert_memory_equal(text + 2997, "999", 4);
        assert_null(buffer.data);
        free(text);

        text = buffer_take(&buffer);
        assert_string_equal(text, "");
        free(text);
        buffer_free(&buffer);
        buffer_consume(&buffer, 1);
}

static void test_buffer_failure(void **state)
{
        static const size_t TOO_MUCH[] = { SIZE_MAX, SIZE_MAX - 3, SIZE_MAX - 4 };
        struct buffer buffer = { 0 };

        assert_int_equal(buffer_text(&buffer, "kept"), 0);
        for (size_t i = 0; i < COUNT(TOO_MUCH); i++) {
                buffer.has_failed = false; /* each must fail by itself */
                assert_int_equal(buffer_append(&buffer, "", TOO_MUCH[i]), -ENOMEM);
                assert_true(buffer.has_failed);
        }
        assert_string_equal(buffer.data, "kept");
        assert_int_equal(buffer_text(&buffer, "x"), -ENOMEM); /* no later append hides the gap */
        assert_null(buffer_take(&buffer));
        buffer_free(&buffer);
        assert_false(buffer.has_failed);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse_u64),      cmocka_unit_test(test_parse_decimal),
                cmocka_unit_test(test_parse_size),     cmocka_unit_test(test_show_size),
                cmocka_unit_test(test_show_number),    cmocka_unit_test(test_compare_and_copy),
                cmocka_unit_test(test_decode_utf8),    cmocka_unit_test(test_unprintable),
                cmocka_unit_test(test_distance),       cmocka_unit_test(test_buffer),
                cmocka_unit_test(test_buffer_failure),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
