#include "route.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <stdio.h>

#include "scope.h"
#include "str.h"

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

int route_find_link(struct nl_sock *socket, const char *name, int ifindex, struct route_link *ret_link)
{
        AUTO(put_link) struct rtnl_link *link = NULL;
        struct route_link found = { 0 };
        int r = rtnl_link_get_kernel(socket, ifindex, name, &link);

        if (r < 0)
                return r;
        if (str_copy(found.name, sizeof found.name, rtnl_link_get_name(link)) < 0)
                return -NLE_RANGE;
        found.ifindex = rtnl_link_get_ifindex(link);
        found.is_up = (rtnl_link_get_flags(link) & IFF_UP) != 0;
        found.peer = rtnl_link_is_veth(link) ? rtnl_link_get_link(link) : 0;
        *ret_link = found;
        return 0;
}

int route_delete_link(struct nl_sock *socket, int ifindex)
{
        AUTO(put_link) struct rtnl_link *link = rtnl_link_alloc();

        if (link == NULL)
                return -NLE_NOMEM;
        rtnl_link_set_ifindex(link, ifindex);
        return rtnl_link_delete(socket, link);
}

int route_set_up(struct nl_sock *socket, int ifindex)
{
        AUTO(put_link) struct rtnl_link *now = rtnl_link_alloc();
        AUTO(put_link) struct rtnl_link *wanted = rtnl_link_alloc();

        if (now == NULL || wanted == NULL)
                return -NLE_NOMEM;
        rtnl_link_set_ifindex(now, ifindex);
        rtnl_link_set_flags(wanted, IFF_UP);
        return rtnl_link_change(socket, now, wanted, 0);
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
