/* The steps of the flow ENSURE. Their subject is a struct task. */
#pragma once

#include "flow.h"

/* Ends with a NULL name. */
extern const struct step ENSURE_STEPS[];
