/* The client's calls, against the fake and against programs that are no helper. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <ev.h>

#include "netpolicy.h"

struct seen {
        unsigned calls;
        enum fault_kind kind;
        struct netpolicy_link link;
        struct netpolicy **to_free;
};

static void on_done(void *arg, const struct netpolicy_link *link, const struct fault *why)
{
        struct seen *seen = arg;

        seen->calls++;
        seen->kind = why == NULL ? FAULT_NONE : why->kind;
        if (link != NULL)
                seen->link = *link;
        if (seen->to_free != NULL)
                *seen->to_free = netpolicy_free(*seen->to_free);
}

struct fixture {
        struct ev_loop *loop;
        struct netpolicy *netpolicy;
};

static int make(void **state)
{
        static struct fixture fixture;

        fixture.loop = ev_loop_new(EVFLAG_AUTO);
        *state = &fixture;
        return netpolicy_new_fake(&fixture.netpolicy, fixture.loop);
}

static int release(void **state)
{
        struct fixture *fixture = *state;

        fixture->netpolicy = netpolicy_free(fixture->netpolicy);
        ev_loop_destroy(fixture->loop);
        return 0;
}

static void turn(struct fixture *fixture, const struct seen *seen, unsigned calls)
{
        while (seen->calls < calls)
                ev_run(fixture->loop, EVRUN_ONCE);
}

static void a_fake_is_in_force(void **state)
{
        struct fixture *fixture = *state;
        struct netpolicy_status status;
        struct seen seen = { 0 };

        assert_true(netpolicy_is_in_force(fixture->netpolicy));
        netpolicy_status(fixture->netpolicy, &status);
        assert_true(status.is_in_force && status.has_helper);
        assert_string_equal(status.detail, "in force");
        assert_int_equal(netpolicy_confirm(fixture->netpolicy, on_done, &seen, NULL), 0);
        assert_int_equal(seen.calls, 0); /* never from inside the call */
        turn(fixture, &seen, 1);
        assert_int_equal(seen.kind, FAULT_NONE);
}

static void a_fake_plugs_different_links(void **state)
{
        struct fixture *fixture = *state;
        struct seen first = { 0 };
        struct seen second = { 0 };

        assert_int_equal(netpolicy_plug(fixture->netpolicy, 2, "0123456789ab", false, on_done, &first, NULL), 0);
        assert_int_equal(netpolicy_plug(fixture->netpolicy, 2, "0123456789ab", false, on_done, &second, NULL), 0);
        turn(fixture, &second, 1);
        assert_int_equal(first.calls, 1);
        assert_string_not_equal(first.link.interface, second.link.interface);
        assert_string_not_equal(first.link.address, second.link.address);
}

static void a_fake_opens_links(void **state)
{
        struct fixture *fixture = *state;
        struct seen plugged = { 0 };
        struct seen opened = { .kind = FAULT_INTERNAL };

        assert_int_equal(netpolicy_plug(fixture->netpolicy, 2, "0123456789ab", true, on_done, &plugged, NULL), 0);
        turn(fixture, &plugged, 1);
        assert_int_equal(netpolicy_open(fixture->netpolicy, 2, plugged.link.interface, on_done, &opened, NULL), 0);
        turn(fixture, &opened, 1);
        assert_int_equal(opened.kind, FAULT_NONE);
        assert_string_equal(opened.link.interface, "");
        netpolicy_fake_set(fixture->netpolicy, false);
        assert_int_equal(netpolicy_open(fixture->netpolicy, 2, "carrel1", on_done, &opened, NULL), 0);
        turn(fixture, &opened, 2);
        assert_int_equal(opened.kind, FAULT_POLICY_NOT_IN_FORCE);
}

static void the_powerless_one_connects_nothing(void **state)
{
        struct fixture *fixture = *state;
        struct netpolicy *powerless = NULL;
        struct seen seen = { 0 };

        assert_int_equal(netpolicy_new_powerless(&powerless, fixture->loop), 0);
        assert_int_equal(netpolicy_plug(powerless, 2, "0123456789ab", true, on_done, &seen, NULL), 0);
        turn(fixture, &seen, 1);
        assert_int_equal(seen.kind, FAULT_POLICY_NOT_IN_FORCE);
        seen.kind = FAULT_NONE;
        assert_int_equal(netpolicy_open(powerless, 2, "carrel1", on_done, &seen, NULL), 0);
        turn(fixture, &seen, 2);
        assert_int_equal(seen.kind, FAULT_POLICY_NOT_IN_FORCE);
        powerless = netpolicy_free(powerless);
}

static void a_fake_can_be_out_of_force(void **state)
{
        struct fixture *fixture = *state;
        struct netpolicy_status status;
        struct seen seen = { 0 };

        netpolicy_fake_set(fixture->netpolicy, false);
        assert_false(netpolicy_is_in_force(fixture->netpolicy));
        netpolicy_status(fixture->netpolicy, &status);
        assert_int_equal(status.alarms, 1);
        assert_int_equal(netpolicy_plug(fixture->netpolicy, 2, "0123456789ab", false, on_done, &seen, NULL), 0);
        turn(fixture, &seen, 1);
        assert_int_equal(seen.kind, FAULT_POLICY_NOT_IN_FORCE);
        netpolicy_fake_set(fixture->netpolicy, true);
        assert_true(netpolicy_is_in_force(fixture->netpolicy));
}

static void cancelled_calls_never_return(void **state)
{
        struct fixture *fixture = *state;
        struct netpolicy_call *call = NULL;
        struct seen cancelled = { 0 };
        struct seen seen = { 0 };

        assert_int_equal(netpolicy_confirm(fixture->netpolicy, on_done, &cancelled, &call), 0);
        call = netpolicy_cancel(call);
        assert_null(call);
        assert_null(netpolicy_cancel(NULL));
        assert_int_equal(netpolicy_confirm(fixture->netpolicy, on_done, &seen, NULL), 0);
        turn(fixture, &seen, 1);
        assert_int_equal(cancelled.calls, 0);
}

static void done_may_free_everything(void **state)
{
        struct fixture *fixture = *state;
        struct seen seen = { .to_free = &fixture->netpolicy };
        struct seen dropped = { 0 };

        assert_int_equal(netpolicy_confirm(fixture->netpolicy, on_done, &seen, NULL), 0);
        assert_int_equal(netpolicy_confirm(fixture->netpolicy, on_done, &dropped, NULL), 0);
        turn(fixture, &seen, 1);
        assert_null(fixture->netpolicy);
        ev_run(fixture->loop, EVRUN_NOWAIT);
        assert_int_equal(dropped.calls, 0);
}

static void bad_arguments_are_refused(void **state)
{
        struct fixture *fixture = *state;
        struct netpolicy_options bad = { "/x", "default", "10.213.0.0/16", "nonsense", "", "", 1.0 };
        struct seen seen = { 0 };

        assert_int_equal(netpolicy_plug(fixture->netpolicy, 1, "0123456789ab", false, on_done, &seen, NULL), -EINVAL);
        assert_int_equal(netpolicy_plug(fixture->netpolicy, 2, "", false, on_done, &seen, NULL), -EINVAL);
        assert_int_equal(netpolicy_plug(fixture->netpolicy, 2, "a/b/c/d/e/f/g", false, on_done, &seen, NULL), -EINVAL);
        assert_int_equal(netpolicy_open(fixture->netpolicy, 1, "carrel1", on_done, &seen, NULL), -EINVAL);
        assert_int_equal(netpolicy_open(fixture->netpolicy, 2, "", on_done, &seen, NULL), -EINVAL);
        assert_int_equal(netpolicy_open(fixture->netpolicy, 2, "carrel1234567890", on_done, &seen, NULL), -EINVAL);
        assert_int_equal(netpolicy_apply(fixture->netpolicy, &bad, on_done, &seen, NULL), -EINVAL);
        ev_run(fixture->loop, EVRUN_NOWAIT);
        assert_int_equal(seen.calls, 0);
}

static const struct netpolicy_options OPTIONS = { "/nonexistent", "default", "10.213.0.0/16", "", "", "", 1.0 };

static void a_missing_helper_is_an_error(void **state)
{
        struct fixture *fixture = *state;
        struct netpolicy *netpolicy = NULL;
        struct fault why = { 0 };

        assert_int_equal(netpolicy_new(&netpolicy, fixture->loop, &OPTIONS, NULL, NULL, &why), -ENOENT);
        assert_null(netpolicy);
        assert_non_null(strstr(why.message, "/nonexistent"));
}

/* Programs that exit at once: nothing hangs, and nothing counts as in force. */
static void other_programs_are_no_helper(void **state)
{
        static const char *const PROGRAMS[] = { "/bin/true", "/bin/false" };
        struct fixture *fixture = *state;

        for (size_t i = 0; i < sizeof PROGRAMS / sizeof *PROGRAMS; i++) {
                struct netpolicy_options options = OPTIONS;
                struct netpolicy *netpolicy = NULL;
                struct seen seen = { 0 };

                options.helper_path = PROGRAMS[i];
                assert_int_equal(netpolicy_new(&netpolicy, fixture->loop, &options, NULL, NULL, NULL), 0);
                assert_int_equal(netpolicy_confirm(netpolicy, on_done, &seen, NULL), 0);
                turn(fixture, &seen, 1);
                assert_int_equal(seen.kind, FAULT_POLICY_NOT_IN_FORCE);
                assert_false(netpolicy_is_in_force(netpolicy));
                netpolicy = netpolicy_free(netpolicy);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_fake_is_in_force, make, release),
                cmocka_unit_test_setup_teardown(a_fake_plugs_different_links, make, release),
                cmocka_unit_test_setup_teardown(a_fake_opens_links, make, release),
                cmocka_unit_test_setup_teardown(the_powerless_one_connects_nothing, make, release),
                cmocka_unit_test_setup_teardown(a_fake_can_be_out_of_force, make, release),
                cmocka_unit_test_setup_teardown(cancelled_calls_never_return, make, release),
                cmocka_unit_test_setup_teardown(done_may_free_everything, make, release),
                cmocka_unit_test_setup_teardown(bad_arguments_are_refused, make, release),
                cmocka_unit_test_setup_teardown(a_missing_helper_is_an_error, make, release),
                cmocka_unit_test_setup_teardown(other_programs_are_no_helper, make, release),
        };

        return cmocka_run_group_tests_name("netpolicy: client", tests, NULL, NULL);
}
