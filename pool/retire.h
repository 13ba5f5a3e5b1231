/* Taking a carrel away: the flow RETIRE. Inside the pool room only. */
#pragma once

#include "carrel.h"

/* A start has ended; task_free is done. Whoever asked meanwhile for the carrel's removal gets it: a carrel that is
 * ready or lost is retired; of one that is neither nothing is left (unless is_unclean) and it is forgotten. */
void retire_after_start(struct carrel *carrel, bool is_unclean);
