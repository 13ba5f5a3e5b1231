/* The netpolicy that has no carrel-netd and answers its own requests: for unit tests, and for a carreld without
 * privileges. Between netpolicy.c and netpolicy-local.c; private to this room. */
#pragma once

#include <stdbool.h>

#include "netpolicy.h"
#include "protocol.h"

struct netpolicy_local {
        bool is_in_force;
        bool is_powerless; /* it can connect nothing, and never will */
        unsigned plugs;
};

/* Copies local. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int netpolicy_new_local(struct netpolicy **ret_netpolicy, struct ev_loop *loop,
                                                            const struct netpolicy_local *local);
struct netpolicy_local *netpolicy_local(struct netpolicy *netpolicy);
void netpolicy_take_state(struct netpolicy *netpolicy, const struct protocol_state *state);

void netpolicy_local_answer(struct netpolicy_local *local, const struct protocol_request *request,
                            struct protocol_reply *ret_reply);
