/* The nftables side of a host whose iptables(8) is iptables-nft: a DROP policy in its "ip filter FORWARD" chain, as
 * Docker and others set it, blocks what our rules allow. Only opens that one chain for our interfaces; the refusals
 * are iptc.c's, and a drop in either wins. Blocks: only the helper process calls it. */
#pragma once

#include "fault.h"

/* Inserts the two accept rules that are missing, or none. No such chain is fine. Returns 0 or a negative errno with
 * why; the egress policy is in force all the same. */
__attribute__((warn_unused_result)) int nft_open_forward(const char *interface_prefix, struct fault *why);
