#include "plan.h"

#include <stdio.h>

#include "str.h"

bool plan_is_anchor(const struct rule_chain *wanted, const struct rule *rule)
{
        return rule->verdict == RULE_JUMP && str_equal(rule->target, wanted->name);
}

/* Whether a rule of somebody else may stand before our anchors. One that drops only takes away; one that no packet
 * of ours fits does nothing; a jump could accept, which matters where packets are judged. */
static bool may_precede(const struct rule_chain *wanted, const struct rule *other)
{
        bool is_apart = true;

        if (other->verdict == RULE_DROP)
                return true;
        for (size_t i = 0; i < wanted->anchor_count; i++)
                is_apart = is_apart && rule_is_disjoint(other, &wanted->anchors[i]);
        return is_apart || (!wanted->is_judge && other->verdict == RULE_JUMP);
}

static bool differ(const struct rule_chain *wanted, const char *what, const struct rule *rule,
                   char difference[static PLAN_DIFFERENCE_BYTES])
{
        char text[RULE_TEXT_BYTES] = "";

        if (rule != NULL)
                rule_format(rule, text);
        (void)snprintf(difference, PLAN_DIFFERENCE_BYTES, "%s %s %s: %s%s%.100s",
                       wanted->family == RULE_IPV4 ? "ip" : "ip6", wanted->table, wanted->hook, what,
                       rule != NULL ? " " : "", text);
        return false;
}

static bool has_rules(const struct rule_chain *wanted, const struct plan_found *found,
                      char difference[static PLAN_DIFFERENCE_BYTES])
{
        if (!found->has_chain)
                return differ(wanted, "the chain is missing:", &wanted->anchors[0], difference);
        for (size_t i = 0; i < wanted->count; i++) {
                if (i >= found->chain_count)
                        return differ(wanted, "missing", &wanted->rules[i], difference);
                if (!rule_is_equal(&wanted->rules[i], &found->chain[i]))
                        return differ(wanted, "found, where another rule belongs,", &found->chain[i], difference);
        }
        if (found->chain_count > wanted->count)
                return differ(wanted, "too much", &found->chain[wanted->count], difference);
        return true;
}

static bool has_anchors(const struct rule_chain *wanted, const struct plan_found *found,
                        char difference[static PLAN_DIFFERENCE_BYTES])
{
        size_t met = 0;

        for (size_t i = 0; i < found->hook_count; i++) {
                const struct rule *rule = &found->hook[i];

                if (plan_is_anchor(wanted, rule)) {
                        if (met == wanted->anchor_count || !rule_is_equal(rule, &wanted->anchors[met]))
                                return differ(wanted, "not as it was put there:", rule, difference);
                        met++;
                } else if (met < wanted->anchor_count && !may_precede(wanted, rule)) {
                        return differ(wanted, "before ours stands", rule, difference);
                }
        }
        if (met < wanted->anchor_count)
                return differ(wanted, "missing", &wanted->anchors[met], difference);
        return true;
}

bool plan_is_in_force(const struct rule_chain *wanted, const struct plan_found *found,
                      char difference[static PLAN_DIFFERENCE_BYTES])
{
        return has_anchors(wanted, found, difference) && has_rules(wanted, found, difference);
}
