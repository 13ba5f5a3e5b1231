#include "netpolicy.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "helper.h"
#include "list.h"
#include "policy.h"
#include "protocol.h"
#include "str.h"
#include "transport.h"

#define CALL_DEADLINE_S 10.0
#define TICK_S 0.25
#define STUCK_MS 15000 /* a helper that is silent for so long is killed and started again */

struct netpolicy {
        struct ev_loop *loop;
        struct transport *transport;
        void (*on_change)(void *arg, const struct netpolicy_status *status);
        void *arg;
        struct list calls;
        uint64_t last_number;
        struct protocol_apply wanted;
        uint64_t apply_number; /* of the request that asked for it last */
        bool is_answered;      /* that one */
        bool is_proven;        /* wanted has been in force: with a new helper, what is missing was taken away */
        bool is_up;
        bool was_in_force;             /* as told last */
        int64_t heard_ms;              /* when anything came from the helper, or it was started */
        struct protocol_state state;   /* of the last reply; its counters begin anew with every helper */
        uint64_t heals, alarms, drops; /* of all helpers */
        uint64_t refused;
        bool is_table_filling;
        ev_timer tick;
        ev_timer tell; /* calls on_change from the loop, never from inside a reply */
};

struct netpolicy_call {
        struct list node;
        struct netpolicy *netpolicy;
        uint64_t number;
        uint16_t verb;
        bool is_refused; /* the helper is gone: ends at the loop's next turn */
        netpolicy_done done;
        void *arg;
        ev_timer deadline;
};

static void read_texts(const struct netpolicy_options *options, struct policy_texts *ret_texts)
{
        *ret_texts = (struct policy_texts){
                options->pool,      options->network_cidr,    options->deny,       options->allow, options->dns,
                options->flows_max, options->flows_new_per_s, options->max_carrels
        };
}

static int read_options(const struct netpolicy_options *options, struct protocol_apply *ret_apply, struct fault *why)
{
        double interval_ms = options->check_interval_s * 1000;
        struct protocol_apply apply = { 0 };
        struct policy_texts texts;
        int r;

        if (!(interval_ms >= PROTOCOL_INTERVAL_LEAST_MS && interval_ms <= NETPOLICY_FRESH_S * 500))
                return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "the check interval must be 0.05 to %.1f s",
                                 NETPOLICY_FRESH_S / 2);
        read_texts(options, &texts);
        r = policy_parse(&apply.policy, &texts, why);
        if (r < 0)
                return r;
        apply.check_interval_ms = (uint32_t)interval_ms;
        *ret_apply = apply;
        return 0;
}

int netpolicy_check(const struct netpolicy_options *options, struct fault *why)
{
        struct protocol_apply apply;

        return read_options(options, &apply, why);
}

static bool is_fresh(const struct netpolicy *netpolicy)
{
        return clock_boottime_ms() - netpolicy->state.checked_ms < (int64_t)(NETPOLICY_FRESH_S * 1000);
}

bool netpolicy_is_in_force(const struct netpolicy *netpolicy)
{
        return netpolicy->is_up && netpolicy->state.is_in_force != 0 && is_fresh(netpolicy);
}

static const char *find_trouble(const struct netpolicy *netpolicy)
{
        if (!netpolicy->is_up)
                return "carrel-netd has died and is started again";
        if (netpolicy->state.checked_ms == 0)
                return "carrel-netd has not reported yet";
        if (!is_fresh(netpolicy))
                return "carrel-netd does not report: stopped, or stuck";
        return NULL;
}

/* What is wrong, or "in force" with a remark. */
static void describe(const struct netpolicy *netpolicy, char *detail, size_t size)
{
        const char *trouble = find_trouble(netpolicy);

        if (trouble == NULL && netpolicy->is_table_filling && netpolicy->state.is_in_force != 0)
                (void)snprintf(detail, size,
                               "in force, but the host's connection-tracking table holds %u of %u: see flows_max in "
                               "carrel.conf(5), or raise net.netfilter.nf_conntrack_max",
                               (unsigned)netpolicy->state.flows, (unsigned)netpolicy->state.table_size);
        else
                (void)snprintf(detail, size, "%.191s", trouble != NULL ? trouble : netpolicy->state.detail);
}

bool netpolicy_can_connect(const struct netpolicy *netpolicy)
{
        return netpolicy->transport == NULL || !netpolicy->transport->is_powerless;
}

void netpolicy_status(const struct netpolicy *netpolicy, struct netpolicy_status *ret_status)
{
        *ret_status = (struct netpolicy_status){
                .is_in_force = netpolicy_is_in_force(netpolicy),
                .has_helper = netpolicy->is_up,
                .can_connect = netpolicy_can_connect(netpolicy),
                .heals = netpolicy->heals,
                .alarms = netpolicy->alarms,
                .dropped_packets = netpolicy->drops,
                .refused_packets = netpolicy->refused,
                .flows = netpolicy->state.flows,
                .table_size = netpolicy->state.table_size,
                .flows_max = netpolicy->state.flows_max,
                .is_table_filling = netpolicy->is_table_filling,
        };
        describe(netpolicy, ret_status->detail, sizeof ret_status->detail);
}

static void tell_later(struct netpolicy *netpolicy)
{
        if (netpolicy->on_change != NULL && !ev_is_active(&netpolicy->tell)) {
                ev_timer_set(&netpolicy->tell, 0., 0.);
                ev_timer_start(netpolicy->loop, &netpolicy->tell);
        }
}

/* Notices when "in force" has changed, by a report, by silence or by a death. */
static void reconsider(struct netpolicy *netpolicy)
{
        bool is_in_force = netpolicy_is_in_force(netpolicy);

        if (is_in_force == netpolicy->was_in_force)
                return;
        netpolicy->was_in_force = is_in_force;
        netpolicy->alarms += !is_in_force;
        tell_later(netpolicy);
}

static void on_tell(struct ev_loop *loop, ev_timer *watcher, int events)
{
        struct netpolicy *netpolicy = watcher->data;
        struct netpolicy_status status;

        (void)loop;
        (void)events;
        netpolicy_status(netpolicy, &status);
        netpolicy->on_change(netpolicy->arg, &status);
}

static void on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
        struct netpolicy *netpolicy = watcher->data;

        (void)loop;
        (void)events;
        reconsider(netpolicy);
        if (netpolicy->is_up && clock_boottime_ms() - netpolicy->heard_ms > STUCK_MS) {
                netpolicy->heard_ms = clock_boottime_ms();
                netpolicy->transport->ops->restart(netpolicy->transport);
        }
}

static void call_free(struct netpolicy_call *call)
{
        list_remove(&call->node);
        ev_timer_stop(call->netpolicy->loop, &call->deadline);
        free(call);
}

/* The last thing a handler does: done may free everything. */
static void call_end(struct netpolicy_call *call, const struct netpolicy_link *link, const struct fault *why)
{
        netpolicy_done done = call->done;
        void *arg = call->arg;

        call_free(call);
        done(arg, link, why);
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
        struct netpolicy_call *call = watcher->data;
        struct fault why = { 0 };

        (void)loop;
        (void)events;
        if (call->is_refused)
                (void)fault_set(&why, FAULT_POLICY_NOT_IN_FORCE, ENOTCONN, "the egress policy is not in force: %s",
                                "carrel-netd does not take requests, and is started again");
        else
                (void)fault_set(&why, FAULT_DEADLINE, ETIMEDOUT, "carrel-netd did not answer in %.0f s",
                                CALL_DEADLINE_S);
        call_end(call, NULL, &why);
}

static void call_arm(struct netpolicy_call *call, double after_s)
{
        ev_timer_stop(call->netpolicy->loop, &call->deadline);
        ev_timer_set(&call->deadline, after_s, 0.);
        ev_timer_start(call->netpolicy->loop, &call->deadline);
}

static void call_refuse(struct netpolicy_call *call)
{
        call->is_refused = true;
        call_arm(call, 0.);
}

static struct protocol_request make_request(uint16_t verb, uint64_t number)
{
        return (struct protocol_request){
                .magic = PROTOCOL_MAGIC, .version = PROTOCOL_VERSION, .verb = verb, .number = number
        };
}

static int call_start(struct netpolicy *netpolicy, struct protocol_request *request, netpolicy_done done, void *arg,
                      struct netpolicy_call **ret_call)
{
        struct netpolicy_call *call = calloc(1, sizeof *call);

        if (call == NULL)
                return -ENOMEM;
        request->number = ++netpolicy->last_number;
        *call = (struct netpolicy_call){
                .netpolicy = netpolicy, .number = request->number, .verb = request->verb, .done = done, .arg = arg
        };
        list_append(&netpolicy->calls, &call->node);
        ev_timer_init(&call->deadline, on_deadline, CALL_DEADLINE_S, 0.);
        call->deadline.data = call;
        call_arm(call, CALL_DEADLINE_S);
        if (netpolicy->transport->ops->send(netpolicy->transport, request) < 0)
                call_refuse(call);
        if (ret_call != NULL)
                *ret_call = call;
        return 0;
}

static struct netpolicy_call *find_call(const struct netpolicy *netpolicy, const struct protocol_reply *reply)
{
        LIST_EACH (&netpolicy->calls, node) {
                struct netpolicy_call *call = LIST_ENTRY(node, struct netpolicy_call, node);

                if (call->number == reply->number && call->verb == reply->verb && !call->is_refused)
                        return call;
        }
        return NULL;
}

/* The alarm ends only well below where it began, so that a table on the edge does not ring all the time. */
static void watch_table(struct netpolicy *netpolicy, const struct protocol_state *state)
{
        const double calm = NETPOLICY_FILL_ALARM - 0.1;
        double fill = state->table_size > 0 ? (double)state->flows / (double)state->table_size : 0;
        bool is_filling = fill >= (netpolicy->is_table_filling ? calm : NETPOLICY_FILL_ALARM);

        if (is_filling == netpolicy->is_table_filling)
                return;
        netpolicy->is_table_filling = is_filling;
        netpolicy->alarms += is_filling;
        tell_later(netpolicy);
}

static void take_state(struct netpolicy *netpolicy, const struct protocol_state *state)
{
        if (state->heals > netpolicy->state.heals) {
                netpolicy->heals += state->heals - netpolicy->state.heals;
                netpolicy->alarms += state->heals - netpolicy->state.heals;
                tell_later(netpolicy);
        }
        if (state->dropped_packets > netpolicy->state.dropped_packets)
                netpolicy->drops += state->dropped_packets - netpolicy->state.dropped_packets;
        if (state->refused_packets > netpolicy->state.refused_packets)
                netpolicy->refused += state->refused_packets - netpolicy->state.refused_packets;
        watch_table(netpolicy, state);
        netpolicy->state = *state;
        netpolicy->is_proven = netpolicy->is_proven || (netpolicy->is_answered && state->is_in_force != 0);
        netpolicy->heard_ms = clock_boottime_ms();
        reconsider(netpolicy);
}

void netpolicy_on_reply(struct netpolicy *netpolicy, const struct protocol_reply *reply)
{
        struct netpolicy_call *call = find_call(netpolicy, reply);
        struct netpolicy_link link = { 0 };
        struct fault why = { 0 };

        if (reply->verb == PROTOCOL_APPLY && reply->number == netpolicy->apply_number)
                netpolicy->is_answered = true;
        take_state(netpolicy, &reply->state);
        if (call == NULL)
                return;
        if (reply->kind != FAULT_NONE) {
                (void)fault_set(&why, (enum fault_kind)reply->kind, (int)reply->err, "%s", reply->message);
                call_end(call, NULL, &why);
                return;
        }
        memcpy(link.interface, reply->interface, sizeof link.interface);
        memcpy(link.address, reply->address, sizeof link.address);
        call_end(call, reply->verb == PROTOCOL_PLUG ? &link : NULL, NULL);
}

void netpolicy_on_up(struct netpolicy *netpolicy)
{
        struct protocol_request request = make_request(PROTOCOL_APPLY, 0);

        netpolicy->is_up = true;
        netpolicy->state = (struct protocol_state){ 0 };
        netpolicy->heard_ms = clock_boottime_ms();
        request.apply = netpolicy->wanted;
        request.apply.was_in_force = netpolicy->is_proven;
        netpolicy->apply_number = request.number;
        netpolicy->is_answered = false;
        if (netpolicy->transport->ops->send(netpolicy->transport, &request) < 0)
                netpolicy->transport->ops->restart(netpolicy->transport);
}

void netpolicy_on_down(struct netpolicy *netpolicy)
{
        netpolicy->is_up = false;
        netpolicy->state = (struct protocol_state){ 0 };
        LIST_EACH (&netpolicy->calls, node) {
                call_refuse(LIST_ENTRY(node, struct netpolicy_call, node));
        }
        reconsider(netpolicy);
}

int netpolicy_make(struct netpolicy **ret_netpolicy, struct ev_loop *loop,
                   void (*on_change)(void *arg, const struct netpolicy_status *status), void *arg)
{
        struct netpolicy *netpolicy = calloc(1, sizeof *netpolicy);

        if (netpolicy == NULL)
                return -ENOMEM;
        netpolicy->loop = loop;
        netpolicy->on_change = on_change;
        netpolicy->arg = arg;
        list_init(&netpolicy->calls);
        ev_timer_init(&netpolicy->tick, on_tick, TICK_S, TICK_S);
        ev_timer_init(&netpolicy->tell, on_tell, 0., 0.);
        netpolicy->tick.data = netpolicy->tell.data = netpolicy;
        *ret_netpolicy = netpolicy;
        return 0;
}

void netpolicy_attach(struct netpolicy *netpolicy, struct transport *transport)
{
        netpolicy->transport = transport;
        ev_timer_start(netpolicy->loop, &netpolicy->tick);
        netpolicy_on_up(netpolicy);
}

struct transport *netpolicy_transport(const struct netpolicy *netpolicy)
{
        return netpolicy->transport;
}

int netpolicy_new(struct netpolicy **ret_netpolicy, struct ev_loop *loop, const struct netpolicy_options *options,
                  void (*on_change)(void *arg, const struct netpolicy_status *status), void *arg, struct fault *why)
{
        struct protocol_apply wanted;
        struct netpolicy *netpolicy = NULL;
        struct transport *transport = NULL;
        int r = read_options(options, &wanted, why);

        if (r < 0)
                return r;
        if (netpolicy_make(&netpolicy, loop, on_change, arg) < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        netpolicy->wanted = wanted;
        r = helper_new(&transport, netpolicy, loop, options->helper_path, why);
        if (r < 0) {
                (void)netpolicy_free(netpolicy);
                return r;
        }
        netpolicy_attach(netpolicy, transport);
        *ret_netpolicy = netpolicy;
        return 0;
}

struct netpolicy *netpolicy_free(struct netpolicy *netpolicy)
{
        if (netpolicy == NULL)
                return NULL;
        LIST_EACH (&netpolicy->calls, node) {
                call_free(LIST_ENTRY(node, struct netpolicy_call, node));
        }
        ev_timer_stop(netpolicy->loop, &netpolicy->tick);
        ev_timer_stop(netpolicy->loop, &netpolicy->tell);
        if (netpolicy->transport != NULL)
                (void)netpolicy->transport->ops->free(netpolicy->transport);
        free(netpolicy);
        return NULL;
}

int netpolicy_confirm(struct netpolicy *netpolicy, netpolicy_done done, void *arg, struct netpolicy_call **ret_call)
{
        struct protocol_request request = make_request(PROTOCOL_CONFIRM, 0);

        return call_start(netpolicy, &request, done, arg, ret_call);
}

int netpolicy_plug(struct netpolicy *netpolicy, int pid, const char *container_id, netpolicy_done done, void *arg,
                   struct netpolicy_call **ret_call)
{
        struct protocol_request request = make_request(PROTOCOL_PLUG, 0);
        struct fault why;

        request.plug.pid = pid;
        if (str_copy(request.plug.container_id, sizeof request.plug.container_id, container_id) < 0 ||
            protocol_check_request(&request, protocol_request_size(request.verb), &why) < 0)
                return -EINVAL;
        return call_start(netpolicy, &request, done, arg, ret_call);
}

int netpolicy_apply(struct netpolicy *netpolicy, const struct netpolicy_options *options, netpolicy_done done,
                    void *arg, struct netpolicy_call **ret_call)
{
        struct protocol_request request = make_request(PROTOCOL_APPLY, 0);
        const struct policy *now = &netpolicy->wanted.policy;

        if (read_options(options, &request.apply, NULL) < 0)
                return -EINVAL;
        if (now->pool[0] != '\0' && (!str_equal(request.apply.policy.pool, now->pool) ||
                                     !cidr_is_equal(request.apply.policy.network, now->network)))
                return -EPERM;
        netpolicy->wanted = request.apply;
        netpolicy->apply_number = netpolicy->last_number + 1;
        netpolicy->is_answered = netpolicy->is_proven = false;
        return call_start(netpolicy, &request, done, arg, ret_call);
}

struct netpolicy_call *netpolicy_cancel(struct netpolicy_call *call)
{
        if (call != NULL)
                call_free(call);
        return NULL;
}
