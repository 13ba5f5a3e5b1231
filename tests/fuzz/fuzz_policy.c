/* Policy texts as an operator could write them, and policies as a message could carry them: whatever parses is valid,
 * and its rules are in force when they are all there. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "policy.h"
#include "rules.h"

/* The input is five texts, separated by newlines. */
static void split(char *input, struct policy_texts *ret_texts)
{
        const char **const fields[] = { &ret_texts->pool, &ret_texts->network_cidr, &ret_texts->deny, &ret_texts->allow,
                                        &ret_texts->dns };
        char *at = input;

        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
                *fields[i] = strsep(&at, "\n");
}

static void follow(const struct policy *policy)
{
        struct ruleset *ruleset = malloc(sizeof *ruleset);
        char difference[PLAN_DIFFERENCE_BYTES];
        char text[RULE_TEXT_BYTES];

        if (ruleset == NULL)
                return;
        rules_make(ruleset, policy, policy_flows_max(policy, 262144));
        for (size_t i = 0; i < RULE_CHAINS; i++) {
                const struct rule_chain *chain = &ruleset->chains[i];
                struct plan_found found = { chain->anchors, chain->anchor_count, chain->rules, chain->count, true };

                for (size_t k = 0; k < chain->count; k++)
                        rule_format(&chain->rules[k], text);
                if (!plan_is_in_force(chain, &found, difference))
                        abort();
        }
        free(ruleset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *input = malloc(size + 1);
        struct policy_texts texts = { 0 };
        struct policy policy;
        struct fault why;

        if (input == NULL)
                return 0;
        memcpy(input, data, size);
        input[size] = '\0';
        split(input, &texts);
        if (policy_parse(&policy, &texts, &why) == 0) {
                if (policy_validate(&policy, &why) != 0)
                        abort();
                follow(&policy);
        }
        if (size >= sizeof policy) {
                memcpy(&policy, data, sizeof policy);
                if (policy_validate(&policy, &why) == 0)
                        follow(&policy);
        }
        free(input);
        return 0;
}
