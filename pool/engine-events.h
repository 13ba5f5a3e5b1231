/* What the engine tells by itself. Inside the pool room only. */
#pragma once

#include "engine.h"

/* The callback of engine->ops->watch; arg is the pool. */
void watch_on_event(void *arg, const struct engine_event *event);
