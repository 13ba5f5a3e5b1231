/* Links, addresses and routes of one network namespace through rtnetlink (libnl-route-3). Every call returns 0 or a
 * negative libnl error (netlink/errno.h), blocks for one round trip, and can be repeated. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct nl_sock;

struct route_link {
        int ifindex;
        int peer;       /* of a veth: ifindex of the other end, in its own namespace */
        int peer_netns; /* the id that this namespace has for that one; negative: it is in this one */
        bool is_up;
        bool can_send; /* it has a carrier, and what it sends is not dropped */
        char name[16];
};

/* Creates a veth pair: one end `name` here, the other `peer_name` directly in the namespace of netns_fd. -NLE_EXIST: a
 * name is taken. */
int route_make_veth(struct nl_sock *socket, const char *name, const char *peer_name, int netns_fd, unsigned mtu,
                    int *ret_ifindex);
/* By name, or by ifindex if name is NULL. -NLE_NODEV or -NLE_OBJ_NOTFOUND: it does not exist. */
int route_find_link(struct nl_sock *socket, const char *name, int ifindex, struct route_link *ret_link);
int route_delete_link(struct nl_sock *socket, int ifindex);
int route_set_up(struct nl_sock *socket, int ifindex);
int route_set_down(struct nl_sock *socket, int ifindex);
/* Waits until the peer in another namespace can send, at most some 0.3 s (-NLE_AGAIN): after its carrier comes, the
 * kernel drops what it sends until a worker, or since Linux 6.8 this question, has run. */
int route_await_peer(struct nl_sock *socket, const struct route_link *link);
/* The id that this namespace has for that of a process. The kernel gives an id to the namespace of a peer when it
 * reports the link (route_find_link). -NLE_OBJ_NOTFOUND: it has none. */
int route_find_netns(struct nl_sock *socket, int pid, int *ret_netns);

/* Addresses in host byte order, as a /32. */
int route_add_address(struct nl_sock *socket, int ifindex, uint32_t address, bool is_link_scope);
/* Adds a /32 route by this interface. -NLE_EXIST: there is one by another interface. */
int route_claim_host(struct nl_sock *socket, int ifindex, uint32_t address);
/* The default route by a gateway that no other route covers (onlink). */
int route_add_default(struct nl_sock *socket, int ifindex, uint32_t gateway);

/* The MTU of the interface with the default route; fallback if there is no such route. */
unsigned route_outside_mtu(struct nl_sock *socket, unsigned fallback);
