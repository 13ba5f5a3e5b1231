/* The engine's own exec as a backend of exec.h, for containers that no registered backend before it serves. */
#pragma once

struct engine;
struct execs;

/* Registers the backend; it is freed with execs. engine is borrowed. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int engine_execs_register(struct execs *execs, struct engine *engine);
