/* Whose connection goes for whose: seats.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "seats.h"

enum { MAX = 32, MAX_OF_PEER = 20, ADA = 1001, BOB = 1002, ROOT = 0 };

static struct seat *take(struct seats *seats, struct seat *seat, uid_t uid, int expected)
{
        struct seat *victim = NULL;

        assert_int_equal(seats_take(seats, seat, uid, uid == ROOT, &victim), expected);
        return victim;
}

static void leave_all(struct seats *seats, struct seat *all, size_t n)
{
        for (size_t i = 0; i < n; i++)
                seats_leave(seats, &all[i]);
        assert_int_equal(seats->n, 0);
        assert_int_equal(seats->n_clients, 0);
        assert_true(list_is_empty(&seats->peers));
}

static void test_a_peer_has_its_bound(void **state)
{
        struct seat all[MAX_OF_PEER + 1] = { 0 }, other = { 0 };
        struct seats seats;

        (void)state;
        seats_init(&seats, MAX, MAX_OF_PEER);
        for (int i = 0; i < MAX_OF_PEER; i++)
                assert_null(take(&seats, &all[i], ADA, 0));
        assert_null(take(&seats, &all[MAX_OF_PEER], ADA, -EDQUOT));
        assert_null(take(&seats, &other, BOB, 0));
        seat_mark_idle(&other, true);
        /* Its own idle one, never another's. */
        assert_null(take(&seats, &all[MAX_OF_PEER], ADA, -EDQUOT));
        seat_mark_idle(&all[3], true);
        seat_mark_idle(&all[2], true);
        seat_mark_idle(&all[3], true);
        assert_ptr_equal(take(&seats, &all[MAX_OF_PEER], ADA, 0), &all[2]);
        seats_leave(&seats, &all[2]);
        seat_mark_idle(&all[3], false);
        assert_int_equal(seats.n, MAX_OF_PEER + 1);
        seats_leave(&seats, &other);
        leave_all(&seats, all, MAX_OF_PEER + 1);
}

static void test_the_greatest_gives_way(void **state)
{
        struct seat all[MAX + 1] = { 0 };
        struct seats seats;
        int n = 0;

        (void)state;
        seats_init(&seats, MAX, MAX);
        for (; n < 10; n++)
                assert_null(take(&seats, &all[n], BOB, 0));
        for (; n < MAX - MAX / 16; n++)
                assert_null(take(&seats, &all[n], ADA, 0));
        assert_null(take(&seats, &all[n], BOB, -EAGAIN));
        seat_mark_idle(&all[0], true);
        seat_mark_idle(&all[12], true);
        assert_ptr_equal(take(&seats, &all[n++], BOB, 0), &all[12]);
        assert_ptr_equal(take(&seats, &all[n], BOB, 0), &all[0]);
        leave_all(&seats, all, MAX + 1);
}

static void test_some_are_kept_for_admins(void **state)
{
        struct seat all[MAX + 1] = { 0 };
        struct seats seats;
        int n = 0;

        (void)state;
        seats_init(&seats, MAX, MAX);
        for (; n < MAX - MAX / 16; n++)
                assert_null(take(&seats, &all[n], ADA, 0));
        assert_null(take(&seats, &all[n], ADA, -EAGAIN));
        for (; n < MAX; n++)
                assert_null(take(&seats, &all[n], ROOT, 0));
        assert_null(take(&seats, &all[n], ROOT, -EAGAIN));
        seat_mark_idle(&all[5], true);
        assert_ptr_equal(take(&seats, &all[n], ROOT, 0), &all[5]);
        leave_all(&seats, all, MAX + 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_peer_has_its_bound),
                cmocka_unit_test(test_the_greatest_gives_way),
                cmocka_unit_test(test_some_are_kept_for_admins),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
