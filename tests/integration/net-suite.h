/* The fixture of the egress tests: the outside, a policy in force, and a carrel that is plugged. */
#pragma once

#include "netrig.h"
#include "suite.h"

extern struct rig rig;
extern struct node *outside, *carrel;
extern struct netpolicy_link link_of_carrel;

/* Starts all of this. deny and allow are values of the settings of these names. */
void net_set_up(const char *deny, const char *allow);
void net_tear_down(void);
