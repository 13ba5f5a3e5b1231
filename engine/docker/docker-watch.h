/* Follows the events of labelled containers as long as the engine lives. */
#pragma once

#include "engine.h"

struct docker_watch;

int docker_watch(struct engine *engine, const char *label, const char *value, engine_on_event on_event, void *arg);
/* Reports the end of this program, as an event would. watch NULL: does nothing. */
void docker_watch_tell_exec(struct docker_watch *watch, const char *container_id, const char *exec_id, int exit_code);
/* NULL is fine; returns NULL. Call it before the engine's calls are cancelled. */
struct docker_watch *docker_watch_free(struct docker_watch *watch);
