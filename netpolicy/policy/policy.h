/* The egress policy as data: from the settings' texts, bounded and checked; pure.
 * The built-in deny list is not part of it: rules.c adds it to every policy, so that no setting and no client of
 * the helper can leave it out. */
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
        POLICY_PINHOLE_SHORTEST = 8, /* a wider pinhole would be a policy of its own */
        POLICY_FLOWS_MOST = 1000000,
        POLICY_FLOWS_PER_S_MOST = 10000,
        POLICY_SHARE_LEAST = 256, /* of flows: below that ordinary programs wait */
        POLICY_SHARE_MOST = 4096,
};

/* What may be reached although a denied network covers it. */
struct pinhole {
        struct cidr to;
        uint16_t port; /* tcp and udp; 0: every port */
        uint16_t reserved;
};

/* Fixed layout without padding: it travels to the helper as it is. */
struct policy {
        char pool[POLICY_POOL_BYTES]; /* [A-Za-z0-9._-]+, padded with NULs */
        struct cidr network;          /* where the carrels' addresses come from */
        uint32_t denied_count;
        uint32_t pinhole_count;
        uint32_t flows_max;       /* of a carrel at once; 0: its share of the table (policy_flows_max) */
        uint32_t flows_new_per_s; /* of a carrel; 0: as fast as it can */
        uint32_t carrels_max;     /* that share the table */
        uint32_t reserved;
        struct cidr denied[POLICY_DENIED_MAX];
        struct pinhole pinholes[POLICY_PINHOLES_MAX];
};

struct policy_texts {
        const char *pool, *network_cidr;
        const char *deny, *allow, *dns; /* comma-separated, spaces around items are fine; NULL or "": none */
        uint32_t flows_max, flows_new_per_s, carrels_max;
};

/* The names a pool has in the kernel. "default" owns interfaces "carrel<n>" and chains "CARREL...", another pool
 * "car<5 hex digits>.<n>" and "CARREL-<5 hex digits>...", a hash of its name: neither's interface pattern matches
 * the other's interfaces. In the filter table, which holds two, the hook's name is behind it: "CARREL-FORWARD". */
struct policy_names {
        char interface_prefix[16];
        char chain[16];
};

/* Returns 0, or -EINVAL with the sentence in why (FAULT_SETTING_INVALID). */
__attribute__((warn_unused_result)) int policy_parse(struct policy *ret_policy, const struct policy_texts *texts,
                                                     struct fault *why);

/* Checks a policy that came from outside: every bound, name and address. 0 or -EINVAL with why. */
__attribute__((warn_unused_result)) int policy_validate(const struct policy *policy, struct fault *why);

/* A flow that a carrel began, as it was before any translation. */
struct policy_flow {
        uint32_t source, destination; /* host byte order */
        uint16_t port;                /* destination's; 0 where the protocol has none */
        uint8_t protocol;             /* IPPROTO_* */
        bool is_to_host;              /* it ends at an address of the host's own */
};

/* Whether the judge (rules.c) lets it pass; of its source nothing is asked. */
bool policy_allows(const struct policy *policy, const struct policy_flow *flow);

/* How many flows a carrel may have at once: what the policy says, or three quarters of a connection-tracking table of
 * this size by carrels_max, but POLICY_SHARE_LEAST to POLICY_SHARE_MOST. table_size 0: nobody knows it. */
uint32_t policy_flows_max(const struct policy *policy, uint32_t table_size);

void policy_name(const struct policy *policy, struct policy_names *ret_names);
