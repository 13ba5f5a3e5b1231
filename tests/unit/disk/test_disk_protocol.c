/* Every field of a message between carreld and carrel-diskd, as tables of what is accepted and refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "disk-protocol.h"
#include "disk.h"

enum { SIZE = sizeof(struct disk_order) };

static const struct order_case {
        const char *name, *user;
        uint32_t magic, owner_uid, owner_gid;
        uint64_t size_bytes, files;
        uint16_t verb;
        size_t length, n_fds;
        int r;
} ORDERS[] = {
        { "as it is sent", "ada", DISK_MAGIC, 1000, 1000, DISK_SIZE_MIN, 300, DISK_MOUNT, SIZE, 1, 0 },
        { "the largest", "a.b", DISK_MAGIC, 1, 1, DISK_SIZE_MAX, DISK_FILES_MAX, DISK_MOUNT, SIZE, 1, 0 },
        { "another magic", "ada", DISK_MAGIC + 1, 1000, 1000, DISK_SIZE_MIN, 300, DISK_MOUNT, SIZE, 1, -EPROTO },
        { "less than a head", "ada", DISK_MAGIC, 1000, 1000, DISK_SIZE_MIN, 300, DISK_MOUNT, 15, 1, -EPROTO },
        { "a report's verb", "ada", DISK_MAGIC, 1000, 1000, DISK_SIZE_MIN, 300, DISK_REPORT, SIZE, 1, -EINVAL },
        { "too short", "ada", DISK_MAGIC, 1000, 1000, DISK_SIZE_MIN, 300, DISK_MOUNT, SIZE - 1, 1, -EINVAL },
        { "no descriptor", "ada", DISK_MAGIC, 1000, 1000, DISK_SIZE_MIN, 300, DISK_MOUNT, SIZE, 0, -EINVAL },
        { "two descriptors", "ada", DISK_MAGIC, 1000, 1000, DISK_SIZE_MIN, 300, DISK_MOUNT, SIZE, 2, -EINVAL },
        { "no user", "", DISK_MAGIC, 1000, 1000, DISK_SIZE_MIN, 300, DISK_MOUNT, SIZE, 1, -EINVAL },
        { "another directory", "a/b", DISK_MAGIC, 1000, 1000, DISK_SIZE_MIN, 300, DISK_MOUNT, SIZE, 1, -EINVAL },
        { "a directory above", "..", DISK_MAGIC, 1000, 1000, DISK_SIZE_MIN, 300, DISK_MOUNT, SIZE, 1, -EINVAL },
        { "root's files", "ada", DISK_MAGIC, 0, 1000, DISK_SIZE_MIN, 300, DISK_MOUNT, SIZE, 1, -EINVAL },
        { "no group", "ada", DISK_MAGIC, 1000, UINT32_MAX, DISK_SIZE_MIN, 300, DISK_MOUNT, SIZE, 1, -EINVAL },
        { "too small", "ada", DISK_MAGIC, 1000, 1000, DISK_SIZE_MIN - 1, 300, DISK_MOUNT, SIZE, 1, -EINVAL },
        { "too large", "ada", DISK_MAGIC, 1000, 1000, DISK_SIZE_MAX + 1, 300, DISK_MOUNT, SIZE, 1, -EINVAL },
        { "too few files", "ada", DISK_MAGIC, 1000, 1000, DISK_SIZE_MIN, 255, DISK_MOUNT, SIZE, 1, -EINVAL },
        { "too many files", "ada", DISK_MAGIC, 1000, 1000, DISK_SIZE_MIN, UINT64_MAX, DISK_MOUNT, SIZE, 1, -EINVAL },
};

static void orders_are_checked(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof ORDERS / sizeof *ORDERS; i++) {
                const struct order_case *row = &ORDERS[i];
                struct disk_order order = { .head = { row->magic, DISK_VERSION, row->verb, 7 },
                                            .owner_uid = row->owner_uid,
                                            .owner_gid = row->owner_gid,
                                            .size_bytes = row->size_bytes,
                                            .files = row->files };
                struct fault why = { 0 };
                int r;

                memcpy(order.user, row->user, strlen(row->user));
                r = disk_check_order(&order, row->length, row->n_fds, &why);
                if (r != row->r || (r == -EINVAL) != (why.kind != FAULT_NONE))
                        fail_msg("%s: %d, %s", row->name, r, why.message);
        }
}

static void a_user_without_an_end_is_refused(void **state)
{
        struct disk_order order = { .head = { DISK_MAGIC, DISK_VERSION, DISK_MOUNT, 7 },
                                    .owner_uid = 1000,
                                    .owner_gid = 1000,
                                    .size_bytes = DISK_SIZE_MIN,
                                    .files = 300 };

        (void)state;
        memset(order.user, 'a', sizeof order.user);
        assert_int_equal(disk_check_order(&order, sizeof order, 1, NULL), -EINVAL);
}

static void answers_are_checked(void **state)
{
        struct disk_answer good = { .head = { DISK_MAGIC, DISK_VERSION, DISK_MOUNT, 7 } };
        struct disk_answer answer = good;

        (void)state;
        assert_int_equal(disk_check_answer(&answer, sizeof answer), 0);
        assert_int_equal(disk_check_answer(&answer, sizeof answer - 1), -EPROTO);
        answer.kind = FAULT_KINDS;
        assert_int_equal(disk_check_answer(&answer, sizeof answer), -EPROTO);
        answer = good;
        answer.err = UINT32_MAX;
        assert_int_equal(disk_check_answer(&answer, sizeof answer), -EPROTO);
        answer = good;
        answer.head.verb = 0;
        assert_int_equal(disk_check_answer(&answer, sizeof answer), -EPROTO);
        answer = good;
        memset(answer.message, 'a', sizeof answer.message);
        assert_int_equal(disk_check_answer(&answer, sizeof answer), -EPROTO);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(orders_are_checked),
                cmocka_unit_test(a_user_without_an_end_is_refused),
                cmocka_unit_test(answers_are_checked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
