/* Whether an engine with Docker's API can keep what carrel promises, asked once before anything runs. */
#pragma once

#include <stddef.h>

#include "fault.h"

/* What is found at a socket. */
enum probed_kind { PROBED_DOCKER, PROBED_PODMAN };

/* Asks the engine at socket_path who it is and what it can do, with a loop of its own, for at most deadline_s in all.
 * runtime: the OCI runtime that it must know; "" or NULL: its default will do. Returns 0 (*ret_kind: what answers), or
 * a negative errno with the sentence in why: nothing answers, the API is too old, or a promise that it cannot keep. */
__attribute__((warn_unused_result)) int probe_engine(const char *socket_path, const char *runtime, double deadline_s,
                                                     enum probed_kind *ret_kind, struct fault *why);

/* What it answers to GET /info, judged; pure, as json comes from outside. 0, -EBADMSG (no such answer), or -ENOTSUP
 * with what is missing. */
int probe_judge_info(const char *json, size_t length, const char *runtime, struct fault *why);
