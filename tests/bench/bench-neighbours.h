/* What a carrel feels of another one that misbehaves. */
#pragma once

#include "bench.h"

enum { NEIGHBOURS_MAX = 8 };

/* Measures run quietly, and then beside each kind of misbehaviour by the user bench-exec-hog, who is removed. Fills at
 * most NEIGHBOURS_MAX rows and returns how many. */
size_t neighbours_run(struct bench *bench, bench_operation run, struct row *ret_rows);
