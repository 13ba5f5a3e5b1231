#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol.h"

static struct protocol_request make_request(uint16_t verb)
{
        struct policy_texts texts = { "default", "10.213.0.0/16", "", "", "" };
        struct protocol_request request = { .head = { PROTOCOL_MAGIC, PROTOCOL_VERSION, verb, .number = 7 } };

        if (verb == PROTOCOL_APPLY) {
                assert_int_equal(policy_parse(&request.apply.policy, &texts, NULL), 0);
                request.apply.check_interval_ms = 1000;
        } else if (verb == PROTOCOL_PLUG) {
                request.plug.pid = 4711;
                memcpy(request.plug.container_id, "0123456789ab", sizeof "0123456789ab");
        } else if (verb == PROTOCOL_OPEN) {
                request.open.pid = 4711;
                memcpy(request.open.interface, "carrel7", sizeof "carrel7");
        }
        return request;
}

static int check(const struct protocol_request *request)
{
        return protocol_check_request(request, protocol_request_size(request->head.verb), NULL);
}

static void good_requests_pass(void **state)
{
        (void)state;
        for (int i = PROTOCOL_APPLY; i <= PROTOCOL_OPEN; i++) {
                uint16_t verb = (uint16_t)i;
                struct protocol_request request = make_request(verb);

                assert_int_equal(check(&request), 0);
                assert_int_equal(protocol_check_request(&request, protocol_request_size(verb) - 1, NULL), -EPROTO);
                assert_int_equal(protocol_check_request(&request, protocol_request_size(verb) + 1, NULL), -EPROTO);
                assert_int_equal(protocol_check_request(&request, 0, NULL), -EPROTO);
                request.head.magic++;
                assert_int_equal(check(&request), -EPROTO);
                request.head.magic--;
                request.head.version++;
                assert_int_equal(check(&request), -EPROTO);
        }
}

static void bad_verbs_are_refused(void **state)
{
        static const uint16_t VERBS[] = { 0, PROTOCOL_REPORT, PROTOCOL_REPORT + 1, UINT16_MAX };

        (void)state;
        for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++) {
                struct protocol_request request = make_request(VERBS[i]);

                assert_int_equal(protocol_request_size(VERBS[i]), 0);
                for (size_t length = 0; length <= sizeof request; length++)
                        assert_int_equal(protocol_check_request(&request, length, NULL), -EPROTO);
        }
}

static void bad_opens_are_refused(void **state)
{
        static const char *const INTERFACES[] = { "", "carrel/7", "carrel 7", "carrel7\n" };
        struct protocol_request request = make_request(PROTOCOL_OPEN);

        (void)state;
        for (size_t i = 0; i < sizeof INTERFACES / sizeof *INTERFACES; i++) {
                memset(request.open.interface, 0, sizeof request.open.interface);
                memcpy(request.open.interface, INTERFACES[i], strlen(INTERFACES[i]));
                assert_int_equal(check(&request), -EPROTO);
        }
        memset(request.open.interface, 'a', sizeof request.open.interface); /* no end */
        assert_int_equal(check(&request), -EPROTO);
        request = make_request(PROTOCOL_OPEN);
        request.open.pid = 1;
        assert_int_equal(check(&request), -EPROTO);
        request.open.pid = -2;
        assert_int_equal(check(&request), -EPROTO);
}

static void bad_bodies_are_refused(void **state)
{
        static const char *const IDS[] = { "", "0123456789a", "0123456789a/", "../0123456789ab", "0123456789ab\n" };
        static const int PIDS[] = { 0, 1, -1, INT32_MIN };
        struct protocol_request request = make_request(PROTOCOL_PLUG);

        (void)state;
        for (size_t i = 0; i < sizeof IDS / sizeof *IDS; i++) {
                memset(request.plug.container_id, 0, sizeof request.plug.container_id);
                memcpy(request.plug.container_id, IDS[i], strlen(IDS[i]));
                assert_int_equal(check(&request), -EPROTO);
        }
        memset(request.plug.container_id, 'a', sizeof request.plug.container_id); /* no end */
        assert_int_equal(check(&request), -EPROTO);
        request = make_request(PROTOCOL_PLUG);
        request.plug.is_closed = 1;
        assert_int_equal(check(&request), 0);
        request.plug.is_closed = 2;
        assert_int_equal(check(&request), -EPROTO);
        request = make_request(PROTOCOL_PLUG);
        for (size_t i = 0; i < sizeof PIDS / sizeof *PIDS; i++) {
                request.plug.pid = PIDS[i];
                assert_int_equal(check(&request), -EPROTO);
        }
        request = make_request(PROTOCOL_APPLY);
        request.apply.check_interval_ms = PROTOCOL_INTERVAL_LEAST_MS - 1;
        assert_int_equal(check(&request), -EPROTO);
        request.apply.check_interval_ms = PROTOCOL_INTERVAL_MOST_MS + 1;
        assert_int_equal(check(&request), -EPROTO);
        request = make_request(PROTOCOL_APPLY);
        request.apply.policy.denied_count = UINT32_MAX;
        assert_int_equal(check(&request), -EPROTO);
        request = make_request(PROTOCOL_APPLY);
        request.apply.was_in_force = 2;
        assert_int_equal(check(&request), -EPROTO);
        request = make_request(PROTOCOL_APPLY);
        request.apply.policy.flows_max = POLICY_FLOWS_MOST + 1;
        assert_int_equal(check(&request), -EPROTO);
        request = make_request(PROTOCOL_APPLY);
        request.apply.policy.flows_new_per_s = POLICY_FLOWS_PER_S_MOST + 1;
        assert_int_equal(check(&request), -EPROTO);
}

static void replies_are_checked(void **state)
{
        const struct protocol_reply good = { .head = { PROTOCOL_MAGIC, PROTOCOL_VERSION, PROTOCOL_REPORT, 0 } };
        struct protocol_reply bad;

        (void)state;
        assert_int_equal(protocol_check_reply(&good, sizeof good), 0);
        assert_int_equal(protocol_check_reply(&good, sizeof good - 1), -EPROTO);
#define WITH(change) (bad = good, (change), assert_int_equal(protocol_check_reply(&bad, sizeof bad), -EPROTO))
        WITH(bad.head.magic = 0);
        WITH(bad.head.version = PROTOCOL_VERSION - 1);
        WITH(bad.head.version = PROTOCOL_VERSION + 1);
        WITH(bad.head.verb = 0);
        WITH(bad.head.verb = PROTOCOL_REPORT + 1);
        WITH(bad.kind = FAULT_KINDS);
        WITH(memset(bad.message, 'x', sizeof bad.message));
        WITH(memset(bad.interface, 'x', sizeof bad.interface));
        WITH(memset(bad.address, 'x', sizeof bad.address));
        WITH(memset(bad.state.detail, 'x', sizeof bad.state.detail));
#undef WITH
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(good_requests_pass),    cmocka_unit_test(bad_verbs_are_refused),
                cmocka_unit_test(bad_opens_are_refused), cmocka_unit_test(bad_bodies_are_refused),
                cmocka_unit_test(replies_are_checked),
        };

        return cmocka_run_group_tests_name("netpolicy: protocol", tests, NULL, NULL);
}
