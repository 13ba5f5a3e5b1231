/* Detects an engine that does not answer. A stopped engine accepts connections and never
 * answers. So it is sent /_ping in an interval, and while it does not answer, no call waits for it. */
#pragma once

#include "docker-call.h"

void breaker_start(struct docker *docker);
void breaker_stop(struct docker *docker);
/* Reports that a call could not connect. */
void breaker_open(struct docker *docker);
