#include "engine-exec-end.h"
#include "rules.h"

void engine_rules(struct rules *ret_rules)
{
        *ret_rules = (struct rules){
                .name = "engine",
                .count = ENGINE_EXEC_N_RULES,
                .running = STATE_RUNNING,
                .over = STATE_OVER,
                .same = STATE_SAME,
                .always_handled = 1u << ON_LOST,
                .timers = 1u << ON_DEADLINE | 1u << ON_DRAIN | 1u << ON_RETRY | 1u << ON_GRACE | 1u << ON_FINISH,
        };
        for (size_t i = 0; i < ENGINE_EXEC_N_RULES && i < RULES_MAX; i++) {
                const struct engine_exec_rule *rule = &ENGINE_EXEC_RULES[i];

                ret_rules->list[i] = (struct rule){ rule->states, rule->event, rule->guard != NULL, rule->next };
        }
}
