/* Puts a ruleset into the kernel's legacy x_tables and reads it back. Blocks: only the helper process calls it. Needs
 * CAP_NET_ADMIN and CAP_NET_RAW. Changes only our own chains and the anchors that lead to them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"
#include "plan.h"
#include "rules.h"

#define IPTC_LOCK_PATH "/run/xtables.lock" /* iptables(8): every program that changes the tables holds it */

struct iptc_state {
        bool is_in_force;
        uint64_t dropped_packets;               /* by the rules that are there now, except */
        uint64_t refused_packets;               /* those of the chain that limits flows, which may be missing */
        char difference[PLAN_DIFFERENCE_BYTES]; /* "" in force */
};

/* Reads every table and compares. Takes no lock: one read is a consistent snapshot. Returns 0, or a negative errno with
 * why if a table cannot be read (ENOPROTOOPT, ENOENT: the kernel lacks it; EOPNOTSUPP: it lacks only what may be
 * missing). IPv6 tables may be absent if the kernel has no IPv6 at all. */
__attribute__((warn_unused_result)) int iptc_verify(const struct ruleset *ruleset, struct iptc_state *ret_state,
                                                    struct fault *why);

/* Takes the lock (waits at most half a second), rebuilds the tables that differ, and reads them back, because libiptc's
 * EAGAIN does not show every race. Returns 0 when the ruleset is in force, else a negative errno with why
 * (FAULT_POLICY_NOT_IN_FORCE): -ETIMEDOUT another program holds the lock; -EAGAIN other programs keep changing the
 * tables; -EOPNOTSUPP the kernel lacks only what may be missing. */
__attribute__((warn_unused_result)) int iptc_install(const struct ruleset *ruleset, struct fault *why);
