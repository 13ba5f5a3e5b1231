/* The host's connection-tracking table: finds flows of carrels and ends them (ctnetlink, nf_conntrack_netlink). Reads
 * the whole table: 10 ms if it is empty, a second if it is full. Blocks; runs in carrel-netd. */
#pragma once

#include <stdbool.h>

#include "fault.h"
#include "policy.h"

/* Ends the flows for which is_over returns true. It is called for every IPv4 flow of this network namespace, so it must
 * be cheap. Returns 0, or a negative errno with why (FAULT_INTERNAL): -EOPNOTSUPP: the kernel cannot do that, and the
 * message names the missing module. */
__attribute__((warn_unused_result)) int flows_end(bool (*is_over)(const void *arg, const struct policy_flow *flow),
                                                  const void *arg, struct fault *why);
