/* Judgements on the kernel's report about a carrel's ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "profile.h"
#include "userns.h"

static void test_one_range_above_the_hosts_own(void **state)
{
        uint32_t base = 0;
        struct fault why = { 0 };

        assert_int_equal(userns_judge_map("         0 1879048192      65536\n", &base, &why), 0);
        assert_int_equal(base, 1879048192);
        assert_int_equal(userns_judge_map("0 65536 65536", &base, &why), 0);
        assert_int_equal(base, 65536);
}

static void test_anything_else_is_refused(void **state)
{
        static const char *const MAPS[] = {
                "",                 /* nothing mapped yet */
                "0 0 4294967295\n", /* the host's own namespace */
                "0 0 65536\n",      /* root is root */
                "0 1000 65536\n",   /* users of the host */
                "0 65535 65536\n",
                "0 65536 65537\n",
                "0 65536 1\n",
                "1 65536 65536\n",
                "0 4294901761 65536\n", /* beyond the last id */
                "0 99999999999 65536\n",
                "0 65536 65536\n65536 0 1\n", /* root by a second line */
                "0 65536 65536 x\n",
                "-1 65536 65536\n",
        };

        for (size_t i = 0; i < sizeof MAPS / sizeof *MAPS; i++) {
                uint32_t base = 7;
                struct fault why = { 0 };

                if (userns_judge_map(MAPS[i], &base, &why) == 0)
                        fail_msg("\"%s\" is taken", MAPS[i]);
                assert_int_equal(why.kind, FAULT_HARDENING_MISSING);
                assert_int_equal(base, 7);
        }
}

static void test_only_one_of_its_own_may_have_made_it(void **state)
{
        static const uint32_t BASE = 1879048192;
        struct fault why = { 0 };

        assert_int_equal(userns_judge_maker(BASE, BASE, &why), 0);
        assert_int_equal(userns_judge_maker(BASE + PROFILE_USERNS_IDS - 1, BASE, &why), 0);
        assert_true(userns_judge_maker(0, BASE, &why) < 0); /* root, as when a runtime makes it */
        assert_int_equal(why.kind, FAULT_HARDENING_MISSING);
        assert_true(userns_judge_maker(BASE - 1, BASE, &why) < 0);
        assert_true(userns_judge_maker(BASE + PROFILE_USERNS_IDS, BASE, &why) < 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_range_above_the_hosts_own),
                cmocka_unit_test(test_anything_else_is_refused),
                cmocka_unit_test(test_only_one_of_its_own_may_have_made_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
