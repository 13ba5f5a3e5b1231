#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "plan.h"
#include "policy.h"

static struct ruleset ruleset;

static int make(void **state)
{
        struct policy_texts texts = { "default", "10.213.0.0/16", "", "", "" };
        struct policy policy;

        (void)state;
        assert_int_equal(policy_parse(&policy, &texts, NULL), 0);
        rules_make(&ruleset, &policy, 1000);
        return 0;
}

enum { PREROUTING = 0, FORWARD = 2, POSTROUTING = 3 };

#define JUMP(chain_) .verdict = RULE_JUMP, .target = chain_

/* One rule of somebody else in front of our anchors. */
static const struct {
        const char *name;
        int chain;
        struct rule rule;
        bool is_fine;
} IN_FRONT[] = {
        { "accept all", PREROUTING, { .verdict = RULE_ACCEPT }, false },
        { "return all", PREROUTING, { .verdict = RULE_RETURN }, false },
        { "drop all", PREROUTING, { .verdict = RULE_DROP }, true },
        { "accept from eth0", PREROUTING, { .in = "eth0", .verdict = RULE_ACCEPT }, true },
        { "accept from eth+", PREROUTING, { .in = "eth+", .verdict = RULE_ACCEPT }, true },
        { "accept from carrel7", PREROUTING, { .in = "carrel7", .verdict = RULE_ACCEPT }, false },
        { "accept from car+", PREROUTING, { .in = "car+", .verdict = RULE_ACCEPT }, false },
        { "accept from carrel1+", PREROUTING, { .in = "carrel1+", .verdict = RULE_ACCEPT }, false },
        { "accept from carre", PREROUTING, { .in = "carre", .verdict = RULE_ACCEPT }, true },
        { "accept from carrel", PREROUTING, { .in = "carrel", .verdict = RULE_ACCEPT }, false },
        { "another pool", PREROUTING, { .in = "car0a1b2.+", JUMP("CARREL-0a1b2") }, true },
        { "jump from anywhere", PREROUTING, { JUMP("OTHER") }, false },
        { "no tracking", PREROUTING, { .verdict = RULE_OTHER, .target = "CT" }, false },
        { "opaque accept", PREROUTING, { .flags = RULE_OPAQUE, .verdict = RULE_ACCEPT }, false },
        { "jump in FORWARD", FORWARD, { JUMP("DOCKER-USER") }, true },
        { "accept in FORWARD", FORWARD, { .verdict = RULE_ACCEPT }, false },
        { "accept in FORWARD by in only", FORWARD, { .in = "docker0", .verdict = RULE_ACCEPT }, false },
        { "accept between others", FORWARD, { .in = "docker0", .out = "docker0", .verdict = RULE_ACCEPT }, true },
        { "accept but by another way",
          FORWARD,
          { .in = "docker0", .out = "docker0", .flags = RULE_NOT_OUT, .verdict = RULE_ACCEPT },
          false },
        { "another source", POSTROUTING, { .source = { 0xac110000, 16 }, .verdict = RULE_MASQUERADE }, true },
        { "any source but",
          POSTROUTING,
          { .source = { 0xac110000, 16 }, .flags = RULE_NOT_SOURCE, .verdict = RULE_MASQUERADE },
          false },
        { "our source", POSTROUTING, { .source = { 0x0a000000, 8 }, .verdict = RULE_ACCEPT }, false },
};

static bool is_in_force(const struct rule_chain *chain, const struct rule *hook, size_t hook_count,
                        const struct rule *rules, size_t count)
{
        struct plan_found found = { hook, hook_count, rules, count, true };
        char difference[PLAN_DIFFERENCE_BYTES] = "";
        bool is = plan_is_in_force(chain, &found, difference);

        assert_int_equal(is, difference[0] == '\0');
        return is;
}

static void what_may_stand_in_front(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof IN_FRONT / sizeof *IN_FRONT; i++) {
                const struct rule_chain *chain = &ruleset.chains[IN_FRONT[i].chain];
                struct rule hook[3] = { IN_FRONT[i].rule };

                memcpy(hook + 1, chain->anchors, chain->anchor_count * sizeof *hook);
                if (is_in_force(chain, hook, 1 + chain->anchor_count, chain->rules, chain->count) !=
                    IN_FRONT[i].is_fine)
                        fail_msg("%s", IN_FRONT[i].name);
                /* Any rule may follow ours. */
                memcpy(hook, chain->anchors, chain->anchor_count * sizeof *hook);
                hook[chain->anchor_count] = IN_FRONT[i].rule;
                assert_true(is_in_force(chain, hook, 1 + chain->anchor_count, chain->rules, chain->count));
        }
}

static void every_chain_equals_itself(void **state)
{
        (void)state;
        for (size_t i = 0; i < RULE_CHAINS; i++) {
                const struct rule_chain *chain = &ruleset.chains[i];

                assert_true(is_in_force(chain, chain->anchors, chain->anchor_count, chain->rules, chain->count));
        }
}

/* Any one rule missing, changed, doubled or too much is seen. */
static void every_difference_is_seen(void **state)
{
        const struct rule_chain *chain = &ruleset.chains[PREROUTING];
        struct rule rules[RULE_ROOM];

        (void)state;
        for (size_t i = 0; i < chain->count; i++) {
                memcpy(rules, chain->rules, chain->count * sizeof *rules);
                rules[i].flags |= RULE_OPAQUE;
                assert_false(is_in_force(chain, chain->anchors, 1, rules, chain->count));
                rules[i] = chain->rules[i];
                rules[i].destination.length ^= 1;
                assert_false(is_in_force(chain, chain->anchors, 1, rules, chain->count));
                memmove(rules + i, chain->rules + i + 1, (chain->count - i - 1) * sizeof *rules);
                assert_false(is_in_force(chain, chain->anchors, 1, rules, chain->count - 1));
        }
        memcpy(rules, chain->rules, chain->count * sizeof *rules);
        rules[chain->count] = (struct rule){ .verdict = RULE_DROP };
        assert_false(is_in_force(chain, chain->anchors, 1, rules, chain->count + 1));
        assert_false(is_in_force(chain, chain->anchors, 1, NULL, 0));
        rules[chain->count - 1].packets = 12345; /* counters are no difference */
        assert_true(is_in_force(chain, chain->anchors, 1, rules, chain->count));
}

static void anchors_are_exact(void **state)
{
        const struct rule_chain *chain = &ruleset.chains[FORWARD];
        struct rule hook[3];
        struct plan_found gone = { chain->anchors, 2, NULL, 0, false };
        char difference[PLAN_DIFFERENCE_BYTES];

        (void)state;
        assert_false(is_in_force(chain, NULL, 0, chain->rules, chain->count));
        assert_false(is_in_force(chain, chain->anchors, 1, chain->rules, chain->count));
        hook[0] = chain->anchors[1];
        hook[1] = chain->anchors[0];
        assert_false(is_in_force(chain, hook, 2, chain->rules, chain->count));
        memcpy(hook, chain->anchors, 2 * sizeof *hook);
        hook[2] = hook[0];
        assert_false(is_in_force(chain, hook, 3, chain->rules, chain->count));
        memcpy(hook[0].in, "carrel1+", sizeof "carrel1+");
        assert_false(is_in_force(chain, hook, 2, chain->rules, chain->count));
        assert_false(plan_is_in_force(chain, &gone, difference));
        assert_non_null(strstr(difference, "ip filter FORWARD"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_chain_equals_itself),
                cmocka_unit_test(every_difference_is_seen),
                cmocka_unit_test(anchors_are_exact),
                cmocka_unit_test(what_may_stand_in_front),
        };

        return cmocka_run_group_tests_name("netpolicy: plan", tests, make, NULL);
}
