/* The rules that make a policy, as plain data: every chain, in order. Pure; iptc.c writes them into the kernel and
 * reads them back. docs/netpolicy.md explains each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cidr.h"
#include "policy.h"

enum rule_verdict { RULE_DROP, RULE_ACCEPT, RULE_RETURN, RULE_MASQUERADE, RULE_JUMP, RULE_OTHER };

enum {
        RULE_NOT_SOURCE = 1 << 0, /* the source is outside the CIDR */
        RULE_NOT_OUT = 1 << 1,    /* leaves by another interface */
        RULE_TO_HOST = 1 << 2,    /* the destination is an address or a broadcast address of the host (xt_addrtype) */
        RULE_IS_REPLY = 1 << 3,   /* conntrack state RELATED or ESTABLISHED */
        RULE_WRONG_PATH = 1 << 4, /* the way back to the source is another interface (xt_rpfilter, inverted) */
        RULE_OPAQUE = 1 << 5,     /* only read back: it has more parts than this struct can say */
        RULE_ORIGINALLY = 1 << 6, /* the destination and port are those before any DNAT (xt_conntrack) */
        RULE_IS_FIRST = 1 << 7,   /* of its flow, which is not in the table yet (xt_conntrack, not CONFIRMED) */
        RULE_TOO_FAST = 1 << 8,   /* the source has begun more than `limit` a second, behind `burst` (xt_hashlimit) */
        RULE_TOO_MANY = 1 << 9,   /* the source has more than `limit` flows (xt_connlimit) */
};

/* Zero means any. Compared with memcmp by nobody: rule_is_equal. */
struct rule {
        char in[16], out[16]; /* an interface, or a prefix with "+" behind, as iptables(8) writes it */
        struct cidr source, destination;
        uint16_t port;    /* destination port; only with protocol tcp or udp */
        uint8_t protocol; /* IPPROTO_* */
        uint16_t flags;   /* RULE_* */
        uint32_t limit, burst;
        enum rule_verdict verdict;
        char target[32];  /* of RULE_JUMP the chain, of RULE_OTHER the target's name as far as known */
        uint64_t packets; /* only read back */
};

enum rule_family { RULE_IPV4, RULE_IPV6, RULE_FAMILIES };

/* One chain of ours: the rules in it, and the anchors that lead to it from a built-in chain. */
struct rule_chain {
        enum rule_family family;
        const char *table; /* "raw", "filter", "nat" or "mangle" */
        const char *hook;  /* the built-in chain: "PREROUTING" */
        /* Nothing may stand before the anchors that could let a carrel's packet pass unseen. Elsewhere (the chains
         * that only open or translate) another's jump before ours does no harm. */
        bool is_judge;
        /* It only bounds: a kernel that lacks the table or a match of it still has every denied packet dropped. */
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
        size_t chain_count;                    /* RULE_CHAINS, or one less: without what may be missing, the last */
        size_t count;                          /* of rules */
        struct rule rules[RULE_ROOM];
};

/* Never fails: every valid policy has room. flows_max: policy_flows_max, or 0: flows are not bounded at all, neither
 * by number nor by rate. The ruleset points into itself: never copy it. */
void rules_make(struct ruleset *ret_ruleset, const struct policy *policy, uint32_t flows_max);

bool rule_is_equal(const struct rule *a, const struct rule *b); /* but for packets */

/* No packet can match both: an interface pattern or the sources keep them apart. */
bool rule_is_disjoint(const struct rule *a, const struct rule *b);

/* Like iptables-save: "-i carrel+ -d 10.0.0.0/8 -j DROP". */
enum { RULE_TEXT_BYTES = 160 };
void rule_format(const struct rule *rule, char text[static RULE_TEXT_BYTES]);
