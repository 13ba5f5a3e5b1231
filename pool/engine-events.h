/* Handles the engine's events. */
#pragma once

#include "engine.h"

/* The callback of engine->ops->watch; arg is the pool. */
void watch_on_event(void *arg, const struct engine_event *event);
