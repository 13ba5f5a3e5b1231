/* Names that Podman has assigned and forgotten. */
#pragma once

#include "docker-call.h"

/* Podman answered a create with "the name is in use" by a container of this id. Podman's storage may have that id while
 * Podman knows no such container, because it was killed between the two (podman 4.3.1). Then this clears it from the
 * storage. The call ends with FAULT_NAME_TAKEN in any case; the caller finds that nobody has the name, and tries again.
 * False: the answer names no id, and was not handled. */
bool podman_clear_leftover(struct docker_call *call, const struct http_response *response);
