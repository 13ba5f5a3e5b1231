/* Freezes and thaws carrels by their cgroup's freezer (freezer.h). A FROZEN carrel with a task is being frozen or
 * thawed; without one it is frozen. */
#pragma once

#include "carrel.h"
#include "flow.h"

/* Thaws the container without waiting, before it is removed: on cgroup v1 no frozen process dies. No effect if it is
 * not frozen. */
void freeze_lift(const struct carrel *carrel);
/* Begins to thaw a FROZEN carrel without a task. Its requests, and those that join, get the result. 0, or a negative
 * errno with *why. */
int freeze_resume(struct carrel *carrel, struct fault *why);
/* Whether the running task of a FROZEN carrel thaws it. */
bool freeze_is_thawing(const struct carrel *carrel);
/* A step: has the engine resume the container if task->is_paused, as the engine would otherwise still count it as
 * paused. */
enum flow_verdict step_unpause(struct flow *flow, void *subject);
