/* The egress policy as data, parsed from the settings and checked. Pure. The built-in deny list is not part of it:
 * rules.c adds it to every policy, so no setting and no client of the helper can leave it out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cidr.h"
#include "fault.h"

enum {
        POLICY_DENIED_MAX = 256,
        POLICY_PINHOLES_MAX = 64, /* allow and dns together */
        POLICY_POOL_BYTES = 64,
        POLICY_NETWORK_SHORTEST = 8,
        POLICY_NETWORK_LONGEST = 28,
        POLICY_PINHOLE_SHORTEST = 8, /* the widest pinhole */
        POLICY_FLOWS_MOST = 1000000,
        POLICY_FLOWS_PER_S_MOST = 10000,
        POLICY_SHARE_LEAST = 256, /* of flows; with fewer, ordinary programs would wait */
        POLICY_SHARE_MOST = 4096,
};

/* An allowed target inside a denied network. */
struct pinhole {
        struct cidr to;
        uint16_t port; /* tcp and udp; 0: every port */
        uint16_t reserved;
};

/* Fixed layout without padding: it is sent to the helper as it is. */
struct policy {
        char pool[POLICY_POOL_BYTES]; /* [A-Za-z0-9._-]+, padded with NUL bytes */
        struct cidr network;          /* the addresses of carrels */
        uint32_t denied_count;
        uint32_t pinhole_count;
        uint32_t flows_max;       /* of a carrel; 0: its share of the table (policy_flows_max) */
        uint32_t flows_new_per_s; /* of a carrel; 0: no limit */
        uint32_t carrels_max;     /* carrels that share the table */
        uint32_t reserved;
        struct cidr denied[POLICY_DENIED_MAX];
        struct pinhole pinholes[POLICY_PINHOLES_MAX];
};

struct policy_texts {
        const char *pool, *network_cidr;
        const char *deny, *allow, *dns; /* comma-separated, spaces around items are fine; NULL or "": none */
        uint32_t flows_max, flows_new_per_s, carrels_max;
};

/* The names a pool has in the kernel. "default" owns interfaces "carrel<n>" and chains "CARREL...", another pool "car<5
 * hex digits>.<n>" and "CARREL-<5 hex digits>...", a hash of its name. The interface pattern of one pool never matches
 * the interfaces of another. The filter table has two of our chains, so their names end in the hook: "CARREL-FORWARD".
 */
struct policy_names {
        char interface_prefix[16];
        char chain[16];
};

/* Returns 0, or -EINVAL with a message in why (FAULT_SETTING_INVALID). */
__attribute__((warn_unused_result)) int policy_parse(struct policy *ret_policy, const struct policy_texts *texts,
                                                     struct fault *why);

/* Checks a policy that came from outside: every bound, name and address. 0 or -EINVAL with why. */
__attribute__((warn_unused_result)) int policy_validate(const struct policy *policy, struct fault *why);

/* A flow that a carrel began, before any address translation. */
struct policy_flow {
        uint32_t source, destination; /* host byte order */
        uint16_t port;                /* of the destination; 0 if the protocol has no ports */
        uint8_t protocol;             /* IPPROTO_* */
        bool is_to_host;              /* its destination is the host */
};

/* Whether the judging chain (rules.c) lets it pass. Its source is not checked. */
bool policy_allows(const struct policy *policy, const struct policy_flow *flow);

/* How many flows a carrel may have: the policy's number, or three quarters of a connection-tracking table of this size
 * divided by carrels_max, within POLICY_SHARE_LEAST and POLICY_SHARE_MOST. table_size 0: unknown. */
uint32_t policy_flows_max(const struct policy *policy, uint32_t table_size);

void policy_name(const struct policy *policy, struct policy_names *ret_names);
