/* The netpolicy without a helper: the calls, deadlines and cancels of the real one, answered from the loop. For unit
 * tests, in force until netpolicy_fake_set says otherwise; and for a carreld without privileges, which connects
 * nothing. */
#include <errno.h>
#include <ev.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "list.h"
#include "netpolicy.h"
#include "transport.h"

struct fake {
        struct transport base;
        struct ev_loop *loop;
        bool is_in_force;
        unsigned plugs;
        struct list replies;
        ev_timer answer; /* active while replies wait */
};

struct fake_reply {
        struct list node;
        struct protocol_reply reply;
};

static struct fake *fake_of(struct transport *transport)
{
        return (struct fake *)(void *)transport;
}

static void write_state(const struct fake *fake, struct protocol_state *state)
{
        *state = (struct protocol_state){ .checked_ms = INT64_MAX / 2, .is_in_force = fake->is_in_force };
        if (fake->base.is_powerless)
                (void)snprintf(state->detail, sizeof state->detail, "%s", NETPOLICY_POWERLESS);
        else
                (void)snprintf(state->detail, sizeof state->detail,
                               fake->is_in_force ? "in force" : "not in force (fake)");
}

static void queue(struct fake *fake, struct fake_reply *entry)
{
        list_append(&fake->replies, &entry->node);
        if (!ev_is_active(&fake->answer)) {
                ev_timer_set(&fake->answer, 0., 0.);
                ev_timer_start(fake->loop, &fake->answer);
        }
}

static void write_reply(struct fake *fake, const struct protocol_request *request, struct protocol_reply *reply)
{
        *reply = (struct protocol_reply){ .verb = request->verb, .number = request->number };
        if (!fake->is_in_force) {
                reply->kind = FAULT_POLICY_NOT_IN_FORCE;
                reply->err = EAGAIN;
                (void)snprintf(reply->message, sizeof reply->message, "the egress policy is not in force (fake)");
        } else if (request->verb == PROTOCOL_PLUG && fake->base.is_powerless) {
                reply->kind = FAULT_POLICY_NOT_IN_FORCE;
                reply->err = EPERM;
                (void)snprintf(reply->message, sizeof reply->message, "%s", NETPOLICY_POWERLESS);
        } else if (request->verb == PROTOCOL_PLUG) {
                unsigned plug = ++fake->plugs % 65534 + 1;

                (void)snprintf(reply->interface, sizeof reply->interface, "carrel%u", plug);
                (void)snprintf(reply->address, sizeof reply->address, "10.213.%u.%u", plug >> 8, plug & 0xff);
        }
        write_state(fake, &reply->state);
}

static int fake_send(struct transport *transport, const struct protocol_request *request)
{
        struct fake *fake = fake_of(transport);
        struct fake_reply *entry = calloc(1, sizeof *entry);

        if (entry == NULL)
                return -ENOMEM;
        write_reply(fake, request, &entry->reply);
        queue(fake, entry);
        return 0;
}

/* One reply a turn: behind it the fake may be freed. */
static void on_answer(struct ev_loop *loop, ev_timer *watcher, int events)
{
        struct fake *fake = watcher->data;
        struct list *first = list_pop(&fake->replies);
        struct fake_reply *entry = LIST_ENTRY(first, struct fake_reply, node);
        struct protocol_reply reply = entry->reply;

        (void)events;
        free(entry);
        if (!list_is_empty(&fake->replies))
                ev_timer_start(loop, &fake->answer);
        netpolicy_on_reply(fake->base.netpolicy, &reply);
}

static void fake_restart(struct transport *transport)
{
        (void)transport;
}

static struct transport *fake_free(struct transport *transport)
{
        struct fake *fake = fake_of(transport);

        if (fake == NULL)
                return NULL;
        ev_timer_stop(fake->loop, &fake->answer);
        LIST_EACH (&fake->replies, node) {
                free(LIST_ENTRY(node, struct fake_reply, node));
        }
        free(fake);
        return NULL;
}

static const struct transport_ops OPS = { .send = fake_send, .restart = fake_restart, .free = fake_free };

/* In force from the first moment, as the header says, not only from the loop's first turn. */
static void report(struct fake *fake)
{
        struct protocol_reply reply = { .verb = PROTOCOL_REPORT };

        write_state(fake, &reply.state);
        netpolicy_on_reply(fake->base.netpolicy, &reply);
}

static int make(struct netpolicy **ret_netpolicy, struct ev_loop *loop, bool is_powerless)
{
        struct fake *fake = calloc(1, sizeof *fake);
        struct netpolicy *netpolicy = NULL;

        if (fake == NULL || netpolicy_make(&netpolicy, loop, NULL, NULL) < 0) {
                free(fake);
                return -ENOMEM;
        }
        *fake = (struct fake){ .base = { .ops = &OPS, .is_powerless = is_powerless, .netpolicy = netpolicy },
                               .loop = loop,
                               .is_in_force = true };
        list_init(&fake->replies);
        ev_timer_init(&fake->answer, on_answer, 0., 0.);
        fake->answer.data = fake;
        netpolicy_attach(netpolicy, &fake->base);
        report(fake);
        *ret_netpolicy = netpolicy;
        return 0;
}

int netpolicy_new_fake(struct netpolicy **ret_netpolicy, struct ev_loop *loop)
{
        return make(ret_netpolicy, loop, false);
}

int netpolicy_new_powerless(struct netpolicy **ret_netpolicy, struct ev_loop *loop)
{
        return make(ret_netpolicy, loop, true);
}

bool netpolicy_has_privileges(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2];
        const uint32_t needed = 1U << CAP_NET_ADMIN | 1U << CAP_NET_RAW;

        return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & needed) == needed;
}

void netpolicy_fake_set(struct netpolicy *netpolicy, bool is_in_force)
{
        struct fake *fake = fake_of(netpolicy_transport(netpolicy));

        fake->is_in_force = is_in_force;
        report(fake);
}
