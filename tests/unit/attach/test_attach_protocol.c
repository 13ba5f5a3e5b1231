/* Every field of a message between carreld and carrel-mountd, as tables of what is accepted and refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attach-protocol.h"

enum { SIZE = sizeof(struct attach_order) };

static struct attach_order good_order(void)
{
        return (struct attach_order){ .head = { ATTACH_MAGIC, ATTACH_VERSION, ATTACH_MOUNT, 7 },
                                      .ids = { 1000, 1000, 101000, 101000 } };
}

static const struct order_case {
        const char *name;
        size_t offset; /* of the field that has another value */
        uint32_t value;
        size_t length, n_fds;
        int r;
} ORDERS[] = {
        { "as it is sent", offsetof(struct attach_order, ids.uid), 101000, SIZE, ATTACH_FDS, 0 },
        { "the same owner", offsetof(struct attach_order, ids.uid), 1000, SIZE, ATTACH_FDS, 0 },
        { "the highest id", offsetof(struct attach_order, ids.gid), UINT32_MAX - 1, SIZE, ATTACH_FDS, 0 },
        { "no bytes", offsetof(struct attach_order, ids.uid), 101000, 0, ATTACH_FDS, -EPROTO },
        { "less than a head", offsetof(struct attach_order, ids.uid), 101000, 15, ATTACH_FDS, -EPROTO },
        { "another magic", offsetof(struct attach_order, head.magic), ATTACH_MAGIC + 1, SIZE, ATTACH_FDS, -EPROTO },
        { "another version", offsetof(struct attach_order, head.version), ATTACH_MOUNT << 16 | (ATTACH_VERSION + 1),
          SIZE, ATTACH_FDS, -EPROTO },
        { "an answer's verb", offsetof(struct attach_order, head.version), ATTACH_REPORT << 16 | ATTACH_VERSION, SIZE,
          ATTACH_FDS, -EINVAL },
        { "verb 0", offsetof(struct attach_order, head.version), ATTACH_VERSION, SIZE, ATTACH_FDS, -EINVAL },
        { "too short", offsetof(struct attach_order, ids.uid), 101000, SIZE - 1, ATTACH_FDS, -EINVAL },
        { "too long", offsetof(struct attach_order, ids.uid), 101000, SIZE + 1, ATTACH_FDS, -EINVAL },
        { "no descriptors", offsetof(struct attach_order, ids.uid), 101000, SIZE, 0, -EINVAL },
        { "one descriptor", offsetof(struct attach_order, ids.uid), 101000, SIZE, 1, -EINVAL },
        { "three descriptors", offsetof(struct attach_order, ids.uid), 101000, SIZE, 3, -EINVAL },
        { "root's files", offsetof(struct attach_order, ids.owner_uid), 0, SIZE, ATTACH_FDS, -EINVAL },
        { "root's group", offsetof(struct attach_order, ids.owner_gid), 0, SIZE, ATTACH_FDS, -EINVAL },
        { "for root", offsetof(struct attach_order, ids.uid), 0, SIZE, ATTACH_FDS, -EINVAL },
        { "for root's group", offsetof(struct attach_order, ids.gid), 0, SIZE, ATTACH_FDS, -EINVAL },
        { "a detached mount", offsetof(struct attach_order, is_detached), 1, SIZE, ATTACH_FDS, 0 },
        { "another flag", offsetof(struct attach_order, is_detached), 2, SIZE, ATTACH_FDS, -EINVAL },
        { "no id", offsetof(struct attach_order, ids.uid), UINT32_MAX, SIZE, ATTACH_FDS, -EINVAL },
};

static void orders_are_checked(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof ORDERS / sizeof *ORDERS; i++) {
                struct attach_order order = good_order();
                struct fault why = { 0 };
                int r;

                memcpy((unsigned char *)&order + ORDERS[i].offset, &ORDERS[i].value, sizeof ORDERS[i].value);
                r = attach_check_order(&order, ORDERS[i].length, ORDERS[i].n_fds, &why);
                if (r != ORDERS[i].r)
                        fail_msg("%s: %d", ORDERS[i].name, r);
                assert_int_equal(why.kind, r == -EINVAL ? FAULT_INTERNAL : FAULT_NONE);
        }
}

static struct attach_answer good_answer(void)
{
        return (struct attach_answer){ .head = { ATTACH_MAGIC, ATTACH_VERSION, ATTACH_REPORT, 0 },
                                       .can = ATTACH_CAN_ALL,
                                       .message = "x" };
}

static const struct {
        const char *name;
        size_t offset;
        uint32_t value;
        size_t length;
        int r;
} ANSWERS[] = {
        { "as it is sent", offsetof(struct attach_answer, err), EPERM, sizeof(struct attach_answer), 0 },
        { "the last kind", offsetof(struct attach_answer, kind), FAULT_KINDS - 1, sizeof(struct attach_answer), 0 },
        { "too short", offsetof(struct attach_answer, err), EPERM, sizeof(struct attach_answer) - 1, -EPROTO },
        { "another magic", offsetof(struct attach_answer, head.magic), 0, sizeof(struct attach_answer), -EPROTO },
        { "verb 0", offsetof(struct attach_answer, head.version), ATTACH_VERSION, sizeof(struct attach_answer),
          -EPROTO },
        { "another verb", offsetof(struct attach_answer, head.version), (ATTACH_REPORT + 1) << 16 | ATTACH_VERSION,
          sizeof(struct attach_answer), -EPROTO },
        { "no kind", offsetof(struct attach_answer, kind), FAULT_KINDS, sizeof(struct attach_answer), -EPROTO },
        { "no errno", offsetof(struct attach_answer, err), UINT32_MAX, sizeof(struct attach_answer), -EPROTO },
        { "it can more", offsetof(struct attach_answer, can), 4, sizeof(struct attach_answer), -EPROTO },
};

static void answers_are_checked(void **state)
{
        struct attach_answer endless = good_answer();

        (void)state;
        for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++) {
                struct attach_answer answer = good_answer();

                memcpy((unsigned char *)&answer + ANSWERS[i].offset, &ANSWERS[i].value, sizeof ANSWERS[i].value);
                if (attach_check_answer(&answer, ANSWERS[i].length) != ANSWERS[i].r)
                        fail_msg("%s: not %d", ANSWERS[i].name, ANSWERS[i].r);
        }
        memset(endless.message, 'x', sizeof endless.message);
        assert_int_equal(attach_check_answer(&endless, sizeof endless), -EPROTO);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(orders_are_checked),
                cmocka_unit_test(answers_are_checked),
        };

        return cmocka_run_group_tests_name("attach: the protocol", tests, NULL, NULL);
}
