#include "netpolicy-local.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static void write_state(const struct netpolicy_local *local, struct protocol_state *state)
{
        const char *detail = local->is_in_force ? "in force" : "not in force (fake)";

        *state = (struct protocol_state){ .checked_ms = INT64_MAX / 2, .is_in_force = local->is_in_force };
        (void)snprintf(state->detail, sizeof state->detail, "%s", local->is_powerless ? NETPOLICY_POWERLESS : detail);
}

static void refuse(struct protocol_reply *reply, int err, const char *message)
{
        reply->kind = FAULT_POLICY_NOT_IN_FORCE;
        reply->err = (uint32_t)err;
        (void)snprintf(reply->message, sizeof reply->message, "%s", message);
}

void netpolicy_local_answer(struct netpolicy_local *local, const struct protocol_request *request,
                            struct protocol_reply *ret_reply)
{
        struct protocol_reply *reply = ret_reply;
        bool is_link = request->head.verb == PROTOCOL_PLUG || request->head.verb == PROTOCOL_OPEN;

        *reply = (struct protocol_reply){ .head = request->head };
        if (!local->is_in_force) {
                refuse(reply, EAGAIN, "the egress policy is not in force (fake)");
        } else if (is_link && local->is_powerless) {
                refuse(reply, EPERM, NETPOLICY_POWERLESS);
        } else if (request->head.verb == PROTOCOL_PLUG) {
                unsigned plug = ++local->plugs % 65534 + 1;

                (void)snprintf(reply->interface, sizeof reply->interface, "carrel%u", plug);
                (void)snprintf(reply->address, sizeof reply->address, "10.213.%u.%u", plug >> 8, plug & 0xff);
        }
        write_state(local, &reply->state);
}

/* Taken at once: the header promises "in force" from the start, before the first turn of the loop. */
static void report(struct netpolicy *netpolicy)
{
        struct protocol_state state;

        write_state(netpolicy_local(netpolicy), &state);
        netpolicy_take_state(netpolicy, &state);
}

static int make(struct netpolicy **ret_netpolicy, struct ev_loop *loop, bool is_powerless)
{
        const struct netpolicy_local local = { .is_in_force = true, .is_powerless = is_powerless };
        int r = netpolicy_new_local(ret_netpolicy, loop, &local);

        if (r == 0)
                report(*ret_netpolicy);
        return r;
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
        netpolicy_local(netpolicy)->is_in_force = is_in_force;
        report(netpolicy);
}
