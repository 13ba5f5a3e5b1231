/* Inside the exec room only: how an exec's life ends, and what its user is told. */
#pragma once

#include "engine-exec.h"

/* Each of the first five stops everything, answers the user if he waits, and frees the exec. */

/* The program has ended, or nothing more will be learned: the result, or why there is none. One that was killed is
 * freed only when nothing it started lives. */
void exec_end_finish(struct engine_exec *exec);
/* The same whatever lives. */
void exec_end_now(struct engine_exec *exec);
/* The same, and tells the room's listener when something lives. */
void exec_end_give_up(struct engine_exec *exec);
/* Nothing was started. */
void exec_end_fail(struct engine_exec *exec, const struct fault *why);
/* The container is gone. */
void exec_end_lost(struct engine_exec *exec, bool is_oom);

/* Answers the user, and the exec lives on silently. The callback may end it: do not touch it behind this. */
void exec_end_report(struct engine_exec *exec);

/* Frees the memory of an exec that nothing refers to. */
void exec_end_dispose(struct engine_exec *exec);
