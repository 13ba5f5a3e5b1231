#include "enforcer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "flows.h"
#include "iptc.h"
#include "nft.h"
#include "rules.h"
#include "sysctl.h"

enum { OPENING_INTERVAL_MS = 900 /* below the second between two periodic checks */ };

struct counter {
        bool is_known;
        uint64_t last; /* as read */
};

struct enforcer {
        bool has_policy;
        bool was_applied; /* the policy has been in force, so rules that are missing now were removed by others */
        struct policy policy;
        struct policy_names names;
        struct ruleset ruleset;
        struct enforcer_state state;
        struct counter dropped, refused;
        struct fault unbounded; /* why the kernel cannot limit flows, or FAULT_NONE */
        int64_t opened_ms;      /* of the last open_ways; 0: it is due now */
        struct fault obstacle;  /* why that failed, or FAULT_NONE */
        bool is_cut;            /* flows from before these rules, which they deny, have been ended */
        struct fault uncut;     /* why not, or FAULT_NONE */
};

int enforcer_new(struct enforcer **ret_enforcer)
{
        struct enforcer *enforcer = calloc(1, sizeof *enforcer);

        if (enforcer == NULL)
                return -ENOMEM;
        (void)snprintf(enforcer->state.detail, sizeof enforcer->state.detail, "no policy yet");
        *ret_enforcer = enforcer;
        return 0;
}

struct enforcer *enforcer_free(struct enforcer *enforcer)
{
        free(enforcer);
        return NULL;
}

/* The kernel's counters restart at zero with restored rules. Packets dropped before this process started do not count.
 * Returns the increase since the last read. */
static uint64_t count(struct counter *counter, uint64_t now)
{
        uint64_t before = counter->is_known ? counter->last : now;

        *counter = (struct counter){ true, now };
        return now >= before ? now - before : now;
}

static void make_rules(struct enforcer *enforcer)
{
        enforcer->state.flows_max = enforcer->unbounded.kind != FAULT_NONE
                                            ? 0
                                            : policy_flows_max(&enforcer->policy, enforcer->state.table_size);
        rules_make(&enforcer->ruleset, &enforcer->policy, enforcer->state.flows_max);
}

/* The kernel has no such files before the first rules load connection tracking; the numbers then stay. */
static void read_table(struct enforcer_state *state)
{
        uint32_t flows = 0;
        uint32_t table_size = 0;

        if (sysctl_get_u32("netfilter/nf_conntrack_count", &flows) < 0 ||
            sysctl_get_u32("netfilter/nf_conntrack_max", &table_size) < 0)
                return;
        state->flows = flows;
        state->table_size = table_size;
}

/* A share follows the size of the table, which the operator may change. The new rules do not count as a heal. */
static void look_at_table(struct enforcer *enforcer)
{
        struct enforcer_state *state = &enforcer->state;

        read_table(state);
        if (state->flows_max == 0 || state->flows_max == policy_flows_max(&enforcer->policy, state->table_size))
                return;
        make_rules(enforcer);
        enforcer->was_applied = false;
}

static int mend_rules(struct enforcer *enforcer, struct fault *why)
{
        struct iptc_state found;
        int r = iptc_verify(&enforcer->ruleset, &found, why);

        if (r < 0)
                return r;
        enforcer->state.dropped_packets += count(&enforcer->dropped, found.dropped_packets);
        enforcer->state.refused_packets += count(&enforcer->refused, found.refused_packets);
        if (found.is_in_force)
                return 0;
        enforcer->opened_ms = 0; /* the forwarding rules may have been removed too */
        enforcer->is_cut = false;
        r = iptc_install(&enforcer->ruleset, why);
        if (r == 0 && enforcer->was_applied)
                enforcer->state.heals++;
        if (r == 0)
                (void)snprintf(enforcer->state.detail, sizeof enforcer->state.detail, "in force (%s)",
                               enforcer->was_applied ? "restored" : "installed");
        return r;
}

/* A kernel that cannot limit flows still drops denied packets, so the policy is in force, and the status says what is
 * missing. */
static int check_rules(struct enforcer *enforcer, struct fault *why)
{
        int r = mend_rules(enforcer, why);

        if (r != -EOPNOTSUPP || enforcer->state.flows_max == 0)
                return r;
        enforcer->unbounded = *why;
        make_rules(enforcer);
        return mend_rules(enforcer, why);
}

/* These settings only allow. If they fail, allowed targets may be unreachable, but denied ones are not reachable. So
 * the periodic check and a heal look at them, and a plug does not. */
static void open_ways(struct enforcer *enforcer, int64_t now_ms)
{
        struct fault *why = &enforcer->obstacle;
        int r;

        if (enforcer->opened_ms == 0 || now_ms - enforcer->opened_ms >= OPENING_INTERVAL_MS) {
                enforcer->opened_ms = now_ms;
                *why = (struct fault){ 0 };
                r = sysctl_set("ipv4/ip_forward", "1");
                if (r < 0)
                        (void)fault_set(why, FAULT_INTERNAL, -r, "net.ipv4.ip_forward cannot be set: %s", strerror(-r));
                if (nft_open_forward(enforcer->names.interface_prefix, why) < 0)
                        enforcer->opened_ms = 0; /* try again at the next check: it may have been a passing error */
        }
}

static bool is_denied(const void *policy, const struct policy_flow *flow)
{
        const struct cidr *network = &((const struct policy *)policy)->network;

        return cidr_overlaps(*network, (struct cidr){ .address = flow->source, .length = 32 }) &&
               !policy_allows(policy, flow);
}

/* Flows from before these rules send no more denied packets, but would still receive. If the kernel cannot end them,
 * the status says so; after any other error the next check tries again. */
static void cut_denied(struct enforcer *enforcer)
{
        int r = 0;

        if (enforcer->is_cut)
                return;
        enforcer->uncut = (struct fault){ 0 };
        r = flows_end(is_denied, &enforcer->policy, &enforcer->uncut);
        enforcer->is_cut = r == 0 || r == -EOPNOTSUPP;
}

static void add_remark(struct enforcer *enforcer)
{
        const struct fault *remark = &enforcer->obstacle;

        if (remark->kind == FAULT_NONE)
                remark = enforcer->unbounded.kind != FAULT_NONE ? &enforcer->unbounded : &enforcer->uncut;
        if (remark->kind != FAULT_NONE)
                (void)snprintf(enforcer->state.detail, sizeof enforcer->state.detail, "in force, but %.170s",
                               remark->message);
}

int enforcer_check(struct enforcer *enforcer, struct fault *why)
{
        struct enforcer_state *state = &enforcer->state;
        struct fault problem = { 0 };
        int64_t now_ms = clock_boottime_ms();
        int r;

        if (!enforcer->has_policy)
                return fault_set(why, FAULT_POLICY_NOT_IN_FORCE, ENODATA, "carrel-netd has no policy yet");
        (void)snprintf(state->detail, sizeof state->detail, "in force");
        look_at_table(enforcer);
        r = check_rules(enforcer, &problem);
        state->is_in_force = r == 0;
        state->checked_ms = now_ms;
        if (r < 0) {
                (void)snprintf(state->detail, sizeof state->detail, "%.191s", problem.message);
                return fault_pass(why, &problem);
        }
        enforcer->was_applied = true;
        open_ways(enforcer, now_ms);
        cut_denied(enforcer);
        add_remark(enforcer);
        return 0;
}

int enforcer_apply(struct enforcer *enforcer, const struct policy *policy, bool was_in_force, struct fault *why)
{
        enforcer->has_policy = true;
        enforcer->was_applied = was_in_force;
        enforcer->opened_ms = 0;
        enforcer->is_cut = false;
        enforcer->policy = *policy;
        policy_name(&enforcer->policy, &enforcer->names);
        enforcer->unbounded = (struct fault){ 0 };
        read_table(&enforcer->state);
        make_rules(enforcer);
        return enforcer_check(enforcer, why);
}

const struct policy *enforcer_policy(const struct enforcer *enforcer)
{
        return enforcer->has_policy ? &enforcer->policy : NULL;
}

const struct enforcer_state *enforcer_state(const struct enforcer *enforcer)
{
        return &enforcer->state;
}
