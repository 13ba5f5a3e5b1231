#include "agent-end.h"
#include "rules.h"

void agent_rules(struct rules *ret_rules)
{
        *ret_rules = (struct rules){
                .name = "agent",
                .count = AGENT_EXEC_N_RULES,
                .running = STATE_RUNNING,
                .over = STATE_OVER,
                .same = STATE_SAME,
                .always_handled = 1u << ON_CANCELLED | 1u << ON_LOST,
                .timers = 1u << ON_DEADLINE | 1u << ON_DRAIN | 1u << ON_RETRY | 1u << ON_GRACE | 1u << ON_CHECK |
                          1u << ON_READ,
        };
        for (size_t i = 0; i < AGENT_EXEC_N_RULES && i < RULES_MAX; i++) {
                const struct agent_exec_rule *rule = &AGENT_EXEC_RULES[i];

                ret_rules->list[i] = (struct rule){ rule->states, rule->event, rule->guard != NULL, rule->next };
        }
}
