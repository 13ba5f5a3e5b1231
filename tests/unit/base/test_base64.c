#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base64.h"

/* RFC 4648, section 10, and all bytes. */
static void test_base64(void **state)
{
        static const char *const VECTORS[][2] = {
                { "", "" },
                { "f", "Zg==" },
                { "fo", "Zm8=" },
                { "foo", "Zm9v" },
                { "foob", "Zm9vYg==" },
                { "fooba", "Zm9vYmE=" },
                { "foobar", "Zm9vYmFy" },
        };
        unsigned char all[256];

        (void)state;
        for (size_t i = 0; i < sizeof VECTORS / sizeof *VECTORS; i++) {
                char *text = base64_encode(VECTORS[i][0], strlen(VECTORS[i][0]));
                char *bytes = NULL;
                size_t length = 0;

                assert_string_equal(text, VECTORS[i][1]);
                assert_int_equal(base64_decode(text, &bytes, &length), 0);
                assert_int_equal(length, strlen(VECTORS[i][0]));
                assert_string_equal(bytes, VECTORS[i][0]);
                free(text);
                free(bytes);
        }
        for (unsigned i = 0; i < sizeof all; i++)
                all[i] = (unsigned char)i;
        for (size_t n = 0; n <= sizeof all; n++) {
                char *text = base64_encode(all, n), *bytes = NULL;
                size_t length = 0;

                assert_int_equal(base64_decode(text, &bytes, &length), 0);
                assert_int_equal(length, n);
                assert_memory_equal(bytes, all, n);
                free(text);
                free(bytes);
        }
}

static void test_bad_base64(void **state)
{
        static const char *const BAD[] = { "Z",
                                           "Zg",
                                           "Zg=",
                                           "=",
                                           "====",
                                           "Zg==Zg==",
                                           "Z===",
                                           "Zh==",
                                           "Zm9=",
                                           "Zm 8=",
                                           "Zm8=\n",
                                           "Zm8-",
                                           "Zm9v\xc3\xa9\xc3\xa9",
                                           "Z=8=" };

        (void)state;
        for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
                char *bytes = NULL;
                size_t length = 0;

                if (base64_decode(BAD[i], &bytes, &length) == 0)
                        fail_msg("took %s", BAD[i]);
                assert_null(bytes);
        }
}

int main(void)
{
        static const struct CMUnitTest TESTS[] = {
                cmocka_unit_test(test_base64),
                cmocka_unit_test(test_bad_base64),
        };

        return cmocka_run_group_tests(TESTS, NULL, NULL);
}
