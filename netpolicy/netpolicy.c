#include "netpolicy.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "helper.h"
#include "list.h"
#include "netpolicy-local.h"
#include "policy.h"
#include "protocol.h"
#include "str.h"

#define CALL_DEADLINE_S 10.0
#define TICK_S 0.25

struct netpolicy {
        struct ev_loop *loop;
        struct helper *helper;
        struct netpolicy_local local; /* of one without carrel-netd */
        void (*on_change)(void *arg, const struct netpolicy_status *status);
        void *arg;
        struct list calls;
        struct protocol_apply wanted;
        uint64_t apply_number; /* of the last request with wanted */
        bool is_answered;      /* there is a reply to it */
        bool is_proven;        /* wanted has been in force, so rules that a new helper misses were removed by others */
        bool is_up;
        bool was_in_force;             /* as of the last on_change */
        struct protocol_state state;   /* of the last reply; its counters restart with every helper */
        uint64_t heals, alarms, drops; /* of all helpers */
        uint64_t refused;
        bool is_table_filling;
        ev_timer tick;
        ev_timer notify; /* calls on_change from the loop, not while a reply is handled */
};

struct netpolicy_call {
        struct list node;
        struct helper_call *request;
        netpolicy_done done;
        void *arg;
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
                return "carrel-netd has ended and is being restarted";
        if (netpolicy->state.checked_ms == 0)
                return "carrel-netd has not reported yet";
        if (!is_fresh(netpolicy))
                return "carrel-netd has stopped reporting";
        return NULL;
}

/* Writes what is wrong, or "in force" with a remark. */
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
        return !netpolicy->local.is_powerless;
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

static void notify_later(struct netpolicy *netpolicy)
{
        if (netpolicy->on_change != NULL && !ev_is_active(&netpolicy->notify)) {
                ev_timer_set(&netpolicy->notify, 0., 0.);
                ev_timer_start(netpolicy->loop, &netpolicy->notify);
        }
}

/* Calls on_change later if "in force" has changed: by a report, by silence or because the helper ended. */
static void reconsider(struct netpolicy *netpolicy)
{
        bool is_in_force = netpolicy_is_in_force(netpolicy);

        if (is_in_force == netpolicy->was_in_force)
                return;
        netpolicy->was_in_force = is_in_force;
        netpolicy->alarms += !is_in_force;
        notify_later(netpolicy);
}

static void on_notify(struct ev_loop *loop, ev_timer *watcher, int events)
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
}

static void call_free(struct netpolicy_call *call)
{
        list_remove(&call->node);
        free(call);
}

static int explain_silence(int err, struct fault *why)
{
        if (err == ENOTCONN)
                return fault_set(why, FAULT_POLICY_NOT_IN_FORCE, err, "the egress policy is not in force: %s",
                                 "carrel-netd takes no requests: it is being restarted");
        return fault_set(why, FAULT_DEADLINE, err, "carrel-netd did not answer in %.0f s", CALL_DEADLINE_S);
}

/* done comes last: it may free everything. */
static void on_answer(void *arg, const void *message, int err)
{
        struct netpolicy_call *call = arg;
        netpolicy_done done = call->done;
        void *done_arg = call->arg;
        const struct protocol_reply *reply = message;
        struct netpolicy_link link = { 0 };
        struct fault why = { 0 };

        call_free(call);
        if (reply == NULL)
                (void)explain_silence(err, &why);
        else if (reply->kind != FAULT_NONE)
                (void)fault_set(&why, (enum fault_kind)reply->kind, (int)reply->err, "%s", reply->message);
        if (reply == NULL || why.kind != FAULT_NONE) {
                done(done_arg, NULL, &why);
                return;
        }
        memcpy(link.interface, reply->interface, sizeof link.interface);
        memcpy(link.address, reply->address, sizeof link.address);
        done(done_arg, reply->head.verb == PROTOCOL_PLUG ? &link : NULL, NULL);
}

static struct protocol_request make_request(uint16_t verb)
{
        return (struct protocol_request){ .head = { PROTOCOL_MAGIC, PROTOCOL_VERSION, verb, .number = 0 } };
}

static int call_start(struct netpolicy *netpolicy, struct protocol_request *request, netpolicy_done done, void *arg,
                      struct netpolicy_call **ret_call)
{
        struct netpolicy_call *call = calloc(1, sizeof *call);
        int r;

        if (call == NULL)
                return -ENOMEM;
        *call = (struct netpolicy_call){ .done = done, .arg = arg };
        r = helper_call(netpolicy->helper, &request->head, protocol_request_size(request->head.verb), CALL_DEADLINE_S,
                        on_answer, call, &call->request);
        if (r < 0) {
                free(call);
                return r;
        }
        list_append(&netpolicy->calls, &call->node);
        if (ret_call != NULL)
                *ret_call = call;
        return 0;
}

/* The alarm ends well below the level where it begins, so a table near that level does not raise it again and again. */
static void watch_table(struct netpolicy *netpolicy, const struct protocol_state *state)
{
        const double calm = NETPOLICY_FILL_ALARM - 0.1;
        double fill = state->table_size > 0 ? (double)state->flows / (double)state->table_size : 0;
        bool is_filling = fill >= (netpolicy->is_table_filling ? calm : NETPOLICY_FILL_ALARM);

        if (is_filling == netpolicy->is_table_filling)
                return;
        netpolicy->is_table_filling = is_filling;
        netpolicy->alarms += is_filling;
        notify_later(netpolicy);
}

void netpolicy_take_state(struct netpolicy *netpolicy, const struct protocol_state *state)
{
        if (state->heals > netpolicy->state.heals) {
                netpolicy->heals += state->heals - netpolicy->state.heals;
                netpolicy->alarms += state->heals - netpolicy->state.heals;
                notify_later(netpolicy);
        }
        if (state->dropped_packets > netpolicy->state.dropped_packets)
                netpolicy->drops += state->dropped_packets - netpolicy->state.dropped_packets;
        if (state->refused_packets > netpolicy->state.refused_packets)
                netpolicy->refused += state->refused_packets - netpolicy->state.refused_packets;
        watch_table(netpolicy, state);
        netpolicy->state = *state;
        netpolicy->is_proven = netpolicy->is_proven || (netpolicy->is_answered && state->is_in_force != 0);
        reconsider(netpolicy);
}

static void on_message(void *arg, const void *message)
{
        struct netpolicy *netpolicy = arg;
        const struct protocol_reply *reply = message;

        if (reply->head.verb == PROTOCOL_APPLY && reply->head.number == netpolicy->apply_number)
                netpolicy->is_answered = true;
        netpolicy_take_state(netpolicy, &reply->state);
}

static void on_up(void *arg)
{
        struct netpolicy *netpolicy = arg;
        struct protocol_request request = make_request(PROTOCOL_APPLY);

        netpolicy->is_up = true;
        netpolicy->state = (struct protocol_state){ 0 };
        request.apply = netpolicy->wanted;
        request.apply.was_in_force = netpolicy->is_proven;
        netpolicy->apply_number = 0;
        netpolicy->is_answered = false;
        if (helper_post(netpolicy->helper, &request.head, protocol_request_size(PROTOCOL_APPLY)) < 0)
                helper_restart(netpolicy->helper);
}

static void on_down(void *arg)
{
        struct netpolicy *netpolicy = arg;

        netpolicy->is_up = false;
        netpolicy->state = (struct protocol_state){ 0 };
        reconsider(netpolicy);
}

static int check_reply(const void *message, size_t length)
{
        return protocol_check_reply(message, length);
}

static const struct helper_kind NETD = {
        .name = "carrel-netd",
        .magic = PROTOCOL_MAGIC,
        .version = PROTOCOL_VERSION,
        .restart_least_s = 0.5,
        .restart_most_s = 4.0,
        .silence_most_s = 15.0, /* it reports after each check, at least once a second */
        .check = check_reply,
};
static const struct helper_events EVENTS = { .on_up = on_up, .on_down = on_down, .on_message = on_message };

static int make(struct netpolicy **ret_netpolicy, struct ev_loop *loop,
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
        ev_timer_init(&netpolicy->notify, on_notify, 0., 0.);
        netpolicy->tick.data = netpolicy->notify.data = netpolicy;
        *ret_netpolicy = netpolicy;
        return 0;
}

static void begin(struct netpolicy *netpolicy)
{
        ev_timer_start(netpolicy->loop, &netpolicy->tick);
        on_up(netpolicy);
}

int netpolicy_new(struct netpolicy **ret_netpolicy, struct ev_loop *loop, const struct netpolicy_options *options,
                  void (*on_change)(void *arg, const struct netpolicy_status *status), void *arg, struct fault *why)
{
        struct protocol_apply wanted;
        struct netpolicy *netpolicy = NULL;
        int r = read_options(options, &wanted, why);

        if (r < 0)
                return r;
        if (make(&netpolicy, loop, on_change, arg) < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        netpolicy->wanted = wanted;
        r = helper_new(&netpolicy->helper, loop, &NETD, options->helper_path, &EVENTS, netpolicy);
        if (r < 0) {
                (void)netpolicy_free(netpolicy);
                return fault_set(why, r == -ENOMEM ? FAULT_RESOURCE_EXHAUSTED : FAULT_POLICY_NOT_IN_FORCE, -r,
                                 "cannot start %s: %s", options->helper_path, strerror(-r));
        }
        begin(netpolicy);
        *ret_netpolicy = netpolicy;
        return 0;
}

static void answer_locally(void *arg, const void *request, struct helper_message *ret_reply, size_t *ret_length)
{
        struct netpolicy *netpolicy = arg;

        netpolicy_local_answer(&netpolicy->local, request, (struct protocol_reply *)(void *)ret_reply);
        *ret_length = sizeof(struct protocol_reply);
}

int netpolicy_new_local(struct netpolicy **ret_netpolicy, struct ev_loop *loop, const struct netpolicy_local *local)
{
        struct netpolicy *netpolicy = NULL;
        int r = make(&netpolicy, loop, NULL, NULL);

        if (r < 0)
                return r;
        netpolicy->local = *local;
        r = helper_new_local(&netpolicy->helper, loop, &NETD, answer_locally, &EVENTS, netpolicy);
        if (r < 0) {
                (void)netpolicy_free(netpolicy);
                return r;
        }
        begin(netpolicy);
        *ret_netpolicy = netpolicy;
        return 0;
}

struct netpolicy_local *netpolicy_local(struct netpolicy *netpolicy)
{
        return &netpolicy->local;
}

struct netpolicy *netpolicy_free(struct netpolicy *netpolicy)
{
        if (netpolicy == NULL)
                return NULL;
        LIST_EACH (&netpolicy->calls, node) {
                call_free(LIST_ENTRY(node, struct netpolicy_call, node));
        }
        ev_timer_stop(netpolicy->loop, &netpolicy->tick);
        ev_timer_stop(netpolicy->loop, &netpolicy->notify);
        (void)helper_free(netpolicy->helper);
        free(netpolicy);
        return NULL;
}

int netpolicy_confirm(struct netpolicy *netpolicy, netpolicy_done done, void *arg, struct netpolicy_call **ret_call)
{
        struct protocol_request request = make_request(PROTOCOL_CONFIRM);

        return call_start(netpolicy, &request, done, arg, ret_call);
}

static int call_checked(struct netpolicy *netpolicy, struct protocol_request *request, netpolicy_done done, void *arg,
                        struct netpolicy_call **ret_call)
{
        struct fault why;

        if (protocol_check_request(request, protocol_request_size(request->head.verb), &why) < 0)
                return -EINVAL;
        return call_start(netpolicy, request, done, arg, ret_call);
}

int netpolicy_plug(struct netpolicy *netpolicy, int pid, const char *container_id, bool is_closed, netpolicy_done done,
                   void *arg, struct netpolicy_call **ret_call)
{
        struct protocol_request request = make_request(PROTOCOL_PLUG);

        request.plug.pid = pid;
        request.plug.is_closed = is_closed;
        if (str_copy(request.plug.container_id, sizeof request.plug.container_id, container_id) < 0)
                return -EINVAL;
        return call_checked(netpolicy, &request, done, arg, ret_call);
}

int netpolicy_open(struct netpolicy *netpolicy, int pid, const char *interface, netpolicy_done done, void *arg,
                   struct netpolicy_call **ret_call)
{
        struct protocol_request request = make_request(PROTOCOL_OPEN);

        request.open.pid = pid;
        if (str_copy(request.open.interface, sizeof request.open.interface, interface) < 0)
                return -EINVAL;
        return call_checked(netpolicy, &request, done, arg, ret_call);
}

int netpolicy_apply(struct netpolicy *netpolicy, const struct netpolicy_options *options, netpolicy_done done,
                    void *arg, struct netpolicy_call **ret_call)
{
        struct protocol_request request = make_request(PROTOCOL_APPLY);
        const struct policy *now = &netpolicy->wanted.policy;
        int r;

        if (read_options(options, &request.apply, NULL) < 0)
                return -EINVAL;
        if (now->pool[0] != '\0' && (!str_equal(request.apply.policy.pool, now->pool) ||
                                     !cidr_is_equal(request.apply.policy.network, now->network)))
                return -EPERM;
        r = call_start(netpolicy, &request, done, arg, ret_call);
        if (r < 0)
                return r;
        netpolicy->wanted = request.apply;
        netpolicy->apply_number = request.head.number;
        netpolicy->is_answered = netpolicy->is_proven = false;
        return 0;
}

struct netpolicy_call *netpolicy_cancel(struct netpolicy_call *call)
{
        if (call == NULL)
                return NULL;
        (void)helper_cancel(call->request);
        call_free(call);
        return NULL;
}
