/* The small ones: clock, fault, list, scope. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "fault.h"
#include "list.h"
#include "scope.h"

#define COUNT(array) (sizeof array / sizeof((array)[0]))

static void test_clock(void **state)
{
        static const struct {
                int64_t wall_ms;
                const char *text;
        } TIMES[] = {
                { 0, "1970-01-01T00:00:00.000Z" },
                { 1, "1970-01-01T00:00:00.001Z" },
                { 1769860800123, "2026-01-31T12:00:00.123Z" },
                { 951782399999, "2000-02-28T23:59:59.999Z" },
                { -1, "1969-12-31T23:59:59.999Z" },
                { -1000, "1969-12-31T23:59:59.000Z" },
                { INT64_MAX, "" }, /* no such year: an empty text, not a wrong one */
        };
        int64_t first_ms = clock_boottime_ms();
        double second_s = clock_boottime_s();
        int64_t third_ms = clock_boottime_ms();

        for (size_t i = 0; i < COUNT(TIMES); i++) {
                char text[CLOCK_TEXT_BYTES];

                clock_format_utc(TIMES[i].wall_ms, text);
                assert_string_equal(text, TIMES[i].text);
        }
        assert_true(first_ms > 0);
        assert_true((double)first_ms / 1000 <= second_s);
        assert_true(second_s < (double)(third_ms + 1) / 1000);
        assert_true(clock_wall_ms() > 1700000000000);
}

static void test_fault_set(void **state)
{
        struct fault why = { .retry_after_s = 9 };
        char longer[400];

        assert_int_equal(fault_set(&why, FAULT_NOT_FOUND, ENOENT, "no %s", "carrel"), -ENOENT);
        assert_int_equal(why.kind, FAULT_NOT_FOUND);
        assert_int_equal(why.err, ENOENT);
        assert_int_equal(why.retry_after_s, 0);
        assert_string_equal(why.message, "no carrel");
        assert_int_equal(fault_set(NULL, FAULT_NOT_FOUND, ENOENT, "unseen"), -ENOENT);
        assert_int_equal(fault_set(&why, FAULT_INTERNAL, 0, "never a success"), -EIO);
        memset(longer, 'x', sizeof longer - 1);
        longer[sizeof longer - 1] = '\0';
        (void)fault_set(&why, FAULT_INTERNAL, EIO, "%s", longer);
        assert_int_equal(strlen(why.message), sizeof why.message - 1);
}

static void test_fault_pass(void **state)
{
        const struct fault from = { .kind = FAULT_DEADLINE, .err = ETIMEDOUT, .message = "late" };
        const struct fault bare = { .kind = FAULT_INTERNAL };
        struct fault to = { 0 };

        assert_int_equal(fault_pass(&to, &from), -ETIMEDOUT);
        assert_memory_equal(&to, &from, sizeof to);
        assert_int_equal(fault_pass(&to, &to), -ETIMEDOUT);
        assert_int_equal(fault_pass(NULL, &from), -ETIMEDOUT);
        assert_int_equal(fault_pass(&to, &bare), -EIO);
}

/* Clients compare codes, so each kind has its own, in snake_case. */
static void test_fault_codes(void **state)
{
        for (int kind = 0; kind < FAULT_KINDS; kind++) {
                const char *code = fault_code((enum fault_kind)kind);

                assert_non_null(code);
                assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz_"), strlen(code));
                assert_true(strlen(code) > 0);
                for (int other = 0; other < kind; other++)
                        assert_string_not_equal(code, fault_code((enum fault_kind)other));
        }
        assert_string_equal(fault_code(FAULT_USER_ID_INVALID), "user_id_invalid");
        assert_string_equal(fault_code(FAULT_KINDS), "internal");
        assert_true(fault_is_retryable(FAULT_POLICY_NOT_IN_FORCE));
        assert_false(fault_is_retryable(FAULT_USER_ID_INVALID));
        assert_false(fault_is_retryable(FAULT_KINDS));
}

struct bead {
        struct list node;
        char name;
};

static void assert_beads(struct list *head, const char *names)
{
        LIST_EACH (head, node) {
                assert_int_equal(LIST_ENTRY(node, struct bead, node)->name, *names);
                names++;
        }
        assert_int_equal(*names, '\0');
}

static void test_list(void **state)
{
        struct bead a = { .name = 'a' };
        struct bead b = { .name = 'b' };
        struct bead c = { .name = 'c' };
        struct list first;
        struct list second;

        list_init(&first);
        list_init(&second);
        assert_true(list_is_empty(&first));
        assert_null(list_pop(&first));
        list_append(&first, &a.node);
        list_append(&first, &b.node);
        list_append(&first, &c.node);
        assert_beads(&first, "abc");
        list_remove(&b.node);
        list_remove(&b.node); /* idempotent */
        assert_beads(&first, "ac");
        list_append(&second, &b.node);
        list_move_all(&first, &second);
        assert_true(list_is_empty(&first));
        assert_beads(&second, "bac");
        assert_ptr_equal(list_pop(&second), &b.node);
        LIST_EACH (&second, node)
                list_remove(node);
        assert_true(list_is_empty(&second));
}

static void test_scope(void **state)
{
        int kept = -1;
        int closed = -1;

        {
                AUTO(auto_close) int given = open("/dev/null", O_RDONLY | O_CLOEXEC);
                AUTO(auto_close) int held = open("/dev/null", O_RDONLY | O_CLOEXEC);
                AUTO(auto_free) char *empty = NULL;

                assert_true(given >= 0 && held >= 0);
                closed = held;
                kept = TAKE_FD(given);
                assert_int_equal(given, -1);
                assert_null(TAKE(empty));
        }
        assert_int_equal(fcntl(closed, F_GETFD), -1);
        assert_int_equal(fcntl(kept, F_GETFD), FD_CLOEXEC);
        assert_int_equal(close(kept), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_clock),       cmocka_unit_test(test_fault_set), cmocka_unit_test(test_fault_pass),
                cmocka_unit_test(test_fault_codes), cmocka_unit_test(test_list),      cmocka_unit_test(test_scope),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
