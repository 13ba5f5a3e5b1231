/* When an output may be read: output-pace.h, with the time as a parameter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output-pace.h"

static const double NOW_S = 1000;

/* Takes reads at one time until one must wait. */
static int take_all(struct output_pace *pace, double now_s, double *ret_wait_s)
{
        int taken = 0;

        while ((*ret_wait_s = output_pace_take(pace, now_s)) <= 0)
                taken++;
        return taken;
}

static void a_burst_is_free(void **state)
{
        struct output_pace pace = { 0 };
        double wait_s;

        (void)state;
        assert_int_equal(take_all(&pace, NOW_S, &wait_s), OUTPUT_PACE_BURST);
        assert_true(wait_s > 0 && wait_s <= 1.0 / OUTPUT_PACE_PER_S);
}

static void after_the_wait_one_is_free(void **state)
{
        struct output_pace pace = { 0 };
        double now_s = NOW_S, wait_s;

        (void)state;
        (void)take_all(&pace, now_s, &wait_s);
        for (int i = 0; i < 5; i++) {
                now_s += wait_s + 1e-9;
                assert_int_equal(take_all(&pace, now_s, &wait_s), 1);
        }
}

static void time_gives_back_no_more_than_a_burst(void **state)
{
        struct output_pace pace = { 0 };
        double wait_s;

        (void)state;
        (void)take_all(&pace, NOW_S, &wait_s);
        assert_int_equal(take_all(&pace, NOW_S + 3600, &wait_s), OUTPUT_PACE_BURST);
}

static void bytes_pay_for_reads(void **state)
{
        struct output_pace pace = { 0 };
        double wait_s;

        (void)state;
        (void)take_all(&pace, NOW_S, &wait_s);
        output_pace_pay(&pace, (size_t)3 * OUTPUT_PACE_READ_BYTES);
        assert_int_equal(take_all(&pace, NOW_S, &wait_s), 3);
}

/* As of a program that writes 4096 bytes at a time: one large read does not make many small ones free. */
static void small_reads_pay_for_their_part(void **state)
{
        struct output_pace pace = { 0 };
        int taken = 0;

        (void)state;
        for (; output_pace_take(&pace, NOW_S) <= 0; taken++)
                output_pace_pay(&pace, OUTPUT_PACE_READ_BYTES / 16);
        assert_in_range(taken, OUTPUT_PACE_BURST, OUTPUT_PACE_BURST * 16 / 15 + 1);
}

static void large_reads_never_wait(void **state)
{
        struct output_pace pace = { 0 };

        (void)state;
        for (int i = 0; i < 100 * OUTPUT_PACE_BURST; i++) {
                assert_true(output_pace_take(&pace, NOW_S) <= 0);
                output_pace_pay(&pace, OUTPUT_PACE_READ_BYTES);
        }
}

static void few_reads_are_paid_in_advance(void **state)
{
        struct output_pace pace = { 0 };
        double wait_s;

        (void)state;
        (void)output_pace_take(&pace, NOW_S);
        output_pace_pay(&pace, (size_t)10 * OUTPUT_PACE_SAVED * OUTPUT_PACE_READ_BYTES);
        assert_int_equal(take_all(&pace, NOW_S + 3600, &wait_s), OUTPUT_PACE_SAVED + OUTPUT_PACE_BURST);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_burst_is_free),
                cmocka_unit_test(after_the_wait_one_is_free),
                cmocka_unit_test(time_gives_back_no_more_than_a_burst),
                cmocka_unit_test(bytes_pay_for_reads),
                cmocka_unit_test(small_reads_pay_for_their_part),
                cmocka_unit_test(large_reads_never_wait),
                cmocka_unit_test(few_reads_are_paid_in_advance),
        };

        return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
