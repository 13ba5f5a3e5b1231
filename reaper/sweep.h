/* One sweep: lists the engine's containers of the pool, judges each, acts on it, and reports. */
#pragma once

#include "orphans.h"
#include "reaper.h"

struct sweep;

/* Exactly one of report and why is NULL: why when the engine did not answer the list. */
typedef void (*sweep_done)(void *arg, const struct sweep_report *report, const struct fault *why);

/* done runs exactly once, never from inside, and frees the sweep afterwards. Returns 0, -EBUSY (another survey
 * runs) or -ENOMEM. */
__attribute__((warn_unused_result)) int sweep_start(struct sweep **ret_sweep, struct pool *pool,
                                                    enum orphan_phase phase, bool is_adopting, sweep_done done,
                                                    void *arg);

/* done never runs. Only right before pool_free, which drops what the pool still has to answer. NULL is fine; returns
 * NULL. */
struct sweep *sweep_free(struct sweep *sweep);
