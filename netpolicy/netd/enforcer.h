/* Keeps one policy in force in the kernel of this network namespace: legacy x_tables, the nftables FORWARD chain
 * where there is one, and forwarding itself. Blocks; lives in the helper process. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"
#include "policy.h"

struct enforcer;

struct enforcer_state {
        bool is_in_force;           /* as of checked_ms */
        int64_t checked_ms;         /* CLOCK_BOOTTIME when the last comparison began */
        uint64_t heals;             /* times a check found the rules changed and put them back */
        uint64_t dropped_packets;   /* goes on when rules are put back */
        uint64_t refused_packets;   /* the same, of flows beyond a carrel's bounds */
        uint32_t flows, table_size; /* the host's connection-tracking table; 0, 0: there is none */
        uint32_t flows_max;         /* of a carrel at once; 0: not bounded, and detail says why */
        char detail[192];           /* "in force", with a remark perhaps, or what is wrong */
};

__attribute__((warn_unused_result)) int enforcer_new(struct enforcer **ret_enforcer);
struct enforcer *enforcer_free(struct enforcer *enforcer);

/* Copies the policy (a valid one) and puts it in force. Also when that fails, it is the one that every later check
 * tries to put in force. was_in_force: a enforcer before this one has had it in force, so that what is missing now was
 * taken away, and putting it back is a heal. 0, or a negative errno with why. */
int enforcer_apply(struct enforcer *enforcer, const struct policy *policy, bool was_in_force, struct fault *why);

/* Compares with the kernel and heals. 0: in force. */
int enforcer_check(struct enforcer *enforcer, struct fault *why);

/* NULL before the first apply. Borrowed. */
const struct policy *enforcer_policy(const struct enforcer *enforcer);
const struct enforcer_state *enforcer_state(const struct enforcer *enforcer);
