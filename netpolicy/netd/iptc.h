/* Puts a ruleset into the kernel's legacy x_tables and reads it back. Blocks: only the helper process calls it.
 * Needs CAP_NET_ADMIN and CAP_NET_RAW. Whatever is not in one of our chains, or an anchor to one, is left alone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"
#include "plan.h"
#include "rules.h"

#define IPTC_LOCK_PATH "/run/xtables.lock" /* iptables(8): held by everyone who changes the tables */

struct iptc_state {
        bool is_in_force;
        uint64_t dropped_packets;               /* by the rules that are there now, but */
        uint64_t refused_packets;               /* those of the chain that may be missing, which bounds flows */
        char difference[PLAN_DIFFERENCE_BYTES]; /* "" in force */
};

/* Reads every table afresh and compares. Takes no lock: one read is a consistent snapshot. Returns 0, or a negative
 * errno with why when the kernel does not say (ENOPROTOOPT, ENOENT: it lacks the tables; EOPNOTSUPP: it lacks only what
 * may be missing). IPv6 tables may be absent
 * where the kernel has no IPv6 at all. */
__attribute__((warn_unused_result)) int iptc_verify(const struct ruleset *ruleset, struct iptc_state *ret_state,
                                                    struct fault *why);

/* Rebuilds the tables that differ, under the lock (waits at most half a second for it), and reads them back: libiptc's
 * EAGAIN does not see every race. Returns 0 when the ruleset is in force, else a negative errno with why
 * (FAULT_POLICY_NOT_IN_FORCE): -ETIMEDOUT the lock is held, -EAGAIN others keep changing the tables, -EOPNOTSUPP the
 * kernel lacks only what may be missing. */
__attribute__((warn_unused_result)) int iptc_install(const struct ruleset *ruleset, struct fault *why);
