/* For a host whose iptables(8) is iptables-nft. Docker and others set a DROP policy in its "ip filter FORWARD" chain,
 * which blocks packets that our rules allow. This only opens that chain for our interfaces. iptc.c writes the rules
 * that drop, and a drop in either wins. Blocks; runs in carrel-netd. */
#pragma once

#include "fault.h"

/* Inserts those of the two accept rules that are missing. Succeeds if the chain does not exist. Returns 0 or a negative
 * errno with why; a failure does not affect whether the egress policy is in force. */
__attribute__((warn_unused_result)) int nft_open_forward(const char *interface_prefix, struct fault *why);
