/* The rules of a policy as plain data: every chain, in order. Pure: iptc.c writes them into the kernel and reads them
 * back. docs/netpolicy.md explains each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cidr.h"
#include "policy.h"

enum rule_verdict { RULE_DROP, RULE_ACCEPT, RULE_RETURN, RULE_MASQUERADE, RULE_JUMP, RULE_OTHER };

enum {
        RULE_NOT_SOURCE = 1 << 0, /* the source is outside the CIDR */
        RULE_NOT_OUT = 1 << 1,    /* it leaves by another interface */
        RULE_TO_HOST = 1 << 2,    /* the destination is an address or a broadcast address of the host (xt_addrtype) */
        RULE_IS_REPLY = 1 << 3,   /* conntrack state RELATED or ESTABLISHED */
        RULE_WRONG_PATH = 1 << 4, /* the route to the source is by another interface (xt_rpfilter, inverted) */
        RULE_OPAQUE = 1 << 5,     /* only read back: it has parts that this struct cannot express */
        RULE_ORIGINALLY = 1 << 6, /* the destination and port are those before any DNAT (xt_conntrack) */
        RULE_IS_FIRST = 1 << 7, /* first packet of a flow that is not in the table yet (xt_conntrack, not CONFIRMED) */
        RULE_TOO_FAST = 1 << 8, /* the source begins more than `limit` a second after `burst` (xt_hashlimit) */
        RULE_TOO_MANY = 1 << 9, /* the source has more than `limit` flows (xt_connlimit) */
};

/* Zero means any. Compare with rule_is_equal, not with memcmp. */
struct rule {
        char in[16], out[16]; /* an interface, or a prefix followed by "+", as in iptables(8) */
        struct cidr source, destination;
        uint16_t port;    /* destination port; only with protocol tcp or udp */
        uint8_t protocol; /* IPPROTO_* */
        uint16_t flags;   /* RULE_* */
        uint32_t limit, burst;
        enum rule_verdict verdict;
        char target[32];  /* RULE_JUMP: the chain; RULE_OTHER: the target's name if known */
        uint64_t packets; /* only read back */
};

enum rule_family { RULE_IPV4, RULE_IPV6, RULE_FAMILIES };

/* One chain of ours: the rules in it, and the anchors that lead to it from a built-in chain. */
struct rule_chain {
        enum rule_family family;
        const char *table; /* "raw", "filter", "nat" or "mangle" */
        const char *hook;  /* the built-in chain: "PREROUTING" */
        /* No rule before the anchors may let a carrel's packet pass unseen. In the other chains, which only accept or
         * translate, a foreign jump before ours does no harm. */
        bool is_judge;
        /* It only limits flows: a kernel without the table or one of its matches still drops every denied packet. */
        bool may_be_missing;
        char name[32];
        struct rule anchors[2];
        size_t anchor_count;
        const struct rule *rules; /* in the ruleset */
        size_t count;
};

enum {
        RULE_CHAINS = 8,
        RULE_ROOM = 2 * POLICY_DENIED_MAX + 6 * POLICY_PINHOLES_MAX + 128,
};

struct ruleset {
        struct rule_chain chains[RULE_CHAINS]; /* grouped by family and table; the judges first */
        size_t chain_count;                    /* RULE_CHAINS, or one less without the last, which may be missing */
        size_t count;                          /* of rules */
        struct rule rules[RULE_ROOM];
};

/* Never fails: every valid policy fits. flows_max: policy_flows_max, or 0: no limit of flows, neither by number nor by
 * rate. The ruleset points into itself: never copy it. */
void rules_make(struct ruleset *ret_ruleset, const struct policy *policy, uint32_t flows_max);

bool rule_is_equal(const struct rule *a, const struct rule *b); /* except for packets */

/* Whether no packet can match both: the interface patterns or the sources differ. */
bool rule_is_disjoint(const struct rule *a, const struct rule *b);

/* Like iptables-save: "-i carrel+ -d 10.0.0.0/8 -j DROP". */
enum { RULE_TEXT_BYTES = 160 };
void rule_format(const struct rule *rule, char text[static RULE_TEXT_BYTES]);
