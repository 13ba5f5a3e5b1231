/* The flow ENSURE: clear, directory, create, confine, start, identify, verify, plug, confirm.
 * Its subject is a struct task. Inside the pool room only. */
#pragma once

#include "flow.h"

/* Ends with a NULL name. */
extern const struct step ENSURE_STEPS[];
