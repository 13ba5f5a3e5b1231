/* Requests that need the carrel of their user, and those that run a program in it. */
#pragma once

#include <stdbool.h>

#include "pool.h"
#include "request.h"

typedef void (*carrel_on_ready)(struct request *request, const struct pool_ensured *ensured);

/* Ensures the carrel, and then calls on_ready, perhaps from inside. A failure is answered, or goes to the context's
 * on_failed if it has one; when the client leaves first, nothing is called. */
void ensure_then(struct request *request, const struct carrel_spec *spec, enum on_conflict on_conflict,
                 carrel_on_ready on_ready);
/* The same, whatever the carrel is like. */
void ensure_then_any(struct request *request, carrel_on_ready on_ready);
/* pool_exec in the carrel that is ready. false: it was refused, and that is answered. */
bool carrel_run(struct request *request, const struct exec_request *program, const struct exec_sink *sink, void *arg,
                struct exec **ret_exec);
