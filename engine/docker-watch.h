/* Inside the engine room only: the events of labelled containers, followed for the engine's life. */
#pragma once

#include "engine.h"

struct docker_watch;

int docker_watch(struct engine *engine, const char *label, const char *value, engine_on_event on_event, void *arg);
/* NULL is fine; returns NULL. Before the engine's calls are cancelled. */
struct docker_watch *docker_watch_free(struct docker_watch *watch);
