/* The steps that a start and an adoption share. Their subject is a struct task; task->carrel->id names the container.
 * Inside the pool room only. */
#pragma once

#include "flow.h"

/* The egress policy is in the kernel now. */
enum flow_verdict step_confine(struct flow *flow, void *subject);
/* The container runs, is the one we mean, and its process is held by a pidfd. */
enum flow_verdict step_identify(struct flow *flow, void *subject);
/* The kernel says that the hardening is real. */
enum flow_verdict step_verify(struct flow *flow, void *subject);
/* The user's directory inside is nosuid and nodev, and nothing else inside is writable that should not be. */
enum flow_verdict step_remount(struct flow *flow, void *subject);
/* The agent has a home to call, before the container starts. The undo hangs up. */
enum flow_verdict step_listen(struct flow *flow, void *subject);
enum flow_verdict step_hang_up(struct flow *flow, void *subject);
/* The agent has called, and is the container's init. */
enum flow_verdict step_greet(struct flow *flow, void *subject);
/* The container has its link, unless its policy is none. */
enum flow_verdict step_plug(struct flow *flow, void *subject);
/* The policy is still in force, and the container has not died meanwhile. */
enum flow_verdict step_confirm(struct flow *flow, void *subject);
