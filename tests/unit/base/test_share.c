/* Nobody takes it all: the rule as a table, and crowds against it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "share.h"

static void test_rule(void **state)
{
        static const struct {
                struct share share;
                uint64_t held, wanted;
                int expected;
        } CASES[] = {
                { { 64, 0, 0 }, 0, 16, 0 },
                { { 64, 0, 0 }, 0, 17, -EDQUOT },
                { { 64, 0, 16 }, 16, 1, -EDQUOT },
                { { 64, 0, 47 }, 1, 1, 0 },
                { { 64, 0, 48 }, 1, 1, -EAGAIN }, /* the last quarter is not for him */
                { { 64, 0, 48 }, 0, 1, 0 },
                { { 64, 0, 63 }, 0, 1, 0 },
                { { 64, 0, 64 }, 0, 1, -EAGAIN },
                { { 1, 0, 0 }, 0, 1, 0 },
                { { 1, 0, 1 }, 0, 1, -EAGAIN },
                { { 2, 0, 1 }, 1, 1, -EDQUOT },
                { { 2, 0, 1 }, 0, 1, 0 },
                { { 0, 0, 1000 }, 1000, UINT64_MAX, 0 }, /* no bound */
                { { 1000, 600, 0 }, 0, 600, 0 },         /* one of the largest goes in any case */
                { { 1000, 600, 0 }, 0, 601, -EDQUOT },
                { { 1000, 600, 600 }, 0, 200, -EAGAIN },
                { { 1000, 1000, 0 }, 0, 1000, 0 },
                { { 1000, 5000, 0 }, 0, 1001, -EDQUOT },
                { { 64, 0, 100 }, 0, 1, -EAGAIN }, /* the bound was lowered */
                { { 64, 0, 100 }, 1, 0, -EAGAIN },
                { { 64, 0, 64 }, 1, 0, 0 },
                { { 64, 0, 100 }, 60, UINT64_MAX, -EDQUOT },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                int r = share_check(&CASES[i].share, &CASES[i].held, CASES[i].wanted);

                if (r != CASES[i].expected)
                        fail_msg("case %zu: %d, expected %d", i, r, CASES[i].expected);
        }
        assert_int_equal(share_check(&CASES[0].share, NULL, 64), 0);
        assert_int_equal(share_check(&CASES[0].share, NULL, 65), -EAGAIN);
}

/* As many greedy users as there may be: who comes then has a place, in any order. */
static void test_crowd(void **state)
{
        static const uint64_t BOUNDS[] = { 1, 2, 3, 5, 8, 64, 1000, 16384 };

        (void)state;
        for (size_t i = 0; i < sizeof BOUNDS / sizeof *BOUNDS; i++) {
                struct share share = { .bound = BOUNDS[i] };
                uint64_t greedy[3] = { 0 }, modest = 0;

                for (int user = 0; user < 3; user++)
                        while (share_take(&share, &greedy[user], 1) == 0)
                                ;
                assert_true(share.used <= share.bound);
                if (share.bound < 4)
                        continue; /* there are more users than places */
                assert_int_equal(share_take(&share, &modest, 1), 0);
                share_give(&share, &modest, 1);
                for (int user = 0; user < 3; user++)
                        share_give(&share, &greedy[user], greedy[user]);
                assert_int_equal(share.used, 0);
        }
}

static void test_table(void **state)
{
        struct sharers sharers = { 0 };
        struct sharer *ada = sharer_join(&sharers, "ada");
        struct sharer *bob = sharer_join(&sharers, "bob");

        (void)state;
        assert_ptr_equal(sharer_join(&sharers, "ada"), ada);
        assert_ptr_not_equal(ada, bob);
        ada->held[1] = 7;
        assert_null(sharer_leave(&sharers, ada));
        assert_int_equal(ada->held[1], 7);
        assert_null(sharer_leave(&sharers, ada));
        ada = sharer_join(&sharers, "ada");
        assert_int_equal(ada->held[1], 0);
        sharer_leave(&sharers, ada);
        sharer_leave(&sharers, bob);
        sharer_leave(&sharers, NULL);
        assert_null(sharers.by_name);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_rule), cmocka_unit_test(test_crowd),
                                            cmocka_unit_test(test_table) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
