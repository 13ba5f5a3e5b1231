/* Warm carrels and claims on the fake engine: who gets one, and what happens when a step fails. */
#include "rig.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attach.h"
#include "exec-inside.h"
#include "images.h"
#include "warm-targets.h"

/* ---- the setting ---- */

static void test_targets_are_parsed(void **state)
{
        struct warm_targets targets;
        struct fault why;

        (void)state;
        assert_int_equal(warm_targets_parse("", "box", 10, &targets, &why), 0);
        assert_int_equal(targets.n, 0);
        assert_int_equal(warm_targets_parse("4", "box", 10, &targets, &why), 0);
        assert_int_equal(targets.n, 1);
        assert_string_equal(targets.at[0].image, "box");
        assert_int_equal(targets.at[0].count, 4);
        assert_int_equal(warm_targets_parse("debian:12:3, host:5000/node:2 ,none:0", "box", 10, &targets, &why), 0);
        assert_int_equal(targets.n, 2);
        assert_string_equal(targets.at[0].image, "debian:12");
        assert_int_equal(targets.at[0].count, 3);
        assert_string_equal(targets.at[1].image, "host:5000/node");
        assert_int_equal(targets.total, 5);
}

static void test_wrong_targets_are_refused(void **state)
{
        static const struct {
                const char *text, *sentence;
        } CASES[] = {
                { "x", "a number" },
                { "-1", "a number" },
                { "4 4", "a number" },
                { "box:", "a number" },
                { "debian:latest", "a number" },
                { ":4", "empty" },
                { "box:1,box:2", "twice" },
                { "the box:2", "an image is named" },
                { "../box:2", "an image is named" },
                { "box:1,", "a number" },
                { "11", "max_carrels (10)" },
                { "a:6,b:5", "max_carrels (10)" },
                { "99999999999", "a number" },
                { "a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1,i:1,j:1,k:1,l:1,m:1,n:1,o:1,p:1,q:1", "at most 16" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct warm_targets targets = { .n = 99 };
                struct fault why = { 0 };

                if (warm_targets_parse(CASES[i].text, "box", 10, &targets, &why) >= 0)
                        fail_msg("\"%s\" was accepted", CASES[i].text);
                if (strstr(why.message, CASES[i].sentence) == NULL)
                        fail_msg("\"%s\": %s", CASES[i].text, why.message);
                assert_int_equal(targets.n, 99);
        }
}

/* ---- claims ---- */

struct warm_rig {
        struct rig rig;
        struct attach *attach;
};

static void open_warm_with(struct warm_rig *warm, const char *targets, struct pool_options *options)
{
        rig_need_root();
        options->warm = targets;
        options->warm_max_age_s = 3600;
        rig_open(&warm->rig, options);
        assert_int_equal(attach_new_fake(&warm->attach, warm->rig.loop), 0);
        pool_use_attach(warm->rig.pool, warm->attach);
        rig_run_for(&warm->rig, 2);
}

static void open_warm(struct warm_rig *warm, const char *targets)
{
        struct pool_options options = rig_options();

        open_warm_with(warm, targets, &options);
}

static void close_warm(struct warm_rig *warm)
{
        rig_close(&warm->rig);
        attach_free(warm->attach);
}

static unsigned count(const struct warm_rig *warm, enum carrel_state state)
{
        struct pool_stats stats;

        pool_stats(warm->rig.pool, &stats);
        return stats.by_state[state];
}

/* Expects the numbers that /v1/info shows, and a part of the reason; "": no reason. */
static void expect_warm(const struct warm_rig *warm, unsigned ready, unsigned wanted, const char *part)
{
        struct pool_stats stats;

        pool_stats(warm->rig.pool, &stats);
        assert_int_equal(stats.warm.ready, ready);
        assert_int_equal(stats.warm.wanted, wanted);
        if (part[0] == '\0' ? stats.warm.detail[0] != '\0' : strstr(stats.warm.detail, part) == NULL)
                fail_msg("\"%s\", not \"%s\"", stats.warm.detail, part);
}

static void set_warm(struct warm_rig *warm, const char *targets)
{
        struct pool_options options = warm->rig.options;
        struct fault why;

        options.warm = targets;
        assert_int_equal(pool_reconfigure(warm->rig.pool, &options, &why), 0);
}

static void test_claims_of_one_turn_take_a_carrel_each(void **state)
{
        static const char *const USERS[] = { "alice", "bob", "carol" };
        enum { N = sizeof USERS / sizeof *USERS };
        struct warm_rig warm;
        struct answer answers[N];

        (void)state;
        open_warm(&warm, "3");
        assert_int_equal(count(&warm, CARREL_WARM), N);
        for (size_t i = 0; i < N; i++)
                rig_ensure(&warm.rig, USERS[i], &answers[i]);
        rig_run_for(&warm.rig, 2);
        for (size_t i = 0; i < N; i++) {
                assert_true(answers[i].is_success);
                assert_int_equal(answers[i].outcome, OUTCOME_CLAIMED);
                assert_string_equal(rig_container(&warm.rig, USERS[i])->id, answers[i].container_id);
        }
        assert_int_equal(warm.rig.events[POOL_CLAIMED], N);
        close_warm(&warm);
}

static void test_a_claim_needs_no_start(void **state)
{
        struct warm_rig warm;
        struct answer answer;
        unsigned creates;

        (void)state;
        open_warm(&warm, "2");
        assert_int_equal(count(&warm, CARREL_WARM), 2);
        creates = fake_calls(warm.rig.engine, FAKE_CREATE);
        assert_int_equal(creates, 2);
        rig_ensure(&warm.rig, "alice", &answer);
        while (answer.count == 0)
                rig_run_for(&warm.rig, 0.001);
        assert_true(answer.is_success);
        assert_int_equal(answer.outcome, OUTCOME_CLAIMED);
        assert_int_equal(fake_calls(warm.rig.engine, FAKE_CREATE), creates);
        assert_string_equal(rig_container(&warm.rig, "alice")->id, answer.container_id);
        assert_string_equal(container_label(rig_container(&warm.rig, "alice"), "io.carrel.user"), "alice");
        assert_int_equal(warm.rig.events[POOL_CLAIMED], 1);
        rig_run_for(&warm.rig, 2); /* it is replaced */
        assert_int_equal(count(&warm, CARREL_WARM), 2);
        assert_int_equal(count(&warm, CARREL_READY), 1);
        assert_int_equal(fake_containers(warm.rig.engine), 3);
        close_warm(&warm);
}

/* The others start cold, which is no failure. */
static void test_one_is_claimed_once(void **state)
{
        struct warm_rig warm;
        struct answer answers[3];
        struct pool_stats stats;

        (void)state;
        open_warm(&warm, "1");
        rig_ensure(&warm.rig, "alice", &answers[0]);
        rig_ensure(&warm.rig, "bob", &answers[1]);
        rig_ensure(&warm.rig, "carol", &answers[2]);
        rig_run_for(&warm.rig, 2);
        assert_int_equal(answers[0].outcome, OUTCOME_CLAIMED);
        for (size_t i = 1; i < 3; i++) {
                assert_true(answers[i].is_success);
                assert_int_equal(answers[i].outcome, OUTCOME_CREATED);
        }
        pool_stats(warm.rig.pool, &stats);
        assert_int_equal(stats.warm.claim_failures, 0);
        assert_int_equal(warm.rig.events[POOL_CLAIM_FAILED], 0);
        close_warm(&warm);
}

/* A claim needs no place among the starts, so it is not refused when they and their queue are full. */
static void test_a_full_queue_does_not_keep_from_a_claim(void **state)
{
        static const struct carrel_spec SMALL = { .memory_bytes = 67108864 };
        static const char *const USERS[] = { "bob", "carol", "dave" };
        struct pool_options options = rig_options();
        struct warm_rig warm;
        struct answer answers[3], alice;

        (void)state;
        options.max_concurrent_starts = 1;
        options.max_queued_starts = 1;
        open_warm_with(&warm, "1", &options);
        fake_set(warm.rig.engine, FAKE_START, FAKE_HANG, 1);
        for (size_t i = 0; i < 3; i++)
                rig_ensure_spec(&warm.rig, USERS[i], &SMALL, CONFLICT_FAIL, &answers[i]);
        assert_int_equal(answers[2].why.kind, FAULT_QUEUE_FULL);
        rig_ensure(&warm.rig, "alice", &alice);
        rig_run_for(&warm.rig, 1);
        assert_string_equal(alice.why.message, "");
        assert_true(alice.is_success);
        assert_int_equal(alice.outcome, OUTCOME_CLAIMED);
        rig_run(&warm.rig);
        close_warm(&warm);
}

struct newcomer {
        struct warm_rig warm;
        struct answer answer;
        bool has_come;
};

static void ensure_on_retirement(void *arg, const struct pool_event *event)
{
        struct newcomer *newcomer = arg;

        if (event->kind != POOL_RETIRED || newcomer->has_come)
                return;
        newcomer->has_come = true;
        rig_ensure(&newcomer->warm.rig, "alice", &newcomer->answer);
}

/* A forgotten warm carrel is no longer counted, also in the turn of the loop in which it is forgotten. */
static void test_a_forgotten_one_keeps_no_user_out(void **state)
{
        struct newcomer newcomer = { 0 };
        struct rig *rig = &newcomer.warm.rig;
        struct pool_options options;
        struct fault why;

        (void)state;
        open_warm(&newcomer.warm, "1");
        assert_int_equal(pool_listen(rig->pool, ensure_on_retirement, &newcomer), 0);
        options = rig->options;
        options.warm = "";
        assert_int_equal(pool_reconfigure(rig->pool, &options, &why), 0);
        rig_run_for(rig, 2);
        assert_true(newcomer.has_come);
        assert_string_equal(newcomer.answer.why.message, "");
        assert_true(newcomer.answer.is_success);
        close_warm(&newcomer.warm);
}

static void test_another_spec_is_not_claimed(void **state)
{
        static const struct carrel_spec SMALL = { .memory_bytes = 67108864 };
        struct warm_rig warm;
        struct answer answer;

        (void)state;
        open_warm(&warm, "1");
        rig_ensure_spec(&warm.rig, "alice", &SMALL, CONFLICT_FAIL, &answer);
        rig_run_for(&warm.rig, 2);
        assert_true(answer.is_success);
        assert_int_equal(answer.outcome, OUTCOME_CREATED);
        assert_int_equal(count(&warm, CARREL_WARM), 1);
        close_warm(&warm);
}

/* Each failure of a step destroys that carrel, and the caller gets a cold one. */
static void test_a_failed_claim_takes_the_cold_road(void **state)
{
        (void)state;
        for (int fault = 0; fault < 4; fault++) {
                struct warm_rig warm;
                struct answer answer;
                char taken[CONTAINER_ID_BYTES];

                open_warm(&warm, "1");
                if (fault == 0)
                        attach_fake_set(warm.attach, ATTACH_FAKE_FAILS);
                if (fault == 1)
                        attach_fake_set(warm.attach, ATTACH_FAKE_HANGS);
                if (fault == 2)
                        fake_set(warm.rig.engine, FAKE_CLAIM, FAKE_REFUSE, 1);
                if (fault == 3)
                        fake_set(warm.rig.engine, FAKE_CLAIM, FAKE_DO_AND_FAIL, 1);
                taken[0] = '\0';
                rig_ensure(&warm.rig, "alice", &answer);
                rig_run_for(&warm.rig, 20);
                assert_true(answer.is_success);
                assert_int_equal(answer.outcome, OUTCOME_CREATED);
                assert_int_equal(warm.rig.events[POOL_CLAIM_FAILED], 1);
                assert_int_equal(rig_user_containers(&warm.rig, "alice"), 1);
                assert_int_equal(count(&warm, CARREL_READY), 1);
                assert_string_not_equal(answer.container_id, taken);
                attach_fake_set(warm.attach, ATTACH_FAKE_WORKS);
                rig_run_for(&warm.rig, 2);
                assert_int_equal(fake_containers(warm.rig.engine), 1 + count(&warm, CARREL_WARM));
                close_warm(&warm);
        }
}

/* Where no directory can be attached, not every ensure costs a warm carrel; and claims come back. */
static void test_claims_that_fail_are_not_tried_each_time(void **state)
{
        struct warm_rig warm;
        struct answer answer;

        (void)state;
        open_warm(&warm, "1");
        attach_fake_set(warm.attach, ATTACH_FAKE_FAILS);
        for (unsigned i = 0; i < 40; i++) {
                rig_ensure(&warm.rig, "alice", &answer);
                rig_run_for(&warm.rig, 0.25);
                assert_true(answer.is_success);
                assert_int_equal(answer.outcome, OUTCOME_CREATED);
                rig_retire(&warm.rig, "alice", &answer);
                rig_run_for(&warm.rig, 0.25);
        }
        assert_in_range(warm.rig.events[POOL_CLAIM_FAILED], 2, 5);
        expect_warm(&warm, 1, 1, "claims fail, so ensures start cold: the directory cannot be attached");
        attach_fake_set(warm.attach, ATTACH_FAKE_WORKS);
        rig_run_for(&warm.rig, 61);
        for (unsigned i = 0; i < 2; i++) {
                rig_ensure(&warm.rig, i == 0 ? "alice" : "bob", &answer);
                rig_run_for(&warm.rig, 1);
                assert_int_equal(answer.outcome, OUTCOME_CLAIMED);
        }
        expect_warm(&warm, 1, 1, "");
        close_warm(&warm);
}

/* One end of the helper fails all claims that run: that is one failure. */
static void test_claims_that_fail_together_make_one_pause(void **state)
{
        static const char *const USERS[] = { "alice", "bob", "carol", "dave" };
        enum { N = sizeof USERS / sizeof *USERS };
        struct warm_rig warm;
        struct answer answers[N + 1];

        (void)state;
        open_warm(&warm, "4");
        attach_fake_set(warm.attach, ATTACH_FAKE_FAILS);
        for (size_t i = 0; i < N; i++)
                rig_ensure(&warm.rig, USERS[i], &answers[i]);
        rig_run_for(&warm.rig, 0.1);
        assert_int_equal(warm.rig.events[POOL_CLAIM_FAILED], N);
        attach_fake_set(warm.attach, ATTACH_FAKE_WORKS);
        rig_run_for(&warm.rig, 1);
        assert_true(count(&warm, CARREL_WARM) > 0);
        rig_must_ensure(&warm.rig, "eve", &answers[N]);
        assert_int_equal(answers[N].outcome, OUTCOME_CLAIMED);
        close_warm(&warm);
}

/* A caller who asks for the end of a carrel while its failed claim is unwound gets that, and not a cold start. */
static void test_a_removal_during_a_failed_claim_is_obeyed(void **state)
{
        static const struct carrel_spec SMALL = { .memory_bytes = 67108864 };
        struct warm_rig warm;
        struct answer alice, bob, removal;
        struct pool_options options = rig_options();

        (void)state;
        options.max_concurrent_starts = 1;
        open_warm_with(&warm, "1", &options);
        attach_fake_set(warm.attach, ATTACH_FAKE_FAILS);
        fake_set(warm.rig.engine, FAKE_REMOVE, FAKE_HANG, 1);
        rig_ensure(&warm.rig, "alice", &alice);
        rig_run_for(&warm.rig, 1);
        fake_set(warm.rig.engine, FAKE_START, FAKE_HANG, 1);
        rig_ensure_spec(&warm.rig, "bob", &SMALL, CONFLICT_FAIL, &bob); /* takes the only place for a cold start */
        rig_retire(&warm.rig, "alice", &removal);
        assert_int_equal(fake_release(warm.rig.engine, FAKE_REMOVE), 1);
        rig_run_for(&warm.rig, 1);
        rig_leave(&alice);
        rig_run(&warm.rig);
        assert_true(removal.is_success);
        assert_int_equal(rig_state(&warm.rig, "alice"), CARREL_STATES);
        assert_int_equal(rig_user_containers(&warm.rig, "alice"), 0);
        close_warm(&warm);
}

static void ignore_end(void *arg, const struct exec_result *result, const struct fault *why)
{
        (void)arg, (void)result, (void)why;
}

struct killed {
        bool is_answered;
        size_t n;
};

static void note_killed(void *arg, const struct pool_ensured *ensured, const struct fault *why)
{
        struct killed *killed = arg;

        if (why != NULL)
                fail_msg("%s", why->message);
        killed->is_answered = true;
        killed->n = ensured->killed != NULL ? ensured->killed->n : 0;
}

/* The programs that a replacement ended are reported, also if the claim failed after that. */
static void test_killed_programs_are_reported_after_a_failed_claim(void **state)
{
        static const char *const ARGV[] = { "sleep", NULL };
        static const struct exec_request REQUEST = { .argv = ARGV, .timeout_s = 20, .max_output_bytes = 64 };
        static const struct exec_sink SINK = { .on_done = ignore_end };
        static const struct carrel_spec SMALL = { .memory_bytes = 67108864 };
        const struct carrel_spec plain = { .memory_bytes = rig_options().defaults.memory_bytes };
        struct warm_rig warm;
        struct answer answer;
        struct killed killed = { 0 };
        struct pool_wait *wait;
        struct exec *exec;
        struct fault why;

        (void)state;
        open_warm(&warm, "1");
        rig_ensure_spec(&warm.rig, "alice", &SMALL, CONFLICT_FAIL, &answer);
        rig_run_for(&warm.rig, 2);
        fake_set(warm.rig.engine, FAKE_EXEC, FAKE_HANG, 1);
        assert_int_equal(pool_exec(warm.rig.pool, "alice", &REQUEST, &SINK, NULL, &exec, &why), 0);
        fake_set(warm.rig.engine, FAKE_REMOVE, FAKE_REFUSE, 1);
        pool_ensure(warm.rig.pool, "alice", &plain, CONFLICT_REPLACE, note_killed, &killed, &wait);
        rig_run_for(&warm.rig, 2);
        assert_true(killed.is_answered);
        assert_int_equal(warm.rig.events[POOL_CLAIM_FAILED], 1);
        assert_int_equal(killed.n, 1);
        close_warm(&warm);
}

static bool note_name(void *arg, const struct carrel_view *view)
{
        assert_true(view->is_warm);
        (void)snprintf(arg, ENGINE_NAME_BYTES, "%s", view->container);
        return true;
}

static void test_a_dead_warm_carrel_is_replaced(void **state)
{
        struct warm_rig warm;
        struct answer answer;
        char name[ENGINE_NAME_BYTES];

        (void)state;
        open_warm(&warm, "1");
        pool_each(warm.rig.pool, "", 1, note_name, name);
        fake_kill(warm.rig.engine, name, false);
        rig_run_for(&warm.rig, 12);
        assert_int_equal(count(&warm, CARREL_WARM), 1);
        assert_int_equal(count(&warm, CARREL_LOST), 0);
        assert_int_equal(fake_containers(warm.rig.engine), 1);
        rig_must_ensure(&warm.rig, "alice", &answer);
        assert_int_equal(answer.outcome, OUTCOME_CLAIMED);
        close_warm(&warm);
}

static bool kill_if_warm(void *arg, const struct carrel_view *view)
{
        struct warm_rig *warm = arg;

        if (view->state == CARREL_WARM)
                fake_kill(warm->rig.engine, view->container, false);
        return true;
}

static bool note_id(void *arg, const struct carrel_view *view)
{
        (void)snprintf(arg, CONTAINER_ID_BYTES, "%s", view->container_id);
        return false;
}

/* A claim would give its user a container that runs no program. */
static void test_one_whose_agent_has_gone_is_replaced(void **state)
{
        struct warm_rig warm;
        struct answer answer;
        char id[CONTAINER_ID_BYTES];
        struct execs *execs;

        (void)state;
        open_warm(&warm, "1");
        execs = warm.rig.execs;
        pool_each(warm.rig.pool, "", 1, note_id, id);
        execs->on_left_behind(execs->left_behind_arg, id, LEFT_AGENT_LOST);
        assert_int_equal(count(&warm, CARREL_WARM), 0);
        rig_run_for(&warm.rig, 12);
        assert_int_equal(count(&warm, CARREL_WARM), 1);
        assert_int_equal(fake_containers(warm.rig.engine), 1);
        rig_must_ensure(&warm.rig, "alice", &answer);
        assert_int_equal(answer.outcome, OUTCOME_CLAIMED);
        assert_string_not_equal(answer.container_id, id);
        close_warm(&warm);
}

/* As long as it is made, too. */
static void test_one_whose_agent_goes_during_its_start_is_no_warm_one(void **state)
{
        struct warm_rig warm;
        char id[CONTAINER_ID_BYTES] = "";
        struct execs *execs;

        (void)state;
        open_warm(&warm, "");
        execs = warm.rig.execs;
        fake_set_latency(warm.rig.engine, 0.2);
        set_warm(&warm, "1");
        while (id[0] == '\0') {
                rig_run_for(&warm.rig, 0.01);
                pool_each(warm.rig.pool, "", 1, note_id, id);
        }
        execs->on_left_behind(execs->left_behind_arg, id, LEFT_AGENT_LOST);
        rig_run_for(&warm.rig, 12);
        assert_int_equal(warm.rig.events[POOL_WARM_FAILED], 1);
        assert_int_equal(count(&warm, CARREL_WARM), 1);
        assert_int_equal(fake_containers(warm.rig.engine), 1);
        assert_int_equal(fake_calls(warm.rig.engine, FAKE_CREATE), 2);
        close_warm(&warm);
}

/* Where each one is killed soon (a machine without memory), they are not made as fast as possible. */
static void test_one_that_dies_at_once_is_not_replaced_at_once(void **state)
{
        struct warm_rig warm;

        (void)state;
        open_warm(&warm, "1");
        for (unsigned i = 0; i < 500; i++) {
                pool_each(warm.rig.pool, "", SIZE_MAX, kill_if_warm, &warm);
                rig_run_for(&warm.rig, 0.02);
        }
        assert_in_range(fake_calls(warm.rig.engine, FAKE_CREATE), 3, 12);
        close_warm(&warm);
}

/* Reported while they last, and without a try or a failure in the meantime. */
static void test_obstacles_are_reported(void **state)
{
        struct warm_rig warm;
        unsigned creates;

        (void)state;
        open_warm(&warm, "1");
        expect_warm(&warm, 1, 1, "");
        creates = fake_calls(warm.rig.engine, FAKE_CREATE);
        netpolicy_fake_set(warm.rig.netpolicy, false);
        expect_warm(&warm, 1, 1, ""); /* the one that is there can be claimed */
        set_warm(&warm, "2");
        rig_run_for(&warm.rig, 60);
        expect_warm(&warm, 1, 2, "the egress policy is not in force");
        netpolicy_fake_set(warm.rig.netpolicy, true);
        fake_set_available(warm.rig.engine, false);
        rig_run_for(&warm.rig, 60);
        expect_warm(&warm, 1, 2, "engine");
        fake_set_available(warm.rig.engine, true);
        attach_fake_set(warm.attach, ATTACH_FAKE_IS_DOWN);
        rig_run_for(&warm.rig, 1);
        assert_int_equal(warm.rig.events[POOL_WARM_FAILED], 0); /* a restart is no alarm */
        rig_run_for(&warm.rig, 60);
        expect_warm(&warm, 1, 2, "carrel-mountd is being restarted");
        assert_int_equal(warm.rig.events[POOL_WARM_FAILED], 1);
        assert_int_equal(fake_calls(warm.rig.engine, FAKE_CREATE), creates);
        attach_fake_set(warm.attach, ATTACH_FAKE_WORKS);
        rig_run_for(&warm.rig, 10);
        expect_warm(&warm, 2, 2, "");
        assert_int_equal(warm.rig.events[POOL_WARM_FILLED], 1);
        rig_run_for(&warm.rig, 60);
        assert_int_equal(warm.rig.events[POOL_WARM_FILLED], 1);
        assert_int_equal(warm.rig.events[POOL_WARM_FAILED], 1);
        attach_fake_set(warm.attach, ATTACH_FAKE_IS_DOWN); /* they are there, but cannot be claimed */
        expect_warm(&warm, 2, 2, "carrel-mountd is being restarted");
        rig_run_for(&warm.rig, 60);
        assert_int_equal(warm.rig.events[POOL_WARM_FAILED], 2);
        assert_int_equal(warm.rig.events[POOL_WARM_FILLED], 1);
        attach_fake_set(warm.attach, ATTACH_FAKE_WORKS);
        rig_run_for(&warm.rig, 10);
        assert_int_equal(warm.rig.events[POOL_WARM_FILLED], 2);
        close_warm(&warm);
}

static void test_a_failure_is_reported_until_it_is_full(void **state)
{
        struct warm_rig warm;

        (void)state;
        open_warm(&warm, "1");
        fake_set(warm.rig.engine, FAKE_CREATE, FAKE_REFUSE, 2);
        set_warm(&warm, "2");
        rig_run_for(&warm.rig, 0.5);
        assert_int_equal(warm.rig.events[POOL_WARM_FAILED], 1);
        expect_warm(&warm, 1, 2, "refuses");
        rig_run_for(&warm.rig, 30);
        expect_warm(&warm, 2, 2, "");
        assert_int_equal(warm.rig.events[POOL_WARM_FAILED], 2);
        assert_int_equal(warm.rig.events[POOL_WARM_FILLED], 1);
        close_warm(&warm);
}

/* And no other image waits for it. */
static void test_a_pool_that_cannot_fill_backs_off(void **state)
{
        struct warm_rig warm;
        struct answer answer;

        (void)state;
        open_warm(&warm, FAKE_MISSING_IMAGE ":2, " RIG_IMAGE ":1");
        assert_int_equal(warm.rig.events[POOL_WARM_IMAGE_MISSING], 2); /* at once, and after a second */
        rig_run_for(&warm.rig, 300);
        assert_in_range(warm.rig.events[POOL_WARM_IMAGE_MISSING], 4, 12);
        expect_warm(&warm, 1, 3, FAKE_MISSING_IMAGE ", which is not there");
        rig_must_ensure(&warm.rig, "bob", &answer);
        assert_int_equal(answer.outcome, OUTCOME_CLAIMED);
        rig_run_for(&warm.rig, 1);
        expect_warm(&warm, 1, 3, "correct warm");
        assert_int_equal(warm.rig.events[POOL_WARM_FILLED], 0);
        set_warm(&warm, RIG_IMAGE ":1");
        rig_run_for(&warm.rig, 1);
        expect_warm(&warm, 1, 1, "");
        assert_int_equal(warm.rig.events[POOL_WARM_FILLED], 1);
        set_warm(&warm, FAKE_MISSING_IMAGE ":2");
        rig_run_for(&warm.rig, 12);
        rig_must_ensure(&warm.rig, "alice", &answer); /* of the default image */
        assert_int_equal(answer.outcome, OUTCOME_CREATED);
        close_warm(&warm);
}

static void test_a_changed_setting_retires_the_rest(void **state)
{
        struct warm_rig warm;
        struct pool_options options;
        struct fault why;

        (void)state;
        open_warm(&warm, "3");
        assert_int_equal(count(&warm, CARREL_WARM), 3);
        options = warm.rig.options;
        options.warm = "1";
        assert_int_equal(pool_reconfigure(warm.rig.pool, &options, &why), 0);
        rig_run_for(&warm.rig, 2);
        assert_int_equal(count(&warm, CARREL_WARM), 1);
        options.defaults.memory_bytes /= 2; /* another template */
        assert_int_equal(pool_reconfigure(warm.rig.pool, &options, &why), 0);
        rig_run_for(&warm.rig, 12);
        assert_int_equal(count(&warm, CARREL_WARM), 1);
        assert_int_equal(fake_calls(warm.rig.engine, FAKE_CREATE), 4);
        options.warm = "";
        assert_int_equal(pool_reconfigure(warm.rig.pool, &options, &why), 0);
        rig_run_for(&warm.rig, 2);
        assert_int_equal(fake_containers(warm.rig.engine), 0);
        close_warm(&warm);
}

static void on_loaded(void *arg, const struct pool_image *images, size_t count, const struct fault *why)
{
        (void)images, (void)why;
        *(size_t *)arg = count;
}

static void test_a_new_image_replaces_them(void **state)
{
        struct warm_rig warm;
        struct image_work *work = NULL;
        struct fault why = { 0 };
        size_t loaded = 0;
        int fd = memfd_create("image", MFD_CLOEXEC);

        (void)state;
        assert_true(fd >= 0);
        open_warm(&warm, "1");
        if (pool_images_load(warm.rig.pool, fd, RIG_IMAGE, "auto", on_loaded, &loaded, &work, &why) < 0)
                fail_msg("%s", why.message);
        rig_run_for(&warm.rig, 12);
        assert_int_equal(loaded, 1);
        assert_int_equal(count(&warm, CARREL_WARM), 1);
        assert_int_equal(fake_calls(warm.rig.engine, FAKE_CREATE), 2);
        close(fd);
        close_warm(&warm);
}

/* Also one that was being made of the former image when the new one came. */
static void test_a_new_image_replaces_one_that_is_being_made(void **state)
{
        struct warm_rig warm;
        struct image_work *work = NULL;
        struct fault why = { 0 };
        struct answer answer;
        size_t loaded = 0;
        int fd = memfd_create("image", MFD_CLOEXEC);

        (void)state;
        assert_true(fd >= 0);
        open_warm(&warm, "");
        fake_set_latency(warm.rig.engine, 0.2);
        set_warm(&warm, "1");
        rig_run_for(&warm.rig, 0.3);
        assert_int_equal(fake_calls(warm.rig.engine, FAKE_CREATE), 1);
        assert_int_equal(count(&warm, CARREL_STARTING), 1);
        if (pool_images_load(warm.rig.pool, fd, RIG_IMAGE, "auto", on_loaded, &loaded, &work, &why) < 0)
                fail_msg("%s", why.message);
        rig_run_for(&warm.rig, 0.25);
        assert_int_equal(loaded, 1);
        assert_int_equal(count(&warm, CARREL_STARTING), 1);
        while (count(&warm, CARREL_STARTING) == 1)
                rig_run_for(&warm.rig, 0.001);
        rig_ensure(&warm.rig, "alice", &answer); /* at once: it gets nothing of the former image */
        rig_run_for(&warm.rig, 2);
        assert_true(answer.is_success);
        assert_int_equal(answer.outcome, OUTCOME_CREATED);
        rig_run_for(&warm.rig, 12);
        assert_int_equal(count(&warm, CARREL_WARM), 1);
        assert_int_equal(fake_calls(warm.rig.engine, FAKE_CREATE), 3);
        close(fd);
        close_warm(&warm);
}

/* With `dns = auto` the setting, and so the spec hash, stays the same. */
static void test_new_resolvers_replace_them(void **state)
{
        struct warm_rig warm;
        struct pool_options options = rig_options();
        struct fault why;

        (void)state;
        options.dns = "192.0.2.1";
        options.dns_setting = "auto";
        open_warm_with(&warm, "1", &options);
        options = warm.rig.options;
        assert_int_equal(pool_reconfigure(warm.rig.pool, &options, &why), 0);
        rig_run_for(&warm.rig, 2);
        assert_int_equal(fake_calls(warm.rig.engine, FAKE_CREATE), 1);
        options.dns = "192.0.2.2";
        assert_int_equal(pool_reconfigure(warm.rig.pool, &options, &why), 0);
        rig_run_for(&warm.rig, 12);
        assert_int_equal(count(&warm, CARREL_WARM), 1);
        assert_int_equal(fake_calls(warm.rig.engine, FAKE_CREATE), 2);
        close_warm(&warm);
}

static void test_an_old_one_is_replaced(void **state)
{
        struct warm_rig warm;

        (void)state;
        open_warm(&warm, "1");
        rig_run_for(&warm.rig, 3700);
        assert_int_equal(count(&warm, CARREL_WARM), 1);
        assert_int_equal(fake_calls(warm.rig.engine, FAKE_CREATE), 2);
        close_warm(&warm);
}

/* They never keep a user out. */
static void test_they_give_way_at_max_carrels(void **state)
{
        static const struct carrel_spec SMALL = { .memory_bytes = 67108864 };
        struct warm_rig warm;
        struct pool_options options = rig_options();
        struct answer answers[4];

        (void)state;
        rig_need_root();
        options.warm = "2";
        options.max_carrels = 3;
        rig_open(&warm.rig, &options);
        assert_int_equal(attach_new_fake(&warm.attach, warm.rig.loop), 0);
        pool_use_attach(warm.rig.pool, warm.attach);
        rig_run_for(&warm.rig, 2);
        assert_int_equal(count(&warm, CARREL_WARM), 2);
        for (unsigned i = 0; i < 3; i++) {
                char user[8];

                (void)snprintf(user, sizeof user, "u%u", i);
                rig_ensure_spec(&warm.rig, user, &SMALL, CONFLICT_FAIL, &answers[i]);
                rig_run_for(&warm.rig, 2);
                assert_true(answers[i].is_success);
        }
        assert_int_equal(count(&warm, CARREL_READY), 3);
        assert_int_equal(count(&warm, CARREL_WARM), 0);
        assert_int_equal(fake_containers(warm.rig.engine), 3);
        rig_ensure_spec(&warm.rig, "late", &SMALL, CONFLICT_FAIL, &answers[3]);
        assert_int_equal(answers[3].why.kind, FAULT_POOL_FULL);
        expect_warm(&warm, 0, 2, "max_carrels (3) is reached");
        assert_int_equal(warm.rig.events[POOL_WARM_FAILED], 0);
        close_warm(&warm);
}

/* A claim adds no container, so it needs no room. */
static void test_the_last_one_is_claimed_at_max_carrels(void **state)
{
        static const struct carrel_spec SMALL = { .memory_bytes = 67108864 };
        struct warm_rig warm;
        struct pool_options options = rig_options();
        struct answer answers[2];

        (void)state;
        options.max_carrels = 2;
        open_warm_with(&warm, "1", &options);
        rig_ensure_spec(&warm.rig, "alice", &SMALL, CONFLICT_FAIL, &answers[0]);
        rig_run_for(&warm.rig, 2);
        assert_int_equal(count(&warm, CARREL_WARM), 1);
        rig_ensure(&warm.rig, "bob", &answers[1]);
        rig_run_for(&warm.rig, 2);
        assert_true(answers[1].is_success);
        assert_int_equal(answers[1].outcome, OUTCOME_CLAIMED);
        assert_int_equal(fake_containers(warm.rig.engine), 2);
        close_warm(&warm);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_targets_are_parsed),
                cmocka_unit_test(test_wrong_targets_are_refused),
                cmocka_unit_test(test_claims_of_one_turn_take_a_carrel_each),
                cmocka_unit_test(test_a_claim_needs_no_start),
                cmocka_unit_test(test_one_is_claimed_once),
                cmocka_unit_test(test_a_full_queue_does_not_keep_from_a_claim),
                cmocka_unit_test(test_a_forgotten_one_keeps_no_user_out),
                cmocka_unit_test(test_another_spec_is_not_claimed),
                cmocka_unit_test(test_a_failed_claim_takes_the_cold_road),
                cmocka_unit_test(test_claims_that_fail_are_not_tried_each_time),
                cmocka_unit_test(test_claims_that_fail_together_make_one_pause),
                cmocka_unit_test(test_a_removal_during_a_failed_claim_is_obeyed),
                cmocka_unit_test(test_killed_programs_are_reported_after_a_failed_claim),
                cmocka_unit_test(test_a_dead_warm_carrel_is_replaced),
                cmocka_unit_test(test_obstacles_are_reported),
                cmocka_unit_test(test_a_failure_is_reported_until_it_is_full),
                cmocka_unit_test(test_one_whose_agent_has_gone_is_replaced),
                cmocka_unit_test(test_one_whose_agent_goes_during_its_start_is_no_warm_one),
                cmocka_unit_test(test_one_that_dies_at_once_is_not_replaced_at_once),
                cmocka_unit_test(test_a_pool_that_cannot_fill_backs_off),
                cmocka_unit_test(test_a_changed_setting_retires_the_rest),
                cmocka_unit_test(test_a_new_image_replaces_them),
                cmocka_unit_test(test_a_new_image_replaces_one_that_is_being_made),
                cmocka_unit_test(test_new_resolvers_replace_them),
                cmocka_unit_test(test_an_old_one_is_replaced),
                cmocka_unit_test(test_they_give_way_at_max_carrels),
                cmocka_unit_test(test_the_last_one_is_claimed_at_max_carrels),
        };

        return cmocka_run_group_tests_name("claim", tests, NULL, NULL);
}
