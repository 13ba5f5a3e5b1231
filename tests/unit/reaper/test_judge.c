/* The pure decisions as tables, and a million schedules of reap against ensure against exec on a model. No wall clock
 * enters: judge.h has no such input, and the model's jumps of it change nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "judge.h"
#include "orphans.h"

static const struct judge_case {
        const char *name;
        struct judge_facts facts;
        struct judge_rules rules;
        struct judgement judgement;
        const char *sentence;
} JUDGE[] = {
        { "not ready, however idle",
          { false, 0, 0, 9000, 9000 },
          { 1000, 1000 },
          { JUDGE_KEEP, JUDGE_NOT_READY, 0 },
          "It is not ready, so the reaper leaves it alone." },
        { "busy, however idle and old",
          { true, 1, 0, 9000, 9000 },
          { 1000, 1000 },
          { JUDGE_KEEP, JUDGE_BUSY, 0 },
          "It is busy: 1 program is running in it." },
        { "flooding, however busy and leased",
          { true, 1, 9000, 0, 0, 1, true },
          { 1000, 0, true },
          { JUDGE_STOP, JUDGE_SOCKETS, 0 },
          "The buffers of its sockets take more than its memory again: it is stopped." },
        { "flooding, but it is not ready",
          { false, 0, 0, 0, 0, 0, true },
          { 1000, 0 },
          { JUDGE_KEEP, JUDGE_NOT_READY, 0 },
          NULL },
        { "busy twice",
          { true, 2, 5, 0, 0 },
          { 1000, 0 },
          { JUDGE_KEEP, JUDGE_BUSY, 0 },
          "It is busy: 2 programs are running in it." },
        { "leased, however idle and old",
          { true, 0, 1, 9000, 9000 },
          { 1000, 1000 },
          { JUDGE_KEEP, JUDGE_LEASED, 0 },
          "It is leased for another 1 s." },
        { "the lease has run out",
          { true, 0, 0, 1000, 9000 },
          { 1000, 0 },
          { JUDGE_STOP, JUDGE_IDLE, 0 },
          "It has been idle for 1 s, its TTL is 1 s: it is stopped." },
        { "a lease below zero does not count",
          { true, 0, -1, 1000, 9000 },
          { 1000, 0 },
          { JUDGE_STOP, JUDGE_IDLE, 0 },
          NULL },
        { "a millisecond before",
          { true, 0, 0, 999, 9000 },
          { 1000, 0 },
          { JUDGE_KEEP, JUDGE_IN_USE, 1 },
          "It is stopped in 1 s unless it is used before." },
        { "at the millisecond", { true, 0, 0, 1000, 9000 }, { 1000, 0 }, { JUDGE_STOP, JUDGE_IDLE, 0 }, NULL },
        { "just used",
          { true, 0, 0, 0, 9000 },
          { 300000, 0 },
          { JUDGE_KEEP, JUDGE_IN_USE, 300000 },
          "It is stopped in 300 s unless it is used before." },
        { "old, but no rule says so",
          { true, 0, 0, 0, INT64_MAX },
          { 1000, 0 },
          { JUDGE_KEEP, JUDGE_IN_USE, 1000 },
          NULL },
        { "too old",
          { true, 0, 0, 0, 5000 },
          { 1000, 5000 },
          { JUDGE_STOP, JUDGE_TOO_OLD, 0 },
          "It is 5 s old, over the lifetime of 5 s: it is stopped." },
        { "something in the background, however idle and old",
          { true, 0, 0, 9000, 9000, 1 },
          { 1000, 1000, true },
          { JUDGE_KEEP, JUDGE_BACKGROUND, 0 },
          "It is in use: 1 task runs in the background." },
        { "too old and idle", { true, 0, 0, 2000, 5000 }, { 1000, 5000 }, { JUDGE_STOP, JUDGE_TOO_OLD, 0 }, NULL },
        { "not yet frozen",
          { true, 0, 0, 400, 0 },
          { 3000, 0, false, 1000, 2000 },
          { JUDGE_KEEP, JUDGE_IN_USE, 2600 },
          "It is frozen in 1 s and stopped in 3 s unless it is used before." },
        { "to be frozen",
          { true, 0, 0, 1000, 0 },
          { 3000, 0, false, 1000, 2000 },
          { JUDGE_FREEZE, JUDGE_IDLE, 0 },
          "It has been idle for 1 s: it is frozen." },
        { "to be frozen, but busy",
          { true, 1, 0, 1000 },
          { 3000, 0, false, 1000 },
          { JUDGE_KEEP, JUDGE_BUSY, 0 },
          NULL },
        { "to be frozen, but leased",
          { true, 0, 9, 1000 },
          { 3000, 0, false, 1000 },
          { JUDGE_KEEP, JUDGE_LEASED, 0 },
          NULL },
        { "to be frozen, but it refuses",
          { true, 0, 0, 1000, .refuses_freeze = true },
          { 3000, 0, false, 1000 },
          { JUDGE_KEEP, JUDGE_IN_USE, 2000 },
          "It is stopped in 2 s unless it is used before." },
        { "frozen",
          { true, 0, 0, 1500, .is_frozen = true },
          { 3000, 0, false, 1000, 2000 },
          { JUDGE_KEEP, JUDGE_FROZEN, 1500 },
          "It is stopped in 2 s unless it is used before." },
        { "frozen, with a background program that counts",
          { true, 0, 0, 3000, 3000, 1, .is_frozen = true },
          { 3000, 0, true, 1000 },
          { JUDGE_STOP, JUDGE_IDLE, 0 },
          NULL },
        { "to be reclaimed",
          { true, 0, 0, 2000, .is_frozen = true },
          { 3000, 0, false, 1000, 2000 },
          { JUDGE_RECLAIM, JUDGE_IDLE, 0 },
          "It has been idle for 2 s: its memory is reclaimed." },
        { "reclaimed",
          { true, 0, 0, 2000, .is_frozen = true, .is_reclaimed = true },
          { 3000, 0, false, 1000, 2000 },
          { JUDGE_KEEP, JUDGE_FROZEN, 1000 },
          NULL },
        { "frozen to the end",
          { true, 0, 0, 3000, .is_frozen = true },
          { 3000, 0, false, 1000, 2000 },
          { JUDGE_STOP, JUDGE_IDLE, 0 },
          NULL },
        { "too old in a while",
          { true, 0, 0, 0, 4500 },
          { 1000, 5000 },
          { JUDGE_KEEP, JUDGE_IN_USE, 500 },
          "It is stopped in 1 s." },
};

static void judge_table(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof JUDGE / sizeof JUDGE[0]; i++) {
                struct judgement judgement = judge(&JUDGE[i].facts, &JUDGE[i].rules);
                char text[128];

                if (judgement.verdict != JUDGE[i].judgement.verdict || judgement.why != JUDGE[i].judgement.why ||
                    judgement.due_ms != JUDGE[i].judgement.due_ms)
                        fail_msg("%s: %s, due %ld", JUDGE[i].name, judge_why_name(judgement.why),
                                 (long)judgement.due_ms);
                judge_explain(&JUDGE[i].facts, &JUDGE[i].rules, text, sizeof text);
                if (JUDGE[i].sentence != NULL)
                        assert_string_equal(text, JUDGE[i].sentence);
        }
}

static const struct orphan_case {
        enum survey_claim claim;
        bool is_running;
        enum orphan_verdict clear_at_start, adopt_at_start, serving;
} ORPHANS[] = {
        { CLAIM_OURS, true, ORPHAN_KEEP, ORPHAN_KEEP, ORPHAN_KEEP },
        { CLAIM_OURS, false, ORPHAN_KEEP, ORPHAN_KEEP, ORPHAN_KEEP },
        { CLAIM_IN_FLOW, true, ORPHAN_KEEP, ORPHAN_KEEP, ORPHAN_KEEP },
        { CLAIM_IN_FLOW, false, ORPHAN_KEEP, ORPHAN_KEEP, ORPHAN_KEEP },
        { CLAIM_ADOPTABLE, true, ORPHAN_REMOVE, ORPHAN_ADOPT, ORPHAN_REMOVE },
        { CLAIM_ADOPTABLE, false, ORPHAN_REMOVE, ORPHAN_REMOVE, ORPHAN_REMOVE },
        { CLAIM_ORPHAN, true, ORPHAN_REMOVE, ORPHAN_REMOVE, ORPHAN_REMOVE },
        { CLAIM_ORPHAN, false, ORPHAN_REMOVE, ORPHAN_REMOVE, ORPHAN_REMOVE },
        { (enum survey_claim)99, true, ORPHAN_KEEP, ORPHAN_KEEP, ORPHAN_KEEP },
};

static void orphans_table(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof ORPHANS / sizeof ORPHANS[0]; i++) {
                struct survey_container container = { .claim = ORPHANS[i].claim, .is_running = ORPHANS[i].is_running };

                assert_int_equal(orphans_judge(&container, ORPHANS_AT_START, false), ORPHANS[i].clear_at_start);
                assert_int_equal(orphans_judge(&container, ORPHANS_AT_START, true), ORPHANS[i].adopt_at_start);
                assert_int_equal(orphans_judge(&container, ORPHANS_SERVING, false), ORPHANS[i].serving);
                assert_int_equal(orphans_judge(&container, ORPHANS_SERVING, true), ORPHANS[i].serving);
        }
}

/* ---- schedules ---- */

enum { SCHEDULES = 1000000, STEPS = 24 };

struct model {
        uint64_t random;
        int64_t now_ms; /* CLOCK_BOOTTIME */
        int64_t wall_ms;
        bool is_ready;
        unsigned execs;
        int64_t ready_at_ms, used_at_ms, lease_until_ms;
        unsigned reaped, reaped_in_use;
};

typedef struct judgement (*judge_rule)(const struct judge_facts *facts, const struct judge_rules *rules);

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled". */
static uint64_t draw(struct model *model, uint64_t bound)
{
        model->random ^= model->random >> 12;
        model->random ^= model->random << 25;
        model->random ^= model->random >> 27;
        return (model->random * 2685821657736338717u >> 33) % bound;
}

static void use(struct model *model)
{
        model->used_at_ms = model->now_ms;
}

static void ensure(struct model *model)
{
        if (!model->is_ready)
                model->ready_at_ms = model->now_ms;
        model->is_ready = true;
        use(model);
}

static void reap(struct model *model, judge_rule rule, const struct judge_rules *rules)
{
        struct judge_facts facts = {
                .is_ready = model->is_ready,
                .execs = model->execs,
                .lease_left_ms = model->lease_until_ms - model->now_ms,
                .idle_ms = model->execs > 0 ? 0 : model->now_ms - model->used_at_ms,
                .age_ms = model->now_ms - model->ready_at_ms,
        };

        if (rule(&facts, rules).verdict != JUDGE_STOP)
                return;
        model->reaped++;
        if (!model->is_ready || model->execs > 0 || model->lease_until_ms > model->now_ms ||
            (model->now_ms - model->used_at_ms < rules->idle_ttl_ms &&
             (rules->max_lifetime_ms == 0 || model->now_ms - model->ready_at_ms < rules->max_lifetime_ms)))
                model->reaped_in_use++;
        model->is_ready = false;
        model->execs = 0;
        model->lease_until_ms = 0;
}

static void step(struct model *model, judge_rule rule, const struct judge_rules *rules)
{
        switch (draw(model, 8)) {
        case 0:
                ensure(model);
                break;
        case 1:
                ensure(model); /* exec ensures first */
                model->execs++;
                break;
        case 2:
                if (model->execs > 0) {
                        model->execs--;
                        use(model);
                }
                break;
        case 3:
                if (model->is_ready)
                        model->lease_until_ms = model->now_ms + (int64_t)draw(model, 3000);
                break;
        case 4:
                model->wall_ms += 31536000000; /* a year */
                break;
        case 5:
                model->now_ms += (int64_t)draw(model, 2500);
                break;
        default:
                reap(model, rule, rules);
                break;
        }
}

static struct model run_schedules(judge_rule rule, unsigned schedules)
{
        struct model model = { .random = 0x9e3779b97f4a7c15u };

        for (unsigned i = 0; i < schedules; i++) {
                struct judge_rules rules = { .idle_ttl_ms = 1 + (int64_t)draw(&model, 3000),
                                             .max_lifetime_ms = (int64_t)draw(&model, 3) * 2500 };

                model.is_ready = false;
                model.execs = 0;
                model.lease_until_ms = 0;
                for (unsigned at = 0; at < STEPS; at++)
                        step(&model, rule, &rules);
        }
        return model;
}

static struct judgement forgets_execs(const struct judge_facts *facts, const struct judge_rules *rules)
{
        struct judge_facts blind = *facts;

        blind.execs = 0;
        return judge(&blind, rules);
}

static struct judgement forgets_leases(const struct judge_facts *facts, const struct judge_rules *rules)
{
        struct judge_facts blind = *facts;

        blind.lease_left_ms = 0;
        return judge(&blind, rules);
}

static void a_million_schedules(void **state)
{
        struct model model;

        (void)state;
        model = run_schedules(judge, SCHEDULES);
        assert_int_equal(model.reaped_in_use, 0);
        assert_true(model.reaped > SCHEDULES / 10);
        /* The same schedules find a judge that is wrong. */
        assert_true(run_schedules(forgets_execs, SCHEDULES / 1000).reaped_in_use > 0);
        assert_true(run_schedules(forgets_leases, SCHEDULES / 1000).reaped_in_use > 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(judge_table),
                cmocka_unit_test(orphans_table),
                cmocka_unit_test(a_million_schedules),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
