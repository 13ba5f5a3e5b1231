/* The host's connection-tracking table: which flows carrels have begun, and their end before their time (ctnetlink,
 * nf_conntrack_netlink). Reads the whole table: 10 ms when it is empty, a second when it is full. Blocks; lives in the
 * helper process. */
#pragma once

#include <stdbool.h>

#include "fault.h"
#include "policy.h"

/* Ends the flows of which is_over says so; it is asked of every IPv4 flow of this network namespace, and must not ask
 * the kernel for much itself. Returns 0, or a negative errno with why (FAULT_INTERNAL): -EOPNOTSUPP, the kernel cannot
 * do that; the sentence names the module that it lacks. */
__attribute__((warn_unused_result)) int flows_end(bool (*is_over)(const void *arg, const struct policy_flow *flow),
                                                  const void *arg, struct fault *why);
