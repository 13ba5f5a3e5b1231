/* UTF-8 and base64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "utf8.h"

static void encode(unsigned code, unsigned char target[4], int length)
{
        static const unsigned char LEADS[] = { 0, 0, 0xC0, 0xE0, 0xF0 };

        for (int i = length - 1; i > 0; i--) {
                target[i] = (unsigned char)(0x80 | (code & 0x3F));
                code >>= 6;
        }
        target[0] = (unsigned char)(length == 1 ? code : LEADS[length] | code);
}

/* Every code point in every length: taken only in its shortest form, and never when it is a surrogate. */
static void test_every_code_point(void **state)
{
        static const unsigned LIMITS[] = { 0, 0x80, 0x800, 0x10000, 0x200000 };

        (void)state;
        for (unsigned code = 0; code < 0x1FFFFF; code++) {
                for (int length = 1; length <= 4; length++) {
                        unsigned char bytes[4];
                        bool is_right = code < LIMITS[length] && code >= LIMITS[length - 1] && code <= 0x10FFFF &&
                                        (code < 0xD800 || code > 0xDFFF);

                        if (code >= LIMITS[length])
                                continue;
                        encode(code, bytes, length);
                        if ((utf8_step(bytes, (size_t)length) == length) != is_right)
                                fail_msg("U+%X in %d bytes", code, length);
                }
        }
}

static const struct {
        const char *bytes;
        size_t length, unfinished;
        bool is_text;
} TEXTS[] = {
        { "", 0, 0, true },
        { "a", 1, 0, true },
        { "a\0", 2, 0, false },
        { "\xc3\xa9", 2, 0, true },
        { "\xc3", 1, 1, false },
        { "a\xe2\x82", 3, 2, false },
        { "a\xf0\x9f\x98", 4, 3, false },
        { "\xf0\x9f\x98\x80", 4, 0, true },
        { "\x80", 1, 0, false },
        { "\xe2\x28", 2, 0, false },
        { "\xff", 1, 0, false },
        { "\xed\xa0", 2, 0, false },
};

static void test_texts(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
                assert_int_equal(utf8_is_text(TEXTS[i].bytes, TEXTS[i].length), TEXTS[i].is_text);
                assert_int_equal(utf8_unfinished(TEXTS[i].bytes, TEXTS[i].length), TEXTS[i].unfinished);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_code_point),
                cmocka_unit_test(test_texts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
