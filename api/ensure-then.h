/* For handlers that need the carrel of their user, or run a program in it. */
#pragma once

#include <stdbool.h>

#include "pool.h"
#include "request.h"

typedef void (*carrel_on_ready)(struct request *request, const struct pool_ensured *ensured);

/* Ensures the carrel, then calls on_ready, perhaps from inside. A fault is passed to the context's on_failed if it is
 * set, else it is the answer. Nothing is called if the client leaves first. */
void ensure_then(struct request *request, const struct carrel_spec *spec, enum on_conflict on_conflict,
                 carrel_on_ready on_ready);
/* The same for a carrel of any spec. */
void ensure_then_any(struct request *request, carrel_on_ready on_ready);
/* The same for a carrel with this profile (at most POOL_PROFILE_BYTES with its NUL). NULL: any. */
void ensure_then_profile(struct request *request, const char *profile, carrel_on_ready on_ready);
/* pool_exec in the ready carrel. false: it was refused, and the fault was handled as above. */
bool carrel_run(struct request *request, const struct exec_request *program, const struct exec_sink *sink, void *arg,
                struct exec **ret_exec);
