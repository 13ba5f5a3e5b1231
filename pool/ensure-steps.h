/* The steps of the flows ENSURE and WARM, and those that CLAIM shares with them. Their subject is a struct task. */
#pragma once

#include "flow.h"

/* Ends with a NULL name. */
extern const struct step ENSURE_STEPS[];
/* WARM makes a carrel without a user: nothing is cleared, and there is no directory. */
#define WARM_STEPS (&ENSURE_STEPS[3])

/* Removes the user's previous container, whose execs end. */
enum flow_verdict step_clear(struct flow *flow, void *subject);
/* Makes and checks the user's directory, and computes the spec hash. */
enum flow_verdict step_directory(struct flow *flow, void *subject);
/* An undo: removes the container that the flow made or took, if there may be one. */
enum flow_verdict step_remove_container(struct flow *flow, void *subject);
