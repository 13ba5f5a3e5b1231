/* Compares the rules that are wanted with the rules read back from the kernel. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "rules.h"

struct plan_found {
        const struct rule *hook; /* the rules of the built-in chain, in order */
        size_t hook_count;
        const struct rule *chain; /* the rules of our chain, in order */
        size_t chain_count;
        bool has_chain;
};

enum { PLAN_DIFFERENCE_BYTES = 192 };

/* True when our chain is there with exactly its rules, the anchors lead to it, once each, and nothing before them
 * may undo it. Otherwise false, with the first difference in words. */
bool plan_is_in_force(const struct rule_chain *wanted, const struct plan_found *found,
                      char difference[static PLAN_DIFFERENCE_BYTES]);

/* A rule of the built-in chain that leads to our chain: one of ours, right or wrong. */
bool plan_is_anchor(const struct rule_chain *wanted, const struct rule *rule);
