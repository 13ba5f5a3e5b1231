/* The steps that a start and an adoption share. Their subject is a struct task; task->carrel->id names the container.
 */
#pragma once

#include "flow.h"

/* Finds the operator's mounts for the container, and checks that each source may be mounted. */
enum flow_verdict step_mounts(struct flow *flow, void *subject);
/* Confirms that the egress policy is in the kernel. */
enum flow_verdict step_confine(struct flow *flow, void *subject);
/* Checks that the container runs and is the one we mean, and holds its process by a pidfd. */
enum flow_verdict step_identify(struct flow *flow, void *subject);
/* Verifies the hardening in the kernel. */
enum flow_verdict step_verify(struct flow *flow, void *subject);
/* Makes the user's directory inside nosuid and nodev, and checks that nothing else is writable that should not be. */
enum flow_verdict step_remount(struct flow *flow, void *subject);
/* Opens the agent's socket before the container starts. The undo, step_hang_up, closes it. */
enum flow_verdict step_listen(struct flow *flow, void *subject);
enum flow_verdict step_hang_up(struct flow *flow, void *subject);
/* Waits until the agent connects, and checks that it is the container's process 1. */
enum flow_verdict step_greet(struct flow *flow, void *subject);
/* Plugs the container's network link, unless its policy is "none". That of a warm carrel is closed: nothing passes
 * until a claim opens it. */
enum flow_verdict step_plug(struct flow *flow, void *subject);
/* Confirms again that the policy is in force, and that the container still lives. */
enum flow_verdict step_confirm(struct flow *flow, void *subject);
