#include "net-suite.h"

struct rig rig;
struct node *outside, *carrel;
struct netpolicy_link link_of_carrel;

void net_set_up(const char *deny, const char *allow)
{
        MUST_RUN("ip", "link", "set", "lo", "up");
        outside = rig_outside_new();
        rig_start(&rig, "default", "10.213.0.0/16", deny, allow);
        rig_await(&rig, rig_in_force);
        carrel = node_new(true);
        link_of_carrel = rig_must_plug(&rig, carrel);
}

void net_tear_down(void)
{
        rig_stop(&rig);
        carrel = node_free(carrel);
        outside = node_free(outside);
}
