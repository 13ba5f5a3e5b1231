/* An engine in memory, for tests of units, simulation and scale. It keeps the contract of engine.h, answers from the
 * loop, and follows the test's instructions (delays, faults, lost outcomes). Never linked into carreld's release path
 * except as `engine = fake` in debug builds. */
#pragma once

#include "engine.h"

enum fake_op {
        FAKE_CLAIM,
        FAKE_CREATE,
        FAKE_START,
        FAKE_INSPECT,
        FAKE_LIST,
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
        FAKE_DO_AND_FAIL, /* carried out, but answered with FAULT_DEADLINE: an unknown outcome */
        FAKE_HANG         /* never answers (the caller's deadline or cancel ends it) */
};

/* Images whose reference begins with this are missing; every other image exists, and one is listed. A cancelled call is
 * still carried out when it is due, without its callback, as in a real engine. */
#define FAKE_MISSING_IMAGE "missing"

__attribute__((warn_unused_result)) int fake_new(struct engine **ret_engine, struct ev_loop *loop);

/* Sets how the next `times` calls of op behave (0: all from now on). */
void fake_set(struct engine *engine, enum fake_op op, enum fake_behaviour behaviour, unsigned times);
/* false: every call fails with FAULT_ENGINE_UNAVAILABLE, and the watcher receives ENGINE_LOST. true again: RESYNC. */
void fake_set_available(struct engine *engine, bool is_available);
/* Removes the watcher, so that another may come, as for a new daemon. */
void fake_unwatch(struct engine *engine);
/* Whether claim replaces labels (true, the default). false: it changes the name only, as Docker does. */
void fake_set_can_relabel(struct engine *engine, bool can_relabel);
/* Delays every answer by this time; 0 (the default): until the loop's next iteration. */
void fake_set_latency(struct engine *engine, double seconds);
/* Makes hanging calls of op answer, from the loop. Returns their number. */
unsigned fake_release(struct engine *engine, enum fake_op op);
/* Containers that start from now on have this pid. 0 (the default): none, as they have no process. */
void fake_set_pid(struct engine *engine, int pid);
/* How often op was called. */
unsigned fake_calls(const struct engine *engine, enum fake_op op);
size_t fake_containers(const struct engine *engine);
/* Adds a container without the pool (copied). Returns 0 or -ENOMEM. */
int fake_plant(struct engine *engine, const struct container_info *info);
/* Ends the container (with an event, unless is_silent), or removes it, without the pool. */
void fake_kill(struct engine *engine, const char *name, bool is_silent);
void fake_vanish(struct engine *engine, const char *name, bool is_silent);
/* The container with this name, or NULL. Valid until the next call. */
const struct container_info *fake_find(const struct engine *engine, const char *name);
