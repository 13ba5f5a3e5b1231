/* The rules for the end of an exec, as tables: no rule is out of reach, and every exec comes to an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules.h"

static void (*const TABLES[])(struct rules *ret_rules) = { agent_rules, engine_rules };
enum { N_TABLES = sizeof TABLES / sizeof *TABLES };

static void load(size_t index, struct rules *ret_rules)
{
        TABLES[index](ret_rules);
        assert_in_range(ret_rules->count, 1, RULES_MAX);
}

/* Among the first `count` rules. */
static bool has_sure_rule(const struct rules *rules, size_t count, unsigned state, unsigned event)
{
        for (size_t i = 0; i < count; i++)
                if (rules->list[i].states >> state & 1 && rules->list[i].event == event && !rules->list[i].has_guard)
                        return true;
        return false;
}

/* The first rule whose guard holds is taken, so none may follow one without a guard. */
static void no_rule_hides_another(void **state)
{
        (void)state;
        for (size_t table = 0; table < N_TABLES; table++) {
                struct rules rules;

                load(table, &rules);
                for (size_t i = 0; i < rules.count; i++)
                        for (unsigned at = 0; at <= rules.over; at++)
                                if (rules.list[i].states >> at & 1 && has_sure_rule(&rules, i, at, rules.list[i].event))
                                        fail_msg("%s: rule %zu is never taken in state %u", rules.name, i, at);
        }
}

static void some_events_are_handled_until_the_end(void **state)
{
        (void)state;
        for (size_t table = 0; table < N_TABLES; table++) {
                struct rules rules;

                load(table, &rules);
                assert_int_not_equal(rules.always_handled, 0);
                for (unsigned event = 0; rules.always_handled >> event != 0; event++)
                        for (unsigned at = 0; rules.always_handled >> event & 1 && at < rules.over; at++)
                                if (!has_sure_rule(&rules, rules.count, at, event))
                                        fail_msg("%s: event %u has no rule in state %u", rules.name, event, at);
        }
}

static void nothing_follows_the_end(void **state)
{
        (void)state;
        for (size_t table = 0; table < N_TABLES; table++) {
                struct rules rules;

                load(table, &rules);
                for (size_t i = 0; i < rules.count; i++)
                        assert_false(rules.list[i].states >> rules.over & 1);
        }
}

/* The states from which one of `reached` can be entered by these events; all are bits. */
static unsigned leading_to(const struct rules *rules, unsigned reached, unsigned events)
{
        for (unsigned before = 0; before != reached;) {
                before = reached;
                for (size_t i = 0; i < rules->count; i++) {
                        const struct rule *rule = &rules->list[i];

                        if (rule->next != rules->same && reached >> rule->next & 1 && events >> rule->event & 1)
                                reached |= rule->states;
                }
        }
        return reached;
}

/* Even when the engine or the agent, the user and his reader do nothing. */
static void every_state_ends_by_timers(void **state)
{
        (void)state;
        for (size_t table = 0; table < N_TABLES; table++) {
                struct rules rules;

                load(table, &rules);
                assert_int_equal(leading_to(&rules, 1u << rules.over, rules.timers), (2u << rules.over) - 1);
                assert_int_equal(leading_to(&rules, 1u << rules.over, 0), 1u << rules.over); /* the control */
        }
}

static void every_state_can_be_entered(void **state)
{
        (void)state;
        for (size_t table = 0; table < N_TABLES; table++) {
                struct rules rules;

                load(table, &rules);
                for (unsigned at = rules.running + 1; at <= rules.over; at++)
                        assert_true(leading_to(&rules, 1u << at, ~0u) >> rules.running & 1);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(no_rule_hides_another),      cmocka_unit_test(some_events_are_handled_until_the_end),
                cmocka_unit_test(nothing_follows_the_end),    cmocka_unit_test(every_state_ends_by_timers),
                cmocka_unit_test(every_state_can_be_entered),
        };

        return cmocka_run_group_tests_name("exec: rules", tests, NULL, NULL);
}
