/* Inside the engine room only: a program run inside through the engine: create, start (the answer's connection is taken
 * over by the program's streams), and at their end inspect. */
#pragma once

#include "engine.h"

int docker_exec(struct engine *engine, const char *id, const struct exec_command *command,
                const struct exec_events *events, engine_done done, void *arg, struct engine_call **ret_call);
int docker_exec_inspect(struct engine *engine, const char *engine_exec_id, engine_done done, void *arg,
                        struct engine_call **ret_call);
/* A program of ours has ended, and the event did not say which: asks about each that runs, and tells the watch. */
struct docker;
void docker_exec_look_at_all(struct docker *docker);
