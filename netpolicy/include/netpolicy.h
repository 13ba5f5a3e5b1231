/* The client of carrel-netd: the egress policy and the network of the carrels, without a blocking call on the loop.
 * carrel-netd holds the network privileges. It compares the rules in the kernel with the policy once a second, restores
 * them and reports. Without a report younger than NETPOLICY_FRESH_S the policy counts as not in force (fail closed). A
 * helper that ends is started again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

struct ev_loop;
struct netpolicy;
struct netpolicy_call;

#define NETPOLICY_FRESH_S 3.0
#define NETPOLICY_FILL_ALARM 0.8

struct netpolicy_options {
        const char *helper_path;  /* of carrel-netd, absolute */
        const char *pool;         /* "default" has interfaces carrel<n>, other pools a hashed prefix */
        const char *network_cidr; /* the addresses of carrels, such as "10.213.0.0/16"; /8 to /28 */
        const char *deny;         /* the operator's denied CIDRs, separated by commas; may be "" */
        const char *allow;        /* pinholes CIDR[:port], separated by commas; may be "" */
        const char *dns;          /* resolvers: each gets a pinhole for port 53 udp and tcp; may be "" */
        double check_interval_s;  /* 1.0; 0.05 to NETPOLICY_FRESH_S / 2 */
        unsigned flows_max; /* concurrent connections of a carrel, 0 to 1,000,000; 0: its share of the host's table */
        unsigned flows_new_per_s; /* of a carrel, 0 to 10,000; 0: no limit */
        unsigned max_carrels;     /* the carrels that share the table */
};

/* The message of a carreld without privileges, if a request needs more than loopback. */
#define NETPOLICY_POWERLESS                                                                                            \
        "carreld has no CAP_NET_ADMIN and CAP_NET_RAW, so only carrels with policy none are possible: ask for policy " \
        "none, or give carreld the capabilities"

struct netpolicy_status {
        bool is_in_force;
        bool has_helper;
        bool can_connect;         /* false: no privileges, so only carrels with policy none are possible */
        uint64_t heals;           /* times that missing rules were restored */
        uint64_t alarms;          /* times that the policy was not in force, even if restored at once */
        uint64_t dropped_packets; /* dropped by our rules since netpolicy_new */
        uint64_t refused_packets; /* of connections beyond a carrel's limits, since netpolicy_new */
        uint32_t flows;           /* in the host's connection-tracking table, by the last report */
        uint32_t table_size;      /* 0: unknown */
        uint32_t flows_max;       /* limit of a carrel; 0: no limit, and detail says why */
        bool is_table_filling;    /* the table is filled to NETPOLICY_FILL_ALARM; ends well below */
        char detail[192];         /* what is wrong, or "in force" */
};

/* The network connection of a carrel. */
struct netpolicy_link {
        char interface[16]; /* on the host: "carrel7" */
        char address[16];   /* the carrel's IPv4 address */
};

/* why is NULL on success. link is NULL except after a plug. Kinds: FAULT_POLICY_NOT_IN_FORCE, FAULT_RESOURCE_EXHAUSTED
 * (no free address), FAULT_CARREL_LOST (that process or its namespace has ended), FAULT_DEADLINE, FAULT_INTERNAL. */
typedef void (*netpolicy_done)(void *arg, const struct netpolicy_link *link, const struct fault *why);

/* Only parses and checks the texts of the policy, as --check does. Returns 0 or -EINVAL with the sentence in why. */
int netpolicy_check(const struct netpolicy_options *options, struct fault *why);

/* Starts the helper, which applies the rules at once. on_change runs when is_in_force or is_table_filling changes, and
 * after every heal. Copies options. Returns 0 or a negative errno with why. */
__attribute__((warn_unused_result)) int netpolicy_new(
        struct netpolicy **ret_netpolicy, struct ev_loop *loop, const struct netpolicy_options *options,
        void (*on_change)(void *arg, const struct netpolicy_status *status), void *arg, struct fault *why);
/* Stops the helper and waits for it, at most half a second. The rules stay in the kernel, as containers may still run.
 * Calls in flight are dropped: their done never runs. May be called from inside done and on_change. */
struct netpolicy *netpolicy_free(struct netpolicy *netpolicy);

void netpolicy_status(const struct netpolicy *netpolicy, struct netpolicy_status *ret_status);
/* From memory: the policy is in force, and the last report is fresh. Every ensure asks this. */
bool netpolicy_is_in_force(const struct netpolicy *netpolicy);

/* Asks the helper to compare the kernel's rules with the policy now, and to restore them if needed. Succeeds only when
 * in force. */
int netpolicy_confirm(struct netpolicy *netpolicy, netpolicy_done done, void *arg, struct netpolicy_call **ret_call);
/* Connects the network namespace of process pid with a routed veth. The helper refuses the host's namespace, and a pid
 * whose cgroup path does not contain container_id (it was reused). The interface ends with the namespace. A second plug
 * of the same namespace returns the same link, and completes one that a killed helper left unfinished. is_closed: the
 * host's end stays down and has no route, so nothing passes until it is opened, or plugged again without is_closed; a
 * link that is open stays open. -EINVAL: a pid below 2, or an id that is not 12 to 128 of [A-Za-z0-9_.-]. */
int netpolicy_plug(struct netpolicy *netpolicy, int pid, const char *container_id, bool is_closed, netpolicy_done done,
                   void *arg, struct netpolicy_call **ret_call);
/* Opens a link that was plugged closed; one that is open stays open. When done succeeds, packets pass. The helper
 * refuses an interface that is not this pool's, or whose other end is not in the network namespace of process pid. It
 * does not enter that namespace, which is why this is fast. done gets no link. -EINVAL: a pid below 2, or no name of an
 * interface.
 */
int netpolicy_open(struct netpolicy *netpolicy, int pid, const char *interface, netpolicy_done done, void *arg,
                   struct netpolicy_call **ret_call);
/* Applies new policy texts (SIGHUP). They are in force when done succeeds, and a restarted helper applies them too.
 * Open connections to newly denied targets are cut. -EINVAL: netpolicy_check says why. -EPERM: another pool or
 * network_cidr, which needs a restart. */
int netpolicy_apply(struct netpolicy *netpolicy, const struct netpolicy_options *options, netpolicy_done done,
                    void *arg, struct netpolicy_call **ret_call);
/* After this done never runs. NULL is fine. Returns NULL. */
struct netpolicy_call *netpolicy_cancel(struct netpolicy_call *call);

/* For a process without CAP_NET_ADMIN. It connects no carrel, so there are no packets to filter, and the policy counts
 * as in force. netpolicy_plug and netpolicy_open fail with FAULT_POLICY_NOT_IN_FORCE and say why. Returns 0 or -ENOMEM.
 */
__attribute__((warn_unused_result)) int netpolicy_new_powerless(struct netpolicy **ret_netpolicy, struct ev_loop *loop);
/* Whether netpolicy_plug can succeed: false for a powerless one. */
bool netpolicy_can_connect(const struct netpolicy *netpolicy);
/* Whether this process has CAP_NET_ADMIN and CAP_NET_RAW, which carrel-netd needs. */
bool netpolicy_has_privileges(void);

/* For unit tests with the fake engine: in force until netpolicy_fake_set changes it. A plug connects nothing and
 * succeeds. */
int netpolicy_new_fake(struct netpolicy **ret_netpolicy, struct ev_loop *loop);
void netpolicy_fake_set(struct netpolicy *netpolicy, bool is_in_force);
