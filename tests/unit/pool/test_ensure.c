/* The main road on the fake engine: who gets what, and how often the engine is asked. */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_create_reuse_retire(void **state)
{
        struct rig rig;
        struct answer first;
        struct answer second;
        struct answer retired;
        unsigned creates;
        unsigned inspects;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_must_ensure(&rig, "alice", &first);
        assert_int_equal(first.outcome, OUTCOME_CREATED);
        assert_int_equal(first.generation, 1);
        assert_string_equal(first.container_id, rig_container(&rig, "alice")->id);
        creates = fake_calls(rig.engine, FAKE_CREATE);
        inspects = fake_calls(rig.engine, FAKE_INSPECT);

        rig_ensure(&rig, "alice", &second);
        assert_int_equal(second.count, 1); /* from memory, inside the call */
        assert_int_equal(second.outcome, OUTCOME_REUSED);
        assert_string_equal(second.container_id, first.container_id);
        assert_int_equal(fake_calls(rig.engine, FAKE_CREATE), creates);
        assert_int_equal(fake_calls(rig.engine, FAKE_INSPECT), inspects);

        rig_retire(&rig, "alice", &retired);
        rig_run(&rig);
        assert_true(retired.is_success);
        assert_int_equal(rig_state(&rig, "alice"), CARREL_STATES);
        assert_int_equal(fake_containers(rig.engine), 0);
        assert_int_equal(rig.events[POOL_CREATED], 1);
        assert_int_equal(rig.events[POOL_REUSED], 1);
        assert_int_equal(rig.events[POOL_RETIRED], 1);

        rig_must_ensure(&rig, "alice", &first);
        assert_int_equal(first.outcome, OUTCOME_CREATED);
        assert_int_equal(first.generation, 2); /* his generations go on rising */
        rig_close(&rig);
}

static const struct carrel_spec SMALL = { .memory_bytes = 67108864 };

static void test_ten_thousand_waiters_of_one_user(void **state)
{
        enum { N = 10000 };
        struct rig rig;
        struct answer *answers = calloc(N, sizeof *answers);
        struct pool_stats stats;

        rig_need_root();
        assert_non_null(answers);
        rig_open(&rig, NULL);
        for (size_t i = 0; i < N; i++)
                rig_ensure(&rig, "alice", &answers[i]);
        pool_stats(rig.pool, &stats);
        assert_int_equal(stats.waiters, N);
        for (size_t i = 1; i < N; i += 2) /* half of them leave */
                rig_leave(&answers[i]);
        rig_run(&rig);
        for (size_t i = 0; i < N; i++) {
                assert_int_equal(answers[i].count, i % 2 == 0);
                if (i % 2 == 0)
                        assert_string_equal(answers[i].container_id, answers[0].container_id);
        }
        assert_int_equal(fake_calls(rig.engine, FAKE_CREATE), 1);
        assert_int_equal(fake_containers(rig.engine), 1);
        pool_stats(rig.pool, &stats);
        assert_int_equal(stats.waiters, 0);
        rig_close(&rig);
        free(answers);
}

/* The start was asked for; that whoever asked has gone is no reason to undo it. */
static void test_all_waiters_leave_a_running_start(void **state)
{
        struct rig rig;
        struct answer answer;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_ensure(&rig, "alice", &answer);
        rig_leave(&answer);
        rig_run(&rig);
        assert_int_equal(answer.count, 0);
        assert_int_equal(rig_state(&rig, "alice"), CARREL_READY);
        rig_close(&rig);
}

static void watch_cap(struct rig *rig, const char *flow, const char *step)
{
        struct pool_stats stats;

        pool_stats(rig->pool, &stats);
        assert_true(stats.starts_in_flight <= rig->options.max_concurrent_starts);
        if (stats.starts_in_flight > *(unsigned *)rig->on_step_arg)
                *(unsigned *)rig->on_step_arg = stats.starts_in_flight;
}

static void test_two_hundred_users_under_a_cap(void **state)
{
        enum { N = 200 };
        struct rig rig;
        struct answer answers[N];
        struct pool_stats stats;
        unsigned most = 0;

        rig_need_root();
        rig_open(&rig, NULL);
        rig.on_step = watch_cap;
        rig.on_step_arg = &most;
        for (size_t i = 0; i < N; i++) {
                char user[16];

                (void)snprintf(user, sizeof user, "u%zu", i);
                rig_ensure(&rig, user, &answers[i]);
        }
        rig_run(&rig);
        for (size_t i = 0; i < N; i++)
                assert_true(answers[i].is_success);
        assert_int_equal(most, rig.options.max_concurrent_starts); /* it was needed, and it held */
        assert_int_equal(fake_containers(rig.engine), N);
        pool_stats(rig.pool, &stats);
        assert_int_equal(stats.by_state[CARREL_READY], N);
        assert_int_equal(stats.starts_in_flight, 0);
        rig_close(&rig);
}

static void test_limits(void **state)
{
        struct pool_options options = rig_options();
        struct rig rig;
        struct answer a;
        struct answer b;
        struct answer c;
        struct answer d;

        rig_need_root();
        options.max_concurrent_starts = 1;
        options.max_queued_starts = 1;
        options.max_carrels = 3;
        rig_open(&rig, &options);
        rig_ensure(&rig, "a", &a);
        rig_ensure(&rig, "b", &b);
        assert_int_equal(rig_state(&rig, "b"), CARREL_QUEUED);
        rig_ensure(&rig, "c", &c);
        assert_int_equal(c.why.kind, FAULT_QUEUE_FULL);
        assert_true(c.why.retry_after_s > 0);
        assert_int_equal(rig_state(&rig, "c"), CARREL_STATES);
        rig_leave(&b); /* the only one who wanted it: his place is free again */
        assert_int_equal(rig_state(&rig, "b"), CARREL_STATES);
        rig_ensure(&rig, "c", &c);
        assert_int_equal(c.count, 0);
        rig_run(&rig);
        assert_true(a.is_success && c.is_success);
        rig_must_ensure(&rig, "b", &b);
        rig_ensure(&rig, "d", &d);
        assert_int_equal(d.why.kind, FAULT_POOL_FULL);
        assert_true(d.why.retry_after_s > 0);
        rig_ensure(&rig, "a", &a); /* a full pool still gives out what it has */
        assert_int_equal(a.outcome, OUTCOME_REUSED);
        fake_kill(rig.engine, "carrel-a", false); /* the lost do not count */
        rig_run(&rig);
        rig_must_ensure(&rig, "d", &d);
        rig_close(&rig);
}

static void test_conflict(void **state)
{
        struct rig rig;
        struct answer first;
        struct answer second;
        struct answer third;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_must_ensure(&rig, "alice", &first);
        rig_ensure_spec(&rig, "alice", &SMALL, CONFLICT_FAIL, &second);
        assert_int_equal(second.why.kind, FAULT_SPEC_CONFLICT);
        assert_string_equal(rig_container(&rig, "alice")->id, first.container_id);
        rig_ensure_spec(&rig, "alice", &SMALL, CONFLICT_REPLACE, &second);
        rig_ensure(&rig, "alice", &third); /* says nothing: what is being made suits it */
        rig_run(&rig);
        assert_int_equal(second.outcome, OUTCOME_REPLACED);
        assert_int_equal(third.outcome, OUTCOME_REPLACED);
        assert_string_not_equal(second.container_id, first.container_id);
        assert_true(second.generation > first.generation);
        assert_int_equal(fake_containers(rig.engine), 1);
        rig_ensure_spec(&rig, "alice", &SMALL, CONFLICT_FAIL, &third);
        assert_int_equal(third.outcome, OUTCOME_REUSED);
        rig_close(&rig);
}

/* Two specs of one user at once: each gets what it asked for, one after the other. */
static void test_another_spec_while_starting(void **state)
{
        struct rig rig;
        struct answer plain;
        struct answer small;
        struct answer strict;
        const struct carrel_spec tiny = { .memory_bytes = 33554432 };

        rig_need_root();
        rig_open(&rig, NULL);
        rig_ensure(&rig, "alice", &plain);
        rig_ensure_spec(&rig, "alice", &SMALL, CONFLICT_REPLACE, &small);
        rig_ensure_spec(&rig, "alice", &tiny, CONFLICT_FAIL, &strict);
        rig_run(&rig);
        assert_int_equal(plain.outcome, OUTCOME_CREATED);
        assert_int_equal(small.outcome, OUTCOME_REPLACED);
        assert_string_not_equal(plain.container_id, small.container_id);
        assert_int_equal(strict.why.kind, FAULT_SPEC_CONFLICT);
        assert_int_equal(fake_containers(rig.engine), 1);
        rig_close(&rig);
}

static void test_refusals(void **state)
{
        const struct carrel_spec huge = { .memory_bytes = UINT64_C(1) << 40 };
        const struct carrel_spec odd = { .image = "a b" };
        const struct carrel_spec missing = { .image = FAKE_MISSING_IMAGE ":latest" };
        struct rig rig;
        struct answer answer;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_ensure(&rig, "../alice", &answer);
        assert_int_equal(answer.why.kind, FAULT_USER_ID_INVALID);
        rig_ensure_spec(&rig, "alice", &huge, CONFLICT_REPLACE, &answer);
        assert_int_equal(answer.why.kind, FAULT_REQUEST_INVALID);
        rig_ensure_spec(&rig, "alice", &odd, CONFLICT_REPLACE, &answer);
        assert_int_equal(answer.why.kind, FAULT_REQUEST_INVALID);
        rig_ensure_spec(&rig, "alice", &missing, CONFLICT_REPLACE, &answer);
        rig_run(&rig);
        assert_int_equal(answer.why.kind, FAULT_IMAGE_MISSING);
        assert_int_equal(rig_state(&rig, "alice"), CARREL_STATES);
        rig_retire(&rig, "alice", &answer);
        assert_int_equal(answer.why.kind, FAULT_NOT_FOUND);
        rig_must_ensure(&rig, "alice", &answer);
        rig_close(&rig);
}

static void test_name_taken(void **state)
{
        struct rig rig;
        struct answer answer;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_plant(&rig, "carrel-alice", "carrel", RIG_POOL, "alice", CONTAINER_DEAD);
        rig_must_ensure(&rig, "alice", &answer); /* ours: removed and created again */
        assert_int_equal(answer.outcome, OUTCOME_REPLACED);
        rig_plant(&rig, "carrel-bob", NULL, NULL, NULL, CONTAINER_RUNNING);
        rig_plant(&rig, "carrel-carol", "carrel", "another", "carol", CONTAINER_RUNNING);
        rig_plant(&rig, "carrel-dave", "carrel", RIG_POOL, "mallory", CONTAINER_RUNNING);
        for (size_t i = 0; i < 3; i++) {
                static const char *const USERS[] = { "bob", "carol", "dave" };
                const struct container_info *decoy = rig_container(&rig, USERS[i]);

                rig_ensure(&rig, USERS[i], &answer);
                rig_run(&rig);
                assert_int_equal(answer.why.kind, FAULT_NAME_TAKEN);
                assert_ptr_equal(rig_container(&rig, USERS[i]), decoy); /* untouched */
                assert_int_equal(decoy->status, CONTAINER_RUNNING);
        }
        rig_close(&rig);
}

static void test_lost_by_event(void **state)
{
        struct rig rig;
        struct answer first;
        struct answer second;

        rig_need_root();
        rig_open(&rig, NULL);
        for (int is_removed = 0; is_removed < 2; is_removed++) {
                rig_must_ensure(&rig, "alice", &first);
                if (is_removed)
                        fake_vanish(rig.engine, "carrel-alice", false);
                else
                        fake_kill(rig.engine, "carrel-alice", false);
                rig_run(&rig);
                assert_int_equal(rig_state(&rig, "alice"), CARREL_LOST);
                rig_must_ensure(&rig, "alice", &second); /* in one try */
                assert_int_equal(second.outcome, OUTCOME_REPLACED);
                assert_string_not_equal(first.container_id, second.container_id);
        }
        assert_int_equal(rig.events[POOL_LOST], 2);
        rig_close(&rig);
}

/* ---- fail closed ---- */

static void test_policy_not_in_force(void **state)
{
        struct rig rig;
        struct answer answer;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_must_ensure(&rig, "alice", &answer);
        netpolicy_fake_set(rig.netpolicy, false);
        rig_ensure(&rig, "alice", &answer);
        assert_int_equal(answer.why.kind, FAULT_POLICY_NOT_IN_FORCE);
        assert_int_equal(answer.why.retry_after_s, 1);
        rig_ensure(&rig, "bob", &answer);
        assert_int_equal(answer.why.kind, FAULT_POLICY_NOT_IN_FORCE);
        assert_int_equal(rig_user_containers(&rig, "bob"), 0);
        netpolicy_fake_set(rig.netpolicy, true);
        rig_ensure(&rig, "alice", &answer);
        assert_int_equal(answer.outcome, OUTCOME_REUSED);
        rig_close(&rig);
}

static void test_engine_away(void **state)
{
        struct rig rig;
        struct answer answer;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_must_ensure(&rig, "alice", &answer);
        fake_set_available(rig.engine, false);
        rig_run(&rig);
        rig_ensure(&rig, "alice", &answer); /* from memory */
        assert_int_equal(answer.outcome, OUTCOME_REUSED);
        rig_ensure(&rig, "bob", &answer);
        assert_int_equal(answer.why.kind, FAULT_ENGINE_UNAVAILABLE);
        assert_int_equal(answer.why.retry_after_s, 1);
        assert_int_equal(rig.events[POOL_ENGINE_LOST], 1);
        fake_set_available(rig.engine, true);
        rig_run(&rig);
        assert_int_equal(rig.events[POOL_ENGINE_BACK], 2);
        rig_must_ensure(&rig, "bob", &answer);
        rig_close(&rig);
}

static void test_before_reconciliation(void **state)
{
        struct rig rig;
        struct answer answer;
        struct fault why;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_restart(&rig);
        rig_ensure(&rig, "alice", &answer);
        assert_int_equal(answer.why.kind, FAULT_ENGINE_UNAVAILABLE);
        assert_int_equal(answer.why.retry_after_s, 1);
        (void)fault_set(&why, FAULT_ENGINE_UNAVAILABLE, ECONNREFUSED, "cannot list containers: the daemon sleeps");
        pool_set_waiting(rig.pool, &why);
        rig_ensure(&rig, "alice", &answer);
        assert_int_equal(answer.why.kind, FAULT_ENGINE_UNAVAILABLE);
        assert_string_equal(answer.why.message, why.message);
        pool_set_reconciled(rig.pool);
        rig_must_ensure(&rig, "alice", &answer);
        rig_close(&rig);
}

static void test_waiters_deadline(void **state)
{
        struct pool_options options = rig_options();
        struct rig rig;
        struct answer hasty;
        struct answer patient;

        rig_need_root();
        options.ensure_timeout_s = 5;
        rig_open(&rig, &options);
        fake_set_latency(rig.engine, 2.0); /* create, start, inspect: 6 s */
        rig_ensure(&rig, "alice", &hasty);
        rig_run_for(&rig, 4.0);
        rig_ensure(&rig, "alice", &patient);
        rig_run(&rig);
        assert_int_equal(hasty.why.kind, FAULT_DEADLINE);
        assert_true(patient.is_success); /* the flow went on for the others */
        assert_int_equal(fake_calls(rig.engine, FAKE_CREATE), 1);
        rig_close(&rig);
}

/* ---- retiring ---- */

static void test_ensure_while_retiring(void **state)
{
        struct rig rig;
        struct answer first;
        struct answer retired;
        struct answer second;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_must_ensure(&rig, "alice", &first);
        rig_retire(&rig, "alice", &retired);
        rig_ensure(&rig, "alice", &second);
        assert_int_equal(rig_state(&rig, "alice"), CARREL_RETIRING);
        rig_run(&rig);
        assert_true(retired.is_success);
        assert_int_equal(second.outcome, OUTCOME_CREATED);
        assert_string_not_equal(first.container_id, second.container_id);
        rig_close(&rig);
}

static void test_retire_queued(void **state)
{
        struct pool_options options = rig_options();
        struct rig rig;
        struct answer busy;
        struct answer queued;
        struct answer retired;

        rig_need_root();
        options.max_concurrent_starts = 1;
        rig_open(&rig, &options);
        rig_ensure(&rig, "bob", &busy);
        rig_ensure(&rig, "alice", &queued);
        rig_retire(&rig, "alice", &retired);
        assert_true(retired.is_success);
        assert_int_equal(queued.why.kind, FAULT_CANCELLED);
        rig_run(&rig);
        assert_true(busy.is_success);
        assert_int_equal(rig_user_containers(&rig, "alice"), 0);
        rig_close(&rig);
}

/* A live carrel that queues to be replaced is what it was when nobody wants the other one any more. */
static void test_queued_replacement_is_left(void **state)
{
        struct pool_options options = rig_options();
        struct rig rig;
        struct answer first;
        struct answer busy;
        struct answer other;

        rig_need_root();
        options.max_concurrent_starts = 1;
        rig_open(&rig, &options);
        rig_must_ensure(&rig, "alice", &first);
        rig_ensure(&rig, "bob", &busy);
        rig_ensure_spec(&rig, "alice", &SMALL, CONFLICT_REPLACE, &other);
        assert_int_equal(rig_state(&rig, "alice"), CARREL_QUEUED);
        rig_leave(&other);
        assert_int_equal(rig_state(&rig, "alice"), CARREL_READY);
        rig_ensure_spec(&rig, "alice", &SMALL, CONFLICT_REPLACE, &other);
        fake_kill(rig.engine, "carrel-alice", false); /* it dies in the queue */
        rig_run_for(&rig, 0.0);
        rig_leave(&other);
        rig_run(&rig);
        rig_must_ensure(&rig, "alice", &other);
        assert_int_equal(other.outcome, OUTCOME_REPLACED);
        rig_close(&rig);
}

static void test_pool_ends_with_waiters(void **state)
{
        struct rig rig;
        struct answer ready;
        struct answer starting;
        struct answer retiring;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_must_ensure(&rig, "alice", &ready);
        rig_must_ensure(&rig, "bob", &ready);
        rig_ensure(&rig, "carol", &starting);
        rig_retire(&rig, "bob", &retiring);
        rig_run_for(&rig, 0.0);
        rig.pool = pool_free(rig.pool);
        assert_int_equal(starting.count, 1);
        assert_int_equal(starting.why.kind, FAULT_CANCELLED);
        assert_int_equal(retiring.count, 1);
        assert_non_null(rig_container(&rig, "alice")); /* containers stay as they are */
        rig_close(&rig);
}

/* ---- looking ---- */

struct listing {
        char users[512];
};

static bool list_user(void *arg, const struct carrel_view *view)
{
        struct listing *listing = arg;
        size_t length = strlen(listing->users);

        (void)snprintf(listing->users + length, sizeof listing->users - length, "%s ", view->user);
        return strcmp(view->user, "stop") != 0;
}

static void test_each_is_ordered(void **state)
{
        static const char *const USERS[] = { "m", "a", "Z", "b.1", "stop", "x" };
        static const struct {
                const char *after;
                size_t limit;
                const char *users;
        } CASES[] = {
                { "", 100, "Z a b.1 m stop " },
                { "", 2, "Z a " },
                { "a", 2, "b.1 m " },
                { "c", 1, "m " },
                { "stop", 9, "x " },
                { "y", 9, "" },
                { "", 0, "" },
        };
        struct rig rig;
        struct answer answers[6];

        rig_need_root();
        rig_open(&rig, NULL);
        for (size_t i = 0; i < 6; i++)
                rig_ensure(&rig, USERS[i], &answers[i]);
        rig_run(&rig);
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct listing listing = { 0 };

                pool_each(rig.pool, CASES[i].after, CASES[i].limit, list_user, &listing);
                assert_string_equal(listing.users, CASES[i].users);
        }
        rig_close(&rig);
}

static void check_lease(void *arg, const struct carrel_view *view)
{
        assert_int_equal(view->idle_ms, 0);
        assert_int_equal(view->lease_left_ms, *(int64_t *)arg);
}

static void test_touch_and_lease(void **state)
{
        struct rig rig;
        struct answer answer;
        struct fault why;
        int64_t left_ms = 86400000;

        rig_need_root();
        rig_open(&rig, NULL);
        assert_int_equal(pool_touch(rig.pool, "alice", 0, &why), -ENOENT);
        rig_must_ensure(&rig, "alice", &answer);
        assert_int_equal(pool_touch(rig.pool, "alice", 1000000, &why), 0);
        assert_true(pool_inspect(rig.pool, "alice", check_lease, &left_ms));
        left_ms = 10000;
        assert_int_equal(pool_touch(rig.pool, "alice", 10, &why), 0); /* a shorter one replaces it */
        assert_true(pool_inspect(rig.pool, "alice", check_lease, &left_ms));
        rig_close(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_create_reuse_retire),
                cmocka_unit_test(test_ten_thousand_waiters_of_one_user),
                cmocka_unit_test(test_all_waiters_leave_a_running_start),
                cmocka_unit_test(test_two_hundred_users_under_a_cap),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_conflict),
                cmocka_unit_test(test_another_spec_while_starting),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_name_taken),
                cmocka_unit_test(test_lost_by_event),
                cmocka_unit_test(test_policy_not_in_force),
                cmocka_unit_test(test_engine_away),
                cmocka_unit_test(test_before_reconciliation),
                cmocka_unit_test(test_waiters_deadline),
                cmocka_unit_test(test_ensure_while_retiring),
                cmocka_unit_test(test_retire_queued),
                cmocka_unit_test(test_queued_replacement_is_left),
                cmocka_unit_test(test_pool_ends_with_waiters),
                cmocka_unit_test(test_each_is_ordered),
                cmocka_unit_test(test_touch_and_lease),
        };

        return cmocka_run_group_tests_name("pool_ensure", tests, NULL, NULL);
}
