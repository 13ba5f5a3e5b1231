#include "flows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdbool.h>

#include "scope.h"

struct sweep {
        struct nl_sock *asker, *ender; /* two sockets: the dump on the first is not finished when the second sends */
        bool (*is_over)(const void *arg, const struct policy_flow *flow);
        const void *arg;
        int error; /* of libnl */
};

static void sweep_release(struct sweep *sweep)
{
        nl_socket_free(sweep->asker);
        nl_socket_free(sweep->ender);
}

static void free_message(struct nl_msg **message)
{
        nlmsg_free(*message);
}

static int connect_netfilter(struct nl_sock **ret_socket)
{
        struct nl_sock *socket = nl_socket_alloc();
        int r = socket == NULL ? -NLE_NOMEM : nl_connect(socket, NETLINK_NETFILTER);

        if (r < 0)
                nl_socket_free(socket);
        else
                *ret_socket = socket;
        return r;
}

static struct nl_msg *make_message(int type, int flags)
{
        struct nfgenmsg family = { .nfgen_family = AF_INET, .version = NFNETLINK_V0 };
        struct nl_msg *message = nlmsg_alloc_simple(NFNL_SUBSYS_CTNETLINK << 8 | type, flags);

        if (message != NULL && nlmsg_append(message, &family, sizeof family, NLMSG_ALIGNTO) < 0) {
                nlmsg_free(message);
                return NULL;
        }
        return message;
}

static uint32_t get_address(struct nlattr *attribute)
{
        return attribute != NULL && nla_len(attribute) == sizeof(uint32_t) ? ntohl(nla_get_u32(attribute)) : 0;
}

static bool read_addresses(struct nlattr *tuple, uint32_t *ret_source, uint32_t *ret_destination)
{
        struct nlattr *parts[CTA_TUPLE_MAX + 1];
        struct nlattr *ip[CTA_IP_MAX + 1];

        if (tuple == NULL || nla_parse_nested(parts, CTA_TUPLE_MAX, tuple, NULL) < 0 || parts[CTA_TUPLE_IP] == NULL ||
            nla_parse_nested(ip, CTA_IP_MAX, parts[CTA_TUPLE_IP], NULL) < 0)
                return false;
        *ret_source = get_address(ip[CTA_IP_V4_SRC]);
        *ret_destination = get_address(ip[CTA_IP_V4_DST]);
        return true;
}

static void read_protocol(struct nlattr *tuple, struct policy_flow *flow)
{
        struct nlattr *parts[CTA_TUPLE_MAX + 1];
        struct nlattr *protocol[CTA_PROTO_MAX + 1];

        if (nla_parse_nested(parts, CTA_TUPLE_MAX, tuple, NULL) < 0 || parts[CTA_TUPLE_PROTO] == NULL ||
            nla_parse_nested(protocol, CTA_PROTO_MAX, parts[CTA_TUPLE_PROTO], NULL) < 0)
                return;
        if (protocol[CTA_PROTO_NUM] != NULL)
                flow->protocol = nla_get_u8(protocol[CTA_PROTO_NUM]);
        if (protocol[CTA_PROTO_DST_PORT] != NULL)
                flow->port = ntohs(nla_get_u16(protocol[CTA_PROTO_DST_PORT]));
}

/* Forwarded flows are masqueraded: their replies go to an address that is not the carrel's. */
static bool read_flow(struct nlattr *const attributes[], struct policy_flow *ret_flow)
{
        struct policy_flow flow = { 0 };
        uint32_t from = 0;
        uint32_t back_to = 0;

        if (!read_addresses(attributes[CTA_TUPLE_ORIG], &flow.source, &flow.destination))
                return false;
        read_protocol(attributes[CTA_TUPLE_ORIG], &flow);
        flow.is_to_host = read_addresses(attributes[CTA_TUPLE_REPLY], &from, &back_to) && back_to == flow.source;
        *ret_flow = flow;
        return true;
}

/* By the kernel's own tuple and the id: the flow may have ended since, and another one may have its tuple. */
static int end_flow(struct nl_sock *ender, struct nlattr *const attributes[])
{
        static const int NAMES[] = { CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID };
        struct nl_msg *message = make_message(IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST | NLM_F_ACK);
        int r = message == NULL ? -NLE_NOMEM : 0;

        for (size_t i = 0; r == 0 && i < sizeof NAMES / sizeof *NAMES; i++) {
                struct nlattr *attribute = attributes[NAMES[i]];

                if (attribute != NULL)
                        r = nla_put(message, NAMES[i] | (NAMES[i] == CTA_TUPLE_ORIG ? NLA_F_NESTED : 0),
                                    nla_len(attribute), nla_data(attribute));
        }
        if (r < 0) {
                nlmsg_free(message);
                return r;
        }
        r = nl_send_sync(ender, message); /* frees it */
        return r == -NLE_OBJ_NOTFOUND ? 0 : r;
}

static int on_flow(struct nl_msg *message, void *arg)
{
        struct sweep *sweep = arg;
        struct nlattr *attributes[CTA_MAX + 1];
        struct policy_flow flow;

        if (nlmsg_parse(nlmsg_hdr(message), sizeof(struct nfgenmsg), attributes, CTA_MAX, NULL) == 0 &&
            read_flow(attributes, &flow) && sweep->is_over(sweep->arg, &flow) && sweep->error == 0)
                sweep->error = end_flow(sweep->ender, attributes);
        return NL_OK;
}

static int run(struct sweep *sweep)
{
        AUTO(free_message) struct nl_msg *question = make_message(IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP);
        int r = question == NULL ? -NLE_NOMEM : 0;

        if (r == 0)
                r = connect_netfilter(&sweep->asker);
        if (r == 0)
                r = connect_netfilter(&sweep->ender);
        if (r == 0)
                r = nl_socket_modify_cb(sweep->asker, NL_CB_VALID, NL_CB_CUSTOM, on_flow, sweep);
        if (r == 0)
                r = nl_send_auto(sweep->asker, question);
        if (r >= 0)
                r = nl_recvmsgs_default(sweep->asker);
        return r < 0 ? r : sweep->error;
}

/* nfnetlink answers EINVAL for a subsystem that is not registered (nfnetlink_rcv_msg, net/netfilter/nfnetlink.c). */
int flows_end(bool (*is_over)(const void *arg, const struct policy_flow *flow), const void *arg, struct fault *why)
{
        AUTO(sweep_release) struct sweep sweep = { .is_over = is_over, .arg = arg };
        int r = run(&sweep);

        if (r >= 0)
                return 0;
        if (r == -NLE_INVAL || r == -NLE_OPNOTSUPP || r == -NLE_PROTO_MISMATCH)
                return fault_set(why, FAULT_INTERNAL, EOPNOTSUPP,
                                 "open connections cannot be ended: modprobe nf_conntrack_netlink");
        return fault_set(why, FAULT_INTERNAL, EIO, "cannot end open connections: %s", nl_geterror(r));
}
