/* The rules for the end of an agent's exec, as a table: nothing in it is out of reach, and every exec comes to an end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent-end.h"

static bool is_in(const struct agent_exec_rule *rule, unsigned state)
{
        return rule->states >> state & 1;
}

static bool has_sure_rule(unsigned state, enum agent_exec_event event, size_t n_rules)
{
        for (size_t i = 0; i < n_rules; i++)
                if (is_in(&AGENT_EXEC_RULES[i], state) && AGENT_EXEC_RULES[i].event == event &&
                    AGENT_EXEC_RULES[i].guard == NULL)
                        return true;
        return false;
}

/* The first rule whose guard holds is taken, so nothing may follow one without a guard. */
static void no_rule_hides_another(void **state)
{
        (void)state;
        for (size_t i = 0; i < AGENT_EXEC_N_RULES; i++)
                for (unsigned at = 0; at < STATES; at++)
                        if (is_in(&AGENT_EXEC_RULES[i], at) && has_sure_rule(at, AGENT_EXEC_RULES[i].event, i))
                                fail_msg("rule %zu is never taken in state %u", i, at);
}

static void a_cancel_and_a_loss_are_handled_until_the_end(void **state)
{
        (void)state;
        for (unsigned at = 0; at < STATE_OVER; at++) {
                assert_true(has_sure_rule(at, ON_CANCELLED, AGENT_EXEC_N_RULES));
                assert_true(has_sure_rule(at, ON_LOST, AGENT_EXEC_N_RULES));
        }
}

static void nothing_follows_the_end(void **state)
{
        (void)state;
        for (size_t i = 0; i < AGENT_EXEC_N_RULES; i++)
                assert_false(is_in(&AGENT_EXEC_RULES[i], STATE_OVER));
}

/* The states from which `reached` can be entered by these events, as bits. */
static unsigned leading_to(unsigned reached, unsigned events)
{
        for (unsigned before = 0; before != reached;) {
                before = reached;
                for (size_t i = 0; i < AGENT_EXEC_N_RULES; i++) {
                        const struct agent_exec_rule *rule = &AGENT_EXEC_RULES[i];

                        if (rule->next != STATE_SAME && reached >> rule->next & 1 && events >> rule->event & 1)
                                reached |= rule->states;
                }
        }
        return reached;
}

/* Not only when the agent, the user and his reader do what they should. */
static void every_state_ends_by_timers(void **state)
{
        const unsigned timers = 1u << ON_DEADLINE | 1u << ON_DRAIN | 1u << ON_RETRY | 1u << ON_GRACE;
        const unsigned checks = 1u << ON_CHECK | 1u << ON_READ;

        (void)state;
        assert_int_equal(leading_to(1u << STATE_OVER, timers | checks), (1u << STATES) - 1);
        assert_int_equal(leading_to(1u << STATE_OVER, 0), 1u << STATE_OVER); /* the control */
}

static void every_state_can_be_entered(void **state)
{
        const unsigned all = (1u << EVENTS) - 1;

        (void)state;
        for (unsigned at = STATE_RUNNING + 1; at < STATES; at++)
                assert_true(leading_to(1u << at, all) >> STATE_RUNNING & 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(no_rule_hides_another),
                cmocka_unit_test(a_cancel_and_a_loss_are_handled_until_the_end),
                cmocka_unit_test(nothing_follows_the_end),
                cmocka_unit_test(every_state_ends_by_timers),
                cmocka_unit_test(every_state_can_be_entered),
        };

        return cmocka_run_group_tests_name("exec: rules", tests, NULL, NULL);
}
