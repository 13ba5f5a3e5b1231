#include "route.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <netlink/addr.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>
#include <time.h>

#include "scope.h"

enum { AWAIT_TRIES = 2000 };

static void put_link(struct rtnl_link **link)
{
        if (*link != NULL)
                rtnl_link_put(*link);
}

static void put_address(struct rtnl_addr **address)
{
        if (*address != NULL)
                rtnl_addr_put(*address);
}

static void put_route(struct rtnl_route **route)
{
        if (*route != NULL)
                rtnl_route_put(*route);
}

static void put_nl_addr(struct nl_addr **address)
{
        if (*address != NULL)
                nl_addr_put(*address);
}

static struct nl_addr *make_nl_addr(uint32_t address, int length)
{
        struct in_addr in = { .s_addr = htonl(address) };
        struct nl_addr *made = nl_addr_build(AF_INET, &in, sizeof in);

        if (made != NULL)
                nl_addr_set_prefixlen(made, length);
        return made;
}

int route_make_veth(struct nl_sock *socket, const char *name, const char *peer_name, int netns_fd, unsigned mtu,
                    int *ret_ifindex)
{
        AUTO(put_link) struct rtnl_link *link = rtnl_link_veth_alloc();
        AUTO(put_link) struct rtnl_link *peer = link == NULL ? NULL : rtnl_link_veth_get_peer(link);
        struct route_link made;
        int r;

        if (peer == NULL)
                return -NLE_NOMEM;
        rtnl_link_set_name(link, name);
        rtnl_link_set_mtu(link, mtu);
        rtnl_link_set_name(peer, peer_name);
        rtnl_link_set_mtu(peer, mtu);
        rtnl_link_set_ns_fd(peer, netns_fd);
        r = rtnl_link_add(socket, link, NLM_F_CREATE | NLM_F_EXCL);
        if (r == 0)
                r = route_find_link(socket, name, 0, &made);
        if (r == 0)
                *ret_ifindex = made.ifindex;
        return r;
}

/* ---- questions ---- */

/* on_answer gets the one answer. Frees the question; NULL is fine. */
static int ask(struct nl_sock *socket, struct nl_msg *question, int (*on_answer)(struct nl_msg *answer, void *arg),
               void *arg)
{
        int r = question == NULL ? -NLE_NOMEM : nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, on_answer, arg);

        if (r == 0)
                r = nl_send_auto(socket, question);
        if (r >= 0)
                r = nl_recvmsgs_default(socket);
        if (r >= 0)
                r = nl_wait_for_ack(socket);
        (void)nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_DEFAULT, NULL, NULL);
        nlmsg_free(question);
        return r < 0 ? r : 0;
}

/* The head is of the type's own struct. NULL: out of memory. */
static struct nl_msg *make_question(int type, const void *head, size_t size)
{
        struct nl_msg *question = nlmsg_alloc_simple(type, 0);

        if (question != NULL && nlmsg_append(question, (void *)(uintptr_t)head, size, NLMSG_ALIGNTO) < 0) {
                nlmsg_free(question);
                return NULL;
        }
        return question;
}

static bool is_veth(struct nlattr *info)
{
        struct nlattr *parts[IFLA_INFO_MAX + 1];

        return info != NULL && nla_parse_nested(parts, IFLA_INFO_MAX, info, NULL) == 0 &&
               parts[IFLA_INFO_KIND] != NULL && nla_strcmp(parts[IFLA_INFO_KIND], "veth") == 0;
}

static int on_link(struct nl_msg *answer, void *arg)
{
        const struct ifinfomsg *head = nlmsg_data(nlmsg_hdr(answer));
        struct route_link *link = arg;
        struct nlattr *parts[IFLA_MAX + 1];

        if (nlmsg_parse(nlmsg_hdr(answer), sizeof *head, parts, IFLA_MAX, NULL) < 0 || parts[IFLA_IFNAME] == NULL)
                return NL_OK;
        *link = (struct route_link){ .ifindex = head->ifi_index, .peer_netns = -1 };
        (void)nla_strlcpy(link->name, parts[IFLA_IFNAME], sizeof link->name);
        link->is_up = (head->ifi_flags & IFF_UP) != 0;
        link->can_send = parts[IFLA_OPERSTATE] != NULL && nla_get_u8(parts[IFLA_OPERSTATE]) == IF_OPER_UP;
        if (parts[IFLA_LINK] == NULL || !is_veth(parts[IFLA_LINKINFO]))
                return NL_OK;
        link->peer = (int)nla_get_u32(parts[IFLA_LINK]);
        if (parts[IFLA_LINK_NETNSID] != NULL)
                link->peer_netns = nla_get_s32(parts[IFLA_LINK_NETNSID]);
        return NL_OK;
}

/* netns negative: in this namespace. */
static int find_link(struct nl_sock *socket, int netns, const char *name, int ifindex, struct route_link *ret_link)
{
        const struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = name == NULL ? ifindex : 0 };
        struct nl_msg *question = make_question(RTM_GETLINK, &head, sizeof head);
        struct route_link found = { 0 };
        int r;

        if (question != NULL && (nla_put_u32(question, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS) < 0 ||
                                 (netns >= 0 && nla_put_s32(question, IFLA_TARGET_NETNSID, netns) < 0) ||
                                 (name != NULL && nla_put_string(question, IFLA_IFNAME, name) < 0))) {
                nlmsg_free(question);
                return -NLE_NOMEM;
        }
        r = ask(socket, question, on_link, &found);
        if (r == 0 && found.ifindex == 0)
                r = -NLE_OBJ_NOTFOUND;
        if (r == 0)
                *ret_link = found;
        return r;
}

int route_find_link(struct nl_sock *socket, const char *name, int ifindex, struct route_link *ret_link)
{
        return find_link(socket, -1, name, ifindex, ret_link);
}

int route_await_peer(struct nl_sock *socket, const struct route_link *link)
{
        const struct timespec pause = { .tv_nsec = 100000 };
        struct route_link peer = { 0 };
        int r = 0;

        for (int i = 0; i < AWAIT_TRIES && r == 0 && !peer.can_send; i++) {
                if (i > 0)
                        (void)nanosleep(&pause, NULL);
                r = find_link(socket, link->peer_netns, NULL, link->peer, &peer);
        }
        return r == 0 && !peer.can_send ? -NLE_AGAIN : r;
}

static int on_netns(struct nl_msg *answer, void *arg)
{
        struct nlattr *parts[NETNSA_MAX + 1];

        if (nlmsg_parse(nlmsg_hdr(answer), sizeof(struct rtgenmsg), parts, NETNSA_MAX, NULL) == 0 &&
            parts[NETNSA_NSID] != NULL)
                *(int *)arg = nla_get_s32(parts[NETNSA_NSID]);
        return NL_OK;
}

int route_find_netns(struct nl_sock *socket, int pid, int *ret_netns)
{
        const struct rtgenmsg head = { .rtgen_family = AF_UNSPEC };
        struct nl_msg *question = make_question(RTM_GETNSID, &head, sizeof head);
        int netns = NETNSA_NSID_NOT_ASSIGNED;
        int r;

        if (question != NULL && nla_put_u32(question, NETNSA_PID, (uint32_t)pid) < 0) {
                nlmsg_free(question);
                return -NLE_NOMEM;
        }
        r = ask(socket, question, on_netns, &netns);
        if (r == 0 && netns < 0)
                r = -NLE_OBJ_NOTFOUND;
        if (r == 0)
                *ret_netns = netns;
        return r;
}

/* ---- changes ---- */

int route_delete_link(struct nl_sock *socket, int ifindex)
{
        AUTO(put_link) struct rtnl_link *link = rtnl_link_alloc();

        if (link == NULL)
                return -NLE_NOMEM;
        rtnl_link_set_ifindex(link, ifindex);
        return rtnl_link_delete(socket, link);
}

static int set_flags(struct nl_sock *socket, int ifindex, bool is_up)
{
        AUTO(put_link) struct rtnl_link *now = rtnl_link_alloc();
        AUTO(put_link) struct rtnl_link *wanted = rtnl_link_alloc();

        if (now == NULL || wanted == NULL)
                return -NLE_NOMEM;
        rtnl_link_set_ifindex(now, ifindex);
        if (is_up)
                rtnl_link_set_flags(wanted, IFF_UP);
        else
                rtnl_link_unset_flags(wanted, IFF_UP);
        return rtnl_link_change(socket, now, wanted, 0);
}

int route_set_up(struct nl_sock *socket, int ifindex)
{
        return set_flags(socket, ifindex, true);
}

int route_set_down(struct nl_sock *socket, int ifindex)
{
        return set_flags(socket, ifindex, false);
}

int route_add_address(struct nl_sock *socket, int ifindex, uint32_t address, bool is_link_scope)
{
        AUTO(put_address) struct rtnl_addr *entry = rtnl_addr_alloc();
        AUTO(put_nl_addr) struct nl_addr *local = make_nl_addr(address, 32);
        int r;

        if (entry == NULL || local == NULL)
                return -NLE_NOMEM;
        rtnl_addr_set_ifindex(entry, ifindex);
        r = rtnl_addr_set_local(entry, local);
        if (r < 0)
                return r;
        if (is_link_scope)
                rtnl_addr_set_scope(entry, RT_SCOPE_LINK);
        r = rtnl_addr_add(socket, entry, NLM_F_EXCL);
        return r == -NLE_EXIST ? 0 : r;
}

static struct rtnl_route *make_route(int ifindex, uint32_t address, int length, uint32_t gateway)
{
        AUTO(put_route) struct rtnl_route *route = rtnl_route_alloc();
        AUTO(put_nl_addr) struct nl_addr *to = make_nl_addr(address, length);
        AUTO(put_nl_addr) struct nl_addr *via = make_nl_addr(gateway, 32);
        struct rtnl_nexthop *hop;

        if (route == NULL || to == NULL || via == NULL || rtnl_route_set_dst(route, to) < 0)
                return NULL;
        hop = rtnl_route_nh_alloc();
        if (hop == NULL)
                return NULL;
        rtnl_route_set_scope(route, gateway == 0 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
        rtnl_route_nh_set_ifindex(hop, ifindex);
        if (gateway != 0) {
                rtnl_route_nh_set_gateway(hop, via);
                rtnl_route_nh_set_flags(hop, RTNH_F_ONLINK);
        }
        rtnl_route_add_nexthop(route, hop);
        return TAKE(route);
}

/* The interface of the route to this address; 0: there is no route. */
static int interface_towards(struct nl_sock *socket, uint32_t address)
{
        AUTO(put_nl_addr) struct nl_addr *to = make_nl_addr(address, 32);
        AUTO(put_route) struct rtnl_route *route = NULL;
        struct rtnl_nexthop *hop;

        if (to == NULL || rtnl_route_lookup(socket, to, &route) < 0)
                return 0;
        hop = rtnl_route_nexthop_n(route, 0);
        return hop == NULL ? 0 : rtnl_route_nh_get_ifindex(hop);
}

int route_claim_host(struct nl_sock *socket, int ifindex, uint32_t address)
{
        AUTO(put_route) struct rtnl_route *route = make_route(ifindex, address, 32, 0);
        int r;

        if (route == NULL)
                return -NLE_NOMEM;
        r = rtnl_route_add(socket, route, NLM_F_EXCL);
        return r == -NLE_EXIST && interface_towards(socket, address) == ifindex ? 0 : r;
}

int route_add_default(struct nl_sock *socket, int ifindex, uint32_t gateway)
{
        AUTO(put_route) struct rtnl_route *route = make_route(ifindex, 0, 0, gateway);
        int r;

        if (route == NULL)
                return -NLE_NOMEM;
        r = rtnl_route_add(socket, route, NLM_F_EXCL);
        return r == -NLE_EXIST ? 0 : r;
}

unsigned route_outside_mtu(struct nl_sock *socket, unsigned fallback)
{
        enum { OUTSIDE = 0x01000001 }; /* only looked up, never sent to: any public address has the same route */
        AUTO(put_link) struct rtnl_link *link = NULL;
        int ifindex = interface_towards(socket, OUTSIDE);

        if (ifindex == 0 || rtnl_link_get_kernel(socket, ifindex, NULL, &link) < 0)
                return fallback;
        return rtnl_link_get_mtu(link);
}
