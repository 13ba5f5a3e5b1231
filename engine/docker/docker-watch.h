/* Inside the engine room only: the events of labelled containers, followed for the engine's life. */
#pragma once

#include "engine.h"

struct docker_watch;

int docker_watch(struct engine *engine, const char *label, const char *value, engine_on_event on_event, void *arg);
/* As if an event had told that this program has ended. watch NULL: nobody is told. */
void docker_watch_tell_exec(struct docker_watch *watch, const char *container_id, const char *exec_id, int exit_code);
/* NULL is fine; returns NULL. Before the engine's calls are cancelled. */
struct docker_watch *docker_watch_free(struct docker_watch *watch);
