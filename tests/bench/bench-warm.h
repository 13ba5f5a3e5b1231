/* The warm carrels of a running carreld. */
#pragma once

#include "bench.h"

/* How many the setting `warm` asks for; 0: none. Asks with bench->fd. */
size_t warm_wanted(struct bench *bench);
/* Waits until all wanted ones are there. 0, -ETIME (their number has not grown for a minute), or the errors of
 * bench_ask. */
int warm_wait(struct bench *bench);
