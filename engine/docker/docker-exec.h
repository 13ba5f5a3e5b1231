/* Runs a program inside through the engine. It is created, started (the answer's
 * connection then carries the program's streams), and inspected at the end of its streams. */
#pragma once

#include "engine.h"

int docker_exec(struct engine *engine, const char *id, const struct exec_command *command,
                const struct exec_events *events, engine_done done, void *arg, struct engine_call **ret_call);
int docker_exec_inspect(struct engine *engine, const char *engine_exec_id, engine_done done, void *arg,
                        struct engine_call **ret_call);
/* A program has ended, and the event did not say which: inspects each that runs, and reports the end to the watch. */
struct docker;
void docker_exec_look_at_all(struct docker *docker);
