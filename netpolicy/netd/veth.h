/* A routed veth pair for one carrel. The host's end is <prefix><slot>, with the gateway address 169.254.1.1/32 and a
 * route to the carrel's /32. The carrel's end is eth0, with that /32 and a default route by the gateway. The address is
 * network + slot. A closed pair is whole except that the host's end is down and has no route: nothing passes. The pair
 * ends with the carrel's namespace, so there is no unplug. Blocks; runs in carrel-netd. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"
#include "policy.h"

struct link_place {
        char interface[16]; /* on the host */
        char address[16];   /* of the carrel */
};

/* The slots of a network. */
struct link_slots {
        uint32_t last;        /* given out last; a random number at first */
        struct cidr network;  /* the network of these slots */
        unsigned char *clean; /* a bit for each slot: there is no flow from its address; NULL: unknown */
};

void link_slots_release(struct link_slots *slots);

/* Plugs the namespace of netns_fd. The search for a slot starts after the one given out last, so that an address is not
 * reused soon. Flows of its previous owner end before the new owner's first packet. A namespace that already has our
 * eth0 keeps it: the kernel reports the ifindex of a veth's peer, by which the host's end is found. Steps that a killed
 * helper left undone are completed, and the result is the same. is_closed: leaves a new pair closed; one that is open
 * stays open. -ENOSPC (FAULT_RESOURCE_EXHAUSTED) no free slot; -EEXIST (FAULT_INTERNAL) an eth0 that carrel-netd did
 * not make; others. */
__attribute__((warn_unused_result)) int link_plug(int netns_fd, bool is_closed, const struct policy *policy,
                                                  struct link_slots *slots, struct link_place *ret_place,
                                                  struct fault *why);

/* Opens a closed pair without entering its namespace, from which packets can be sent at once. One that is open stays
 * so. -ESRCH (FAULT_CARREL_LOST): no veth of this pool with its other end in the namespace of process pid has this
 * name. After another failure the pair is closed. */
__attribute__((warn_unused_result)) int link_open(int pid, const char *interface, const struct policy *policy,
                                                  struct fault *why);
