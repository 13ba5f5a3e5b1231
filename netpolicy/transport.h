/* Between netpolicy.c, which owns calls, deadlines and freshness, and whoever answers its requests: the helper
 * process (helper.c), or the fake of the unit tests (fake.c). Private to this room. */
#pragma once

#include <stdbool.h>

#include "protocol.h"

struct ev_loop;
struct netpolicy;
struct netpolicy_status;
struct transport;

struct transport_ops {
        /* Never blocks, never calls back from inside. 0 or a negative errno: it was not sent. */
        int (*send)(struct transport *transport, const struct protocol_request *request);
        /* The other side is stuck: begin anew. */
        void (*restart)(struct transport *transport);
        struct transport *(*free)(struct transport *transport); /* accepts NULL, returns NULL */
};

/* The first member of every transport. Whoever makes one is told of events from then on. */
struct transport {
        const struct transport_ops *ops;
        struct netpolicy *netpolicy;
        bool is_powerless; /* it can connect nothing, and never will */
};

/* Events, from the loop. reply has been checked. A transport touches nothing of its own behind netpolicy_on_reply:
 * the caller's done may have freed everything. */
void netpolicy_on_reply(struct netpolicy *netpolicy, const struct protocol_reply *reply);
void netpolicy_on_up(struct netpolicy *netpolicy); /* requests reach a new helper now */
void netpolicy_on_down(struct netpolicy *netpolicy);

/* An empty netpolicy; the caller then gives it a transport, which it owns from then on. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int netpolicy_make(struct netpolicy **ret_netpolicy, struct ev_loop *loop,
                                                       void (*on_change)(void *arg,
                                                                         const struct netpolicy_status *status),
                                                       void *arg);
void netpolicy_attach(struct netpolicy *netpolicy, struct transport *transport);
struct transport *netpolicy_transport(const struct netpolicy *netpolicy);
