/* The ring of an exec's events: numbers, limits, and dropped events. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "exec-ring.h"

static void events_are_numbered(void **state)
{
        struct exec_ring ring = { .limit_bytes = 1 << 20 };
        struct exec_event event;

        (void)state;
        assert_int_equal(exec_ring_get(&ring, 0, &event), -ENODATA);
        assert_int_equal(exec_ring_push(&ring, EXEC_EVENT_START, NULL, 0), 0);
        assert_int_equal(exec_ring_push(&ring, EXEC_EVENT_OUTPUT, "out", 3), 0);
        assert_int_equal(exec_ring_push(&ring, EXEC_EVENT_ERRORS, "e\0r", 3), 0);
        assert_int_equal(exec_ring_get(&ring, 0, &event), 0);
        assert_int_equal(event.kind, EXEC_EVENT_START);
        assert_int_equal(event.length, 0);
        assert_int_equal(exec_ring_get(&ring, 2, &event), 0);
        assert_int_equal(event.seq, 2);
        assert_int_equal(event.kind, EXEC_EVENT_ERRORS);
        assert_memory_equal(event.bytes, "e\0r", 3);
        assert_int_equal(exec_ring_get(&ring, 3, &event), -ENODATA);
        exec_ring_free(&ring);
        assert_int_equal(ring.bytes, 0);
}

/* A million events through a small ring: the memory stays below the limit, and what is left is the end of them. */
static void the_oldest_go(void **state)
{
        enum { EVENTS = 1000000 };
        struct exec_ring ring = { .limit_bytes = 64 << 10 };
        struct exec_event event;
        char text[16];

        (void)state;
        for (int i = 0; i < EVENTS; i++) {
                int length = snprintf(text, sizeof text, "%d", i);

                assert_int_equal(exec_ring_push(&ring, EXEC_EVENT_OUTPUT, text, (size_t)length), 0);
                assert_true(ring.bytes <= ring.limit_bytes);
        }
        assert_true(ring.first_seq > EVENTS - 2000);
        assert_int_equal(exec_ring_get(&ring, ring.first_seq - 1, &event), -ESTALE);
        for (uint64_t seq = ring.first_seq; seq < EVENTS; seq++) {
                (void)snprintf(text, sizeof text, "%d", (int)seq);
                assert_int_equal(exec_ring_get(&ring, seq, &event), 0);
                assert_int_equal(event.length, strlen(text));
                assert_memory_equal(event.bytes, text, event.length);
        }
        exec_ring_free(&ring);
}

static void large_and_small_mix(void **state)
{
        static const char LARGE[EXEC_EVENT_MAX_BYTES];
        struct exec_ring ring = { .limit_bytes = 2 * EXEC_EVENT_MAX_BYTES };
        struct exec_event event;

        (void)state;
        for (int i = 0; i < 100; i++) {
                assert_int_equal(exec_ring_push(&ring, EXEC_EVENT_OUTPUT, "x", 1), 0);
                assert_int_equal(exec_ring_push(&ring, EXEC_EVENT_OUTPUT, LARGE, sizeof LARGE), 0);
                assert_true(ring.bytes <= ring.limit_bytes);
                assert_int_equal(exec_ring_get(&ring, ring.next_seq - 1, &event), 0);
                assert_int_equal(event.length, sizeof LARGE);
        }
        while (exec_ring_drop(&ring))
                ;
        assert_int_equal(ring.bytes, 0);
        assert_int_equal(exec_ring_get(&ring, ring.next_seq - 1, &event), -ESTALE);
        exec_ring_free(&ring);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(events_are_numbered),
                cmocka_unit_test(the_oldest_go),
                cmocka_unit_test(large_and_small_mix),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
