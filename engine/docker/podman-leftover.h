/* Inside the engine room only: names that Podman has given away and forgotten. */
#pragma once

#include "docker-call.h"

/* Podman answered a create with "the name is in use" by a container of this id. When its storage has that id and it
 * knows no such container itself (it was killed between the two; podman 4.3.1), the storage is cleared of it. The call
 * ends with FAULT_NAME_TAKEN in any case: whoever asked looks who has the name, finds nobody, and asks again. False:
 * the answer names no id, and was not handled. */
bool podman_clear_leftover(struct docker_call *call, const struct http_response *response);
