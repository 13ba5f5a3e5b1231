/* Keeps one policy in force in this network namespace: legacy x_tables, the FORWARD chain of nftables if it exists, and
 * IP forwarding. Blocks; runs in carrel-netd. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"
#include "policy.h"

struct enforcer;

struct enforcer_state {
        bool is_in_force;           /* as of checked_ms */
        int64_t checked_ms;         /* CLOCK_BOOTTIME when the last comparison began */
        uint64_t heals;             /* times that a check found changed rules and restored them */
        uint64_t dropped_packets;   /* continues when rules are restored */
        uint64_t refused_packets;   /* the same, of flows beyond a carrel's limits */
        uint32_t flows, table_size; /* the host's connection-tracking table; 0, 0: it does not exist yet */
        uint32_t flows_max;         /* limit of a carrel; 0: no limit, and detail says why */
        char detail[192];           /* "in force", with a remark perhaps, or what is wrong */
};

__attribute__((warn_unused_result)) int enforcer_new(struct enforcer **ret_enforcer);
struct enforcer *enforcer_free(struct enforcer *enforcer);

/* Copies the policy (a valid one) and puts it in force. If that fails, every later check tries again. was_in_force: an
 * earlier process had it in force, so rules that are missing now were removed by others, and restoring them is a heal.
 * 0, or a negative errno with why. */
int enforcer_apply(struct enforcer *enforcer, const struct policy *policy, bool was_in_force, struct fault *why);

/* Compares with the kernel and restores what differs. 0: in force. */
int enforcer_check(struct enforcer *enforcer, struct fault *why);

/* NULL before the first apply. Borrowed. */
const struct policy *enforcer_policy(const struct enforcer *enforcer);
const struct enforcer_state *enforcer_state(const struct enforcer *enforcer);
