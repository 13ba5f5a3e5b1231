/* Inside the engine room only: is the engine there? A stopped engine accepts connections and never answers, so it is
 * asked /_ping in an interval, and while it does not answer nobody else waits for it. */
#pragma once

#include "docker-call.h"

void breaker_start(struct docker *docker);
void breaker_stop(struct docker *docker);
/* A call could not even connect. */
void breaker_open(struct docker *docker);
