/* Compares the wanted rules with the rules that were read back from the kernel. Pure. */
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

/* True if our chain has exactly its rules, each anchor leads to it once, and no rule before the anchors may accept
 * carrel packets. Otherwise false, with the first difference as a text. */
bool plan_is_in_force(const struct rule_chain *wanted, const struct plan_found *found,
                      char difference[static PLAN_DIFFERENCE_BYTES]);

/* Whether a rule of the built-in chain jumps to our chain, correctly or not. */
bool plan_is_anchor(const struct rule_chain *wanted, const struct rule *rule);
