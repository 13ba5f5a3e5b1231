#include "veth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flows.h"
#include "inside.h"
#include "netns.h"
#include "route.h"
#include "scope.h"
#include "str.h"
#include "sysctl.h"

enum {
        GATEWAY = 0xa9fe0101, /* 169.254.1.1 */
        SLOTS_MAX = 999999,   /* the longest prefix and six digits make an interface name */
        SLOT_TRIES = 4096,
        MTU_LEAST = 1280,
        MTU_USUAL = 1500,
        MTU_MOST = 9000,
};

struct plug {
        struct nl_sock *host, *inside;
        int netns_fd;
        bool is_closed;
        const struct policy *policy;
        struct policy_names names;
        struct link_slots *known;
        uint32_t slots;
        unsigned mtu;
};

static void plug_release(struct plug *plug)
{
        nl_socket_free(plug->host);
        nl_socket_free(plug->inside);
}

static int refuse(struct fault *why, const char *what, int error)
{
        return fault_set(why, FAULT_INTERNAL, EIO, "cannot connect the carrel to the network: %s: %s", what,
                         nl_geterror(error));
}

static int connect_host(struct plug *plug, struct fault *why)
{
        uint32_t hosts = ~cidr_mask(plug->policy->network.length) - 1; /* without the first and last address */
        int r;

        plug->host = nl_socket_alloc();
        if (plug->host == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM,
                                 "cannot connect the carrel to the network: out of memory");
        r = nl_connect(plug->host, NETLINK_ROUTE);
        if (r < 0)
                return refuse(why, "netlink", r);
        policy_name(plug->policy, &plug->names);
        plug->slots = hosts < SLOTS_MAX ? hosts : SLOTS_MAX;
        return 0;
}

static int plug_begin(struct plug *plug, struct fault *why)
{
        int r = connect_host(plug, why);

        if (r < 0)
                return r;
        plug->mtu = route_outside_mtu(plug->host, MTU_USUAL);
        if (plug->mtu < MTU_LEAST || plug->mtu > MTU_MOST)
                plug->mtu = plug->mtu < MTU_LEAST ? MTU_LEAST : MTU_MOST;
        return netns_connect(plug->netns_fd, &plug->inside, why);
}

/* rp_filter and IPv6 of the host's end, before it is up. */
static int guard_interface(const char *name)
{
        char path[64];
        int r;

        (void)snprintf(path, sizeof path, "ipv4/conf/%s/rp_filter", name);
        r = sysctl_set(path, "1");
        if (r < 0)
                return r;
        (void)snprintf(path, sizeof path, "ipv6/conf/%s/disable_ipv6", name);
        r = sysctl_set(path, INSIDE_DISABLE_IPV6);
        return r == -ENOENT ? 0 : r;
}

static int set_up_inside(const struct plug *plug, uint32_t address)
{
        struct route_link loopback;
        struct route_link link;
        int r = route_find_link(plug->inside, "lo", 0, &loopback);

        if (r == 0)
                r = route_set_up(plug->inside, loopback.ifindex);
        if (r == 0)
                r = route_find_link(plug->inside, INSIDE_INTERFACE, 0, &link);
        if (r == 0)
                r = route_add_address(plug->inside, link.ifindex, address, false);
        if (r == 0)
                r = route_set_up(plug->inside, link.ifindex);
        if (r == 0)
                r = route_add_default(plug->inside, link.ifindex, GATEWAY);
        return r;
}

/* The kernel takes no route by an interface that is down. */
static int open_host(const struct plug *plug, int ifindex, uint32_t address)
{
        int r = route_set_up(plug->host, ifindex);

        return r == 0 ? route_claim_host(plug->host, ifindex, address) : r;
}

static int set_up_host(const struct plug *plug, int ifindex, uint32_t address)
{
        int r = route_add_address(plug->host, ifindex, GATEWAY, true);

        return r == 0 && !plug->is_closed ? open_host(plug, ifindex, address) : r;
}

/* ---- flows of the previous owner of an address ---- */

static void mark(unsigned char *set, uint32_t slot, bool is_in)
{
        unsigned char bit = (unsigned char)(1U << slot % 8);

        set[slot / 8] = (unsigned char)(is_in ? set[slot / 8] | bit : set[slot / 8] & ~bit);
}

static bool is_marked(const unsigned char *set, uint32_t slot)
{
        return (set[slot / 8] >> slot % 8 & 1) != 0;
}

/* Whether the name is one of ours, and its slot. */
static bool has_slot(const struct plug *plug, const char *name, uint32_t *ret_slot)
{
        uint64_t slot = 0;

        if (!str_has_prefix(name, plug->names.interface_prefix) ||
            str_parse_u64(name + strlen(plug->names.interface_prefix), 1, plug->slots, &slot) < 0)
                return false;
        *ret_slot = (uint32_t)slot;
        return true;
}

/* Fills the set with the vacant slots: no interface has their name, or it is the one that is being plugged. */
static int list_vacant(const struct plug *plug, uint32_t own, unsigned char *set)
{
        struct if_nameindex *interfaces = if_nameindex();
        uint32_t slot;

        if (interfaces == NULL)
                return -errno;
        memset(set, 0xff, plug->slots / 8 + 1);
        for (const struct if_nameindex *one = interfaces; one->if_name != NULL; one++)
                if (has_slot(plug, one->if_name, &slot))
                        mark(set, slot, false);
        if_freenameindex(interfaces);
        mark(set, own, true);
        return 0;
}

struct vacancy {
        const struct plug *plug;
        const unsigned char *set;
};

static bool is_stale(const void *arg, const struct policy_flow *flow)
{
        const struct vacancy *vacancy = arg;
        uint32_t slot = flow->source - vacancy->plug->policy->network.address;

        return slot <= vacancy->plug->slots && is_marked(vacancy->set, slot);
}

void link_slots_release(struct link_slots *slots)
{
        free(TAKE(slots->clean));
}

/* Reading the table is slow. So one read covers all vacant slots, and the next is due only for a slot that was given
 * out since, which is rare because the search goes round. If the kernel cannot end flows, the enforcer reports it. */
static int clean_slot(const struct plug *plug, uint32_t slot)
{
        struct link_slots *known = plug->known;
        AUTO(auto_free) unsigned char *vacant = NULL;
        int r;

        if (known->clean == NULL || !cidr_is_equal(known->network, plug->policy->network)) {
                link_slots_release(known);
                known->network = plug->policy->network;
                known->clean = calloc(1, plug->slots / 8 + 1);
        }
        vacant = calloc(1, plug->slots / 8 + 1);
        if (known->clean == NULL || vacant == NULL)
                return -ENOMEM;
        if (!is_marked(known->clean, slot)) {
                r = list_vacant(plug, slot, vacant);
                if (r == 0)
                        r = flows_end(is_stale, &(struct vacancy){ plug, vacant }, NULL);
                if (r < 0 && r != -EOPNOTSUPP)
                        return r;
                for (uint32_t i = 0; i <= plug->slots / 8; i++)
                        known->clean[i] |= vacant[i];
        }
        mark(known->clean, slot, false);
        return 0;
}

/* ---- the pair ---- */

/* Every step can be repeated. Ends the flows of the previous owner of the address before the first packet can pass.
 * Returns 0 or a negative libnl error; -NLE_EXIST: the address has a route by another interface. */
static int set_up(const struct plug *plug, const char *name, int ifindex, uint32_t slot, bool is_up)
{
        uint32_t address = plug->policy->network.address + slot;
        int r;

        if (guard_interface(name) < 0)
                return -NLE_FAILURE;
        if (!is_up && clean_slot(plug, slot) < 0)
                return -NLE_FAILURE;
        r = set_up_host(plug, ifindex, address);
        return r == 0 ? set_up_inside(plug, address) : r;
}

static void write_place(const struct plug *plug, const char *name, uint32_t slot, struct link_place *ret_place)
{
        struct in_addr address = { .s_addr = htonl(plug->policy->network.address + slot) };

        (void)snprintf(ret_place->interface, sizeof ret_place->interface, "%.15s", name);
        (void)inet_ntop(AF_INET, &address, ret_place->address, sizeof ret_place->address);
}

/* Completes an existing pair. */
static int plug_again(const struct plug *plug, const struct route_link *inside, struct link_place *ret_place,
                      struct fault *why)
{
        struct route_link outside;
        uint32_t slot = 0;
        int r;

        if (inside->peer == 0 || route_find_link(plug->host, NULL, inside->peer, &outside) < 0 ||
            outside.peer != inside->ifindex || !has_slot(plug, outside.name, &slot))
                return fault_set(why, FAULT_INTERNAL, EEXIST,
                                 "the container already has an " INSIDE_INTERFACE " that carrel-netd did not make");
        r = set_up(plug, outside.name, outside.ifindex, slot, outside.is_up);
        if (r < 0)
                return refuse(why, outside.name, r);
        write_place(plug, outside.name, slot, ret_place);
        return 0;
}

/* Returns 0 or a negative libnl error; -NLE_EXIST: the slot is taken. Removes the pair on failure. */
static int plug_slot(const struct plug *plug, uint32_t slot, char name[static 16])
{
        int ifindex = 0;
        int r;

        (void)snprintf(name, 16, "%.9s%u", plug->names.interface_prefix, (unsigned)slot % (SLOTS_MAX + 1));
        r = route_make_veth(plug->host, name, INSIDE_INTERFACE, plug->netns_fd, plug->mtu, &ifindex);
        if (r < 0)
                return r;
        r = set_up(plug, name, ifindex, slot, false);
        if (r < 0)
                (void)route_delete_link(plug->host, ifindex);
        return r;
}

static int plug_new(const struct plug *plug, struct link_place *ret_place, struct fault *why)
{
        uint32_t tries = plug->slots < SLOT_TRIES ? plug->slots : SLOT_TRIES;
        uint32_t candidate = plug->known->last % (plug->slots + 1);
        char name[16];

        for (uint32_t i = 0; i < tries; i++) {
                int r;

                candidate = candidate >= plug->slots ? 1 : candidate + 1;
                r = plug_slot(plug, candidate, name);
                if (r == -NLE_EXIST)
                        continue;
                if (r < 0)
                        return refuse(why, name, r);
                plug->known->last = candidate;
                write_place(plug, name, candidate, ret_place);
                return 0;
        }
        return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOSPC,
                         tries < plug->slots ? "no free address in network_cidr: the next %u are all in use"
                                             : "no free address in network_cidr: all %u are in use",
                         (unsigned)tries);
}

int link_plug(int netns_fd, bool is_closed, const struct policy *policy, struct link_slots *slots,
              struct link_place *ret_place, struct fault *why)
{
        AUTO(plug_release)
        struct plug plug = { .netns_fd = netns_fd, .is_closed = is_closed, .policy = policy, .known = slots };
        struct route_link inside;
        int r = plug_begin(&plug, why);

        if (r < 0)
                return r;
        r = route_find_link(plug.inside, INSIDE_INTERFACE, 0, &inside);
        if (r == 0)
                return plug_again(&plug, &inside, ret_place, why);
        if (r != -NLE_NODEV && r != -NLE_OBJ_NOTFOUND)
                return refuse(why, INSIDE_INTERFACE, r);
        return plug_new(&plug, ret_place, why);
}

/* ---- opening ---- */

/* Whether its other end is in the namespace of that process. */
static bool leads_to(const struct plug *plug, const struct route_link *outside, int pid)
{
        int netns = -1;

        return outside->peer != 0 && outside->peer_netns >= 0 && route_find_netns(plug->host, pid, &netns) == 0 &&
               netns == outside->peer_netns;
}

/* Its flows ended when it was plugged. While it is closed, none can begin. */
int link_open(int pid, const char *interface, const struct policy *policy, struct fault *why)
{
        AUTO(plug_release) struct plug plug = { .policy = policy };
        struct route_link outside;
        uint32_t slot = 0;
        int r = connect_host(&plug, why);

        if (r < 0)
                return r;
        if (!has_slot(&plug, interface, &slot) || route_find_link(plug.host, interface, 0, &outside) < 0 ||
            !leads_to(&plug, &outside, pid))
                return fault_set(why, FAULT_CARREL_LOST, ESRCH, "%s is not the link of the carrel of process %d",
                                 interface, pid);
        r = open_host(&plug, outside.ifindex, policy->network.address + slot);
        if (r == 0)
                r = route_await_peer(plug.host, &outside);
        if (r == 0)
                return 0;
        (void)route_set_down(plug.host, outside.ifindex);
        return refuse(why, interface, r);
}
