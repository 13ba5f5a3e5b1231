/* Whether an engine with Docker's API can keep what carrel promises. */
#pragma once

#include <stddef.h>

#include "fault.h"

struct ev_loop;
struct probe;

/* What is found at a socket. */
enum probed_kind { PROBED_DOCKER, PROBED_PODMAN };

/* Called once. why NULL: `kind` answers and can keep every promise. Else why says: nothing answers, the API is too old,
 * or a promise that it cannot keep. The probe is freed when this returns. */
typedef void (*probe_done)(void *arg, enum probed_kind kind, const struct fault *why);

/* Asks the engine at socket_path who it is and what it can do. It has deadline_s to give a first answer (/_ping), and
 * half a minute more for /info: Podman asks the package manager about its helpers each time, 0.9 s on an idle machine.
 * runtime: the OCI runtime that it must know; "" or NULL: its default will do. Both are copied. done never runs from
 * inside this call. Returns 0, -ENOMEM or another negative errno of the HTTP client. */
__attribute__((warn_unused_result)) int probe_start(struct probe **ret_probe, struct ev_loop *loop,
                                                    const char *socket_path, const char *runtime, double deadline_s,
                                                    probe_done done, void *arg);
/* done does not run. NULL is fine; returns NULL. */
struct probe *probe_cancel(struct probe *probe);

/* What it answers to GET /info, judged; pure, as json comes from outside. 0, -EBADMSG (no such answer), or -ENOTSUP
 * with what is missing. */
int probe_judge_info(const char *json, size_t length, const char *runtime, struct fault *why);
