/* The client of carrel-mountd: the fake, and a helper that does not report. integration-attach tests the helper. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <ev.h>

#include "attach.h"

struct world {
        struct ev_loop *loop;
        struct attach *attach;
};

struct seen {
        unsigned n;
        struct fault why;
        struct attach **to_free;
};

static void on_done(void *arg, const struct fault *why)
{
        struct seen *seen = arg;

        seen->n++;
        seen->why = why != NULL ? *why : (struct fault){ 0 };
        if (seen->to_free != NULL)
                *seen->to_free = attach_free(*seen->to_free);
}

static int set_up(void **state)
{
        static struct world world;

        world = (struct world){ .loop = ev_loop_new(EVFLAG_AUTO) };
        *state = &world;
        return 0;
}

static int tear_down(void **state)
{
        struct world *world = *state;

        world->attach = attach_free(world->attach);
        ev_loop_destroy(world->loop);
        return 0;
}

static const struct attach_request REQUEST = { 0, 0, 1000, 1000, 101000, 101000 };

static struct attach_call *start(struct world *world, struct seen *seen)
{
        struct attach_call *call = NULL;

        assert_int_equal(attach_start(world->attach, &REQUEST, on_done, seen, &call), 0);
        assert_int_equal(seen->n, 0); /* never from inside the call */
        return call;
}

static void await(struct world *world, struct seen *seen)
{
        while (seen->n == 0)
                (void)ev_run(world->loop, EVRUN_ONCE);
}

static void the_fake_answers_from_the_loop(void **state)
{
        static const struct {
                enum attach_fake behaviour;
                enum fault_kind kind;
                bool is_available;
        } ROWS[] = {
                { ATTACH_FAKE_WORKS, FAULT_NONE, true },
                { ATTACH_FAKE_FAILS, FAULT_INTERNAL, true },
                { ATTACH_FAKE_IS_DOWN, FAULT_RESOURCE_EXHAUSTED, false },
                { ATTACH_FAKE_WORKS, FAULT_NONE, true },
        };
        struct world *world = *state;

        assert_int_equal(attach_new_fake(&world->attach, world->loop), 0);
        assert_true(attach_is_available(world->attach));
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                struct seen seen = { 0 };

                attach_fake_set(world->attach, ROWS[i].behaviour);
                (void)start(world, &seen);
                await(world, &seen);
                assert_int_equal(seen.why.kind, ROWS[i].kind);
                assert_int_equal(attach_is_available(world->attach), ROWS[i].is_available);
                assert_int_equal(attach_can_map(world->attach), ROWS[i].is_available);
                assert_int_equal(strlen(attach_obstacle(world->attach)) == 0, ROWS[i].is_available);
        }
}

static void a_call_that_hangs_can_be_cancelled(void **state)
{
        struct world *world = *state;
        struct seen hanging = { 0 };
        struct seen answered = { 0 };
        struct attach_call *call;

        assert_int_equal(attach_new_fake(&world->attach, world->loop), 0);
        attach_fake_set(world->attach, ATTACH_FAKE_HANGS);
        call = start(world, &hanging);
        attach_fake_set(world->attach, ATTACH_FAKE_WORKS);
        (void)start(world, &answered);
        await(world, &answered);
        assert_null(attach_cancel(call));
        assert_null(attach_cancel(NULL));
        (void)ev_run(world->loop, EVRUN_NOWAIT);
        assert_int_equal(hanging.n, 0);
}

static void done_may_free_it(void **state)
{
        struct world *world = *state;
        struct seen seen = { .to_free = &world->attach };
        struct seen dropped = { 0 };

        assert_int_equal(attach_new_fake(&world->attach, world->loop), 0);
        (void)start(world, &seen);
        (void)start(world, &dropped);
        await(world, &seen);
        (void)ev_run(world->loop, EVRUN_NOWAIT);
        assert_int_equal(dropped.n, 0);
}

/* Another program ends at once: the call ends with a fault, and it never becomes available. */
static void a_helper_that_ends_is_not_available(void **state)
{
        struct world *world = *state;
        struct attach *none = NULL;
        struct seen seen = { 0 };
        struct fault why = { 0 };

        assert_true(attach_new(&none, world->loop, "/nonexistent", &why) < 0);
        assert_null(none);
        assert_non_null(strstr(why.message, "/nonexistent"));
        assert_int_equal(attach_new(&world->attach, world->loop, "/bin/false", &why), 0);
        assert_false(attach_is_available(world->attach));
        (void)start(world, &seen);
        await(world, &seen);
        assert_int_equal(seen.why.kind, FAULT_RESOURCE_EXHAUSTED);
        assert_false(attach_is_available(world->attach));
        assert_true(strlen(attach_obstacle(world->attach)) > 0);
}

static void requests_are_checked(void **state)
{
        static const struct attach_request ROWS[] = {
                { -1, 0, 1000, 1000, 1000, 1000 },      { 0, -1, 1000, 1000, 1000, 1000 },
                { 0, 0, 0, 1000, 1000, 1000 },          { 0, 0, 1000, 0, 1000, 1000 },
                { 0, 0, 1000, 1000, 0, 1000 },          { 0, 0, 1000, 1000, 1000, 0 },
                { 0, 0, UINT32_MAX, 1000, 1000, 1000 },
        };
        struct world *world = *state;

        assert_int_equal(attach_new(&world->attach, world->loop, "/bin/false", NULL), 0);
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
                assert_int_equal(attach_start(world->attach, &ROWS[i], on_done, NULL, NULL), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(the_fake_answers_from_the_loop, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_call_that_hangs_can_be_cancelled, set_up, tear_down),
                cmocka_unit_test_setup_teardown(done_may_free_it, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_helper_that_ends_is_not_available, set_up, tear_down),
                cmocka_unit_test_setup_teardown(requests_are_checked, set_up, tear_down),
        };

        return cmocka_run_group_tests_name("attach: the client", tests, NULL, NULL);
}
