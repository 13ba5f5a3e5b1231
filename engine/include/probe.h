/* Whether an engine that speaks Docker's API can keep carrel's promises. */
#pragma once

#include <stddef.h>

#include "fault.h"

struct ev_loop;
struct probe;

/* The engine that answers on a socket. */
enum probed_kind { PROBED_DOCKER, PROBED_PODMAN };

/* Called once. why is NULL if `kind` answers and can keep every promise. Otherwise nothing answers, the API is too old,
 * or why names the promise that it cannot keep. The probe is freed when this returns. */
typedef void (*probe_done)(void *arg, enum probed_kind kind, const struct fault *why);

/* Asks the engine at socket_path for its kind and abilities. It has deadline_s for its first answer (/_ping) and half a
 * minute more for /info: Podman asks the package manager about its helpers each time, 0.9 s on an idle machine. runtime
 * is the OCI runtime that it must know; "" or NULL accepts its default. Both texts are copied. done never runs from
 * inside this call. Returns 0, -ENOMEM or another negative errno of the HTTP client. */
__attribute__((warn_unused_result)) int probe_start(struct probe **ret_probe, struct ev_loop *loop,
                                                    const char *socket_path, const char *runtime, double deadline_s,
                                                    probe_done done, void *arg);
/* Frees the probe without calling done. NULL is fine; returns NULL. */
struct probe *probe_cancel(struct probe *probe);

/* Judges an answer to GET /info. Pure; json comes from outside. 0, -EBADMSG (not such an answer), or -ENOTSUP with what
 * is missing in why. */
int probe_judge_info(const char *json, size_t length, const char *runtime, struct fault *why);
