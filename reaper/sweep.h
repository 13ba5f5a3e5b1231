/* One sweep: lists the engine's containers of the pool, judges each, acts on it, and reports. */
#pragma once

#include "orphans.h"
#include "reaper.h"

struct sweep;

/* Exactly one of report and why is NULL. why: the engine did not answer the request for its list. */
typedef void (*sweep_done)(void *arg, const struct sweep_report *report, const struct fault *why);

/* Calls done exactly once, never before it returns; then the sweep frees itself. Returns 0, -EBUSY (another survey
 * runs) or -ENOMEM. */
__attribute__((warn_unused_result)) int sweep_start(struct sweep **ret_sweep, struct pool *pool,
                                                    enum orphan_phase phase, bool is_adopting, sweep_done done,
                                                    void *arg);

/* done never runs. Call it only right before pool_free, which drops the sweep's open requests to the pool. NULL is
 * fine; returns NULL. */
struct sweep *sweep_free(struct sweep *sweep);
