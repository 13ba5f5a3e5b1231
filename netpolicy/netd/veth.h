/* A routed veth for one carrel. On the host <prefix><slot> with the gateway 169.254.1.1/32 and a route to the
 * carrel's /32; inside eth0 with that /32 and the default route by the gateway. The address is network + slot.
 * There is nothing to unplug: the pair dies with the carrel's namespace. Blocks; lives in the helper process. */
#pragma once

#include <stdint.h>

#include "fault.h"
#include "policy.h"

struct link_place {
        char interface[16]; /* on the host */
        char address[16];   /* of the carrel */
};

/* What is known of the slots of a network. */
struct link_slots {
        uint32_t last;        /* given last; at first any number */
        struct cidr network;  /* whose slots these are */
        unsigned char *clean; /* a bit for each slot: nobody has a flow from its address; NULL: nothing is known */
};

void link_slots_release(struct link_slots *slots);

/* Plugs the namespace of netns_fd. The search for a slot starts behind the one given last, so that an address rests
 * before it is given again, and what its last owner had open ends before the first packet of the new one. A namespace
 * that has our eth0 already keeps it: its other end is found by the ifindex the kernel tells of a veth's peer, what a
 * killed helper left undone is completed, and the answer is the same.
 * -ENOSPC (FAULT_RESOURCE_EXHAUSTED) no free slot; -EEXIST (FAULT_INTERNAL) an eth0 that is not ours; others. */
__attribute__((warn_unused_result)) int link_plug(int netns_fd, const struct policy *policy, struct link_slots *slots,
                                                  struct link_place *ret_place, struct fault *why);
