#include "plan.h"

#include <stdio.h>

#include "str.h"

bool plan_is_anchor(const struct rule_chain *wanted, const struct rule *rule)
{
        return rule->verdict == RULE_JUMP && str_equal(rule->target, wanted->name);
}

/* Rules before ours are allowed only if they drop or cannot match carrel packets. A jump could accept, which matters
 * only in the chains that judge. */
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
                return differ(wanted, "our chain is missing:", &wanted->anchors[0], difference);
        for (size_t i = 0; i < wanted->count; i++) {
                if (i >= found->chain_count)
                        return differ(wanted, "a rule is missing:", &wanted->rules[i], difference);
                if (!rule_is_equal(&wanted->rules[i], &found->chain[i]))
                        return differ(wanted, "our chain has a wrong rule:", &found->chain[i], difference);
        }
        if (found->chain_count > wanted->count)
                return differ(wanted, "our chain has an extra rule:", &found->chain[wanted->count], difference);
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
                                return differ(wanted, "our anchor was changed or doubled:", rule, difference);
                        met++;
                } else if (met < wanted->anchor_count && !may_precede(wanted, rule)) {
                        return differ(wanted, "a rule before ours may accept carrel packets:", rule, difference);
                }
        }
        if (met < wanted->anchor_count)
                return differ(wanted, "a rule is missing:", &wanted->anchors[met], difference);
        return true;
}

bool plan_is_in_force(const struct rule_chain *wanted, const struct plan_found *found,
                      char difference[static PLAN_DIFFERENCE_BYTES])
{
        return has_anchors(wanted, found, difference) && has_rules(wanted, found, difference);
}
