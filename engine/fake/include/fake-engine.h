/* An engine in memory, for unit tests, simulation and scale: it keeps the contract of engine.h, answers from the
 * loop, and does what the test tells it to (delays, faults, lost outcomes). Never linked into carreld's release
 * path except as `engine = fake` in debug builds. */
#pragma once

#include "engine.h"

enum fake_op {
        FAKE_CREATE,
        FAKE_START,
        FAKE_INSPECT,
        FAKE_LIST,
        FAKE_RENAME,
        FAKE_REMOVE,
        FAKE_PAUSE,
        FAKE_EXEC,
        FAKE_EXEC_INSPECT,
        FAKE_IMAGE_INSPECT,
        FAKE_IMAGE_LIST,
        FAKE_IMAGE_LOAD,
        FAKE_IMAGE_REMOVE,
        FAKE_OPS
};

enum fake_behaviour {
        FAKE_OK,
        FAKE_REFUSE,      /* FAULT_ENGINE_REFUSED, nothing done */
        FAKE_UNAVAILABLE, /* FAULT_ENGINE_UNAVAILABLE, nothing done */
        FAKE_DO_AND_FAIL, /* done, but FAULT_DEADLINE is answered: the unknown outcome */
        FAKE_HANG         /* never answers (the caller's deadline or cancel ends it) */
};

/* Images whose reference begins so are missing; every other one is there, and one is listed. A cancelled call is still
 * carried out at its time, unannounced, as a real engine does with what it has received. */
#define FAKE_MISSING_IMAGE "missing"

__attribute__((warn_unused_result)) int fake_new(struct engine **ret_engine, struct ev_loop *loop);

/* The next `times` calls of op behave so (times 0: all from now on). */
void fake_set(struct engine *engine, enum fake_op op, enum fake_behaviour behaviour, unsigned times);
/* false: every call fails with FAULT_ENGINE_UNAVAILABLE and the watcher hears ENGINE_LOST; back to true: RESYNC. */
void fake_set_available(struct engine *engine, bool is_available);
/* The watcher hears nothing more, and another may come: what a new daemon finds. */
void fake_unwatch(struct engine *engine);
/* Every answer comes after this long; 0 (the default): at the loop's next turn. */
void fake_set_latency(struct engine *engine, double seconds);
/* Hanging calls of op answer after all, from the loop. Returns their number. */
unsigned fake_release(struct engine *engine, enum fake_op op);
/* Containers started from now on tell this pid. 0 (the default): none, as they have no process. */
void fake_set_pid(struct engine *engine, int pid);
/* How often op was called. */
unsigned fake_calls(const struct engine *engine, enum fake_op op);
size_t fake_containers(const struct engine *engine);
/* A container appears behind the pool's back (copied). Returns 0 or -ENOMEM. */
int fake_plant(struct engine *engine, const struct container_info *info);
/* The container dies (event included, unless is_silent) or is removed behind the pool's back. */
void fake_kill(struct engine *engine, const char *name, bool is_silent);
void fake_vanish(struct engine *engine, const char *name, bool is_silent);
/* NULL when there is none. Valid until the next call. */
const struct container_info *fake_find(const struct engine *engine, const char *name);
