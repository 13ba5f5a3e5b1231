/* The client of carrel-netd: egress policy and the carrels' dedicated network, without a blocking call on the loop.
 * The helper process is forked and executed first; it holds the network privileges, checks the rules once a
 * second, heals them, and reports. While there is no fresh report (older than NETPOLICY_FRESH_S) the policy counts
 * as not in force: fail closed. A helper that dies is started again. */
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
        const char *pool;         /* pool name: "default" has interfaces carrel<n>, others a hashed prefix */
        const char *network_cidr; /* where carrels' addresses come from, "10.213.0.0/16"; /8 to /28 */
        const char *deny;         /* the operator's denied CIDRs, separated by commas; may be "" */
        const char *allow;        /* pinholes CIDR[:port], separated by commas; may be "" */
        const char *dns;          /* resolvers: each gets a pinhole for port 53 udp and tcp; may be "" */
        double check_interval_s;  /* 1.0; 0.05 to NETPOLICY_FRESH_S / 2 */
        unsigned flows_max; /* connections of a carrel at once, 0 to 1,000,000; 0: its share of the host's table */
        unsigned flows_new_per_s; /* 0 to 10,000 a carrel; 0: as many as it can */
        unsigned max_carrels;     /* that share the table */
};

/* What a carreld without privileges says to who wants more than loopback. */
#define NETPOLICY_POWERLESS                                                                                            \
        "carreld has no CAP_NET_ADMIN and CAP_NET_RAW, so that only carrels with policy none can be had: ask for "     \
        "policy "                                                                                                      \
        "none, or give carreld the capabilities"

struct netpolicy_status {
        bool is_in_force;
        bool has_helper;
        bool can_connect;         /* false: without privileges, only carrels with policy none are possible */
        uint64_t heals;           /* times the rules were found missing and were put back */
        uint64_t alarms;          /* times the policy was found not in force, healed at once or not */
        uint64_t dropped_packets; /* by our DROP rules, since netpolicy_new */
        uint64_t refused_packets; /* of connections beyond a carrel's bounds, since netpolicy_new */
        uint32_t flows;           /* in the host's connection-tracking table, as reported last */
        uint32_t table_size;      /* 0: the kernel does not say */
        uint32_t flows_max;       /* of a carrel at once; 0: not bounded, and detail says why */
        bool is_table_filling;    /* from NETPOLICY_FILL_ALARM of the table on, until it is well below */
        char detail[192];         /* what is wrong, or "in force" */
};

/* How a carrel is connected. */
struct netpolicy_link {
        char interface[16]; /* on the host: "carrel7" */
        char address[16];   /* the carrel's IPv4 address */
};

/* why NULL on success; link only for plug. Kinds: FAULT_POLICY_NOT_IN_FORCE, FAULT_RESOURCE_EXHAUSTED (no free
 * address), FAULT_CARREL_LOST (that process or its namespace is gone), FAULT_DEADLINE, FAULT_INTERNAL. */
typedef void (*netpolicy_done)(void *arg, const struct netpolicy_link *link, const struct fault *why);

/* Parses and bounds the policy texts alone, as --check does. Returns 0 or -EINVAL with the sentence in why. */
int netpolicy_check(const struct netpolicy_options *options, struct fault *why);

/* Forks and executes the helper, which applies the rules at once. on_change runs whenever is_in_force or
 * is_table_filling changes, and on every heal. Copies options. Returns 0 or a negative errno with why. */
__attribute__((warn_unused_result)) int netpolicy_new(
        struct netpolicy **ret_netpolicy, struct ev_loop *loop, const struct netpolicy_options *options,
        void (*on_change)(void *arg, const struct netpolicy_status *status), void *arg, struct fault *why);
/* Stops the helper (the rules stay in the kernel: containers may still run) and waits for it, at most half a second.
 * Calls in flight are dropped: their done never runs. May be called from inside done and on_change. */
struct netpolicy *netpolicy_free(struct netpolicy *netpolicy);

void netpolicy_status(const struct netpolicy *netpolicy, struct netpolicy_status *ret_status);
/* From memory, for the answer to every ensure: in force, and the last report is fresh. */
bool netpolicy_is_in_force(const struct netpolicy *netpolicy);

/* Asks the helper to compare the kernel's rules with the policy now; heals if needed. Succeeds only when in force. */
int netpolicy_confirm(struct netpolicy *netpolicy, netpolicy_done done, void *arg, struct netpolicy_call **ret_call);
/* Connects the network namespace of process pid with a routed veth. The helper makes sure that the namespace is not
 * the host's, and that pid's cgroup path contains container_id (a reused pid is refused). The interface dies with
 * the namespace. Asking again for the same namespace answers the same link, and completes one that a killed helper
 * left half done. -EINVAL: a pid below 2, or an id that is not 12 to 128 of [A-Za-z0-9_.-]. */
int netpolicy_plug(struct netpolicy *netpolicy, int pid, const char *container_id, netpolicy_done done, void *arg,
                   struct netpolicy_call **ret_call);
/* New policy texts (SIGHUP); in force when done succeeds. Open connections to what is denied now are cut. From here on
 * they are also what a restarted helper applies. -EINVAL: netpolicy_check has the sentence; -EPERM: another pool or
 * network_cidr, which needs a restart. */
int netpolicy_apply(struct netpolicy *netpolicy, const struct netpolicy_options *options, netpolicy_done done,
                    void *arg, struct netpolicy_call **ret_call);
/* After this done never runs. NULL is fine. Returns NULL. */
struct netpolicy_call *netpolicy_cancel(struct netpolicy_call *call);

/* Without CAP_NET_ADMIN: nothing can be connected, so that nothing has to be judged. In force for what has loopback
 * only; netpolicy_plug fails with FAULT_POLICY_NOT_IN_FORCE and says why. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int netpolicy_new_powerless(struct netpolicy **ret_netpolicy, struct ev_loop *loop);
/* Whether netpolicy_plug can ever succeed: not of a powerless one. */
bool netpolicy_can_connect(const struct netpolicy *netpolicy);
/* Whether this process has what carrel-netd needs of it: CAP_NET_ADMIN and CAP_NET_RAW. */
bool netpolicy_has_privileges(void);

/* A policy that is always in force and plugs nothing, for unit tests with the fake engine. is_in_force can be set. */
int netpolicy_new_fake(struct netpolicy **ret_netpolicy, struct ev_loop *loop);
void netpolicy_fake_set(struct netpolicy *netpolicy, bool is_in_force);
