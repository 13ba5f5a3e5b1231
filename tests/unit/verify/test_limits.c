/* Compares the kernel's limits with the promised ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel-limits.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct limits_promise PROMISE = { .memory_bytes = 1 << 30, .pids = 256 };

static const struct limit_case {
        struct cgroup_limits found;
        const char *named; /* in the fault; NULL: accepted */
} CASES[] = {
        { { 1 << 30, 256, 0 }, NULL },
        { { (1 << 30) - 4096, 255, 0 }, NULL }, /* the kernel rounds down to pages */
        { { (1 << 30) + 1, 256, 0 }, "memory" },
        { { UINT64_MAX, 256, 0 }, "memory" },
        { { 1 << 30, 256, 128 << 20 }, NULL },
        { { 1 << 30, 256, (128 << 20) + 1 }, "socket memory" },
        { { 1 << 30, 256, UINT64_MAX }, "socket memory" },
        { { 1 << 30, 257, 0 }, "pids" },
        { { 1 << 30, UINT64_MAX, 0 }, "pids" },
};

static void limits_are_judged(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct fault why = { 0 };
                int r = kernel_limits_judge(&CASES[i].found, &PROMISE, &why);

                if (CASES[i].named == NULL) {
                        assert_int_equal(r, 0);
                        continue;
                }
                assert_true(r < 0);
                assert_int_equal(why.kind, FAULT_HARDENING_MISSING);
                assert_non_null(strstr(why.message, CASES[i].named));
        }
}

static void a_process_elsewhere_is_lost(void **state)
{
        struct cgroup_mounts mounts = { 0 };
        struct fault why = { 0 };

        (void)state;
        assert_true(kernel_limits_check(&mounts, getpid(), ID, &PROMISE, &why) < 0);
        assert_int_equal(why.kind, FAULT_CARREL_LOST);
}

int main(void)
{
        static const struct CMUnitTest TESTS[] = {
                cmocka_unit_test(limits_are_judged),
                cmocka_unit_test(a_process_elsewhere_is_lost),
        };

        return cmocka_run_group_tests(TESTS, NULL, NULL);
}
