/* Removes a carrel: the flow RETIRE. */
#pragma once

#include "carrel.h"

/* Retires a carrel in READY, WARM or LOST that has no flow. Out of memory it stays as it is. */
void retire_carrel(struct carrel *carrel, const char *reason);

/* To call when a start has ended, after task_free. Serves the retirements that were requested during the start: a READY
 * or LOST carrel is retired. A carrel in STARTING has failed; it is forgotten. is_unclean: its container may still
 * exist, and the retirements fail. */
void retire_after_start(struct carrel *carrel, bool is_unclean);
