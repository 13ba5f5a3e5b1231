/* The effect of a misbehaving carrel on others. */
#pragma once

#include "bench.h"

enum { NEIGHBOURS_MAX = 8 };

/* Measures run alone, and then beside each kind of misbehaviour by the user bench-exec-hog, whose carrel is removed.
 * Fills at most NEIGHBOURS_MAX rows and returns their number. */
size_t neighbours_run(struct bench *bench, bench_operation run, struct row *ret_rows);
