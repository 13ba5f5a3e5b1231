/* Inside the exec room only: how an agent is known again by a later carreld where the kernel cannot say which of a
 * container's processes has connected (a runtime with a kernel of its own: to the host they are all one).
 *
 * The agent is given a token before any program of the user's runs, and keeps it in memory that those cannot read. It
 * is kept here beside the agents' directories, in a file of root's, bound to the container by its id. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent-wire.h"

/* The token that this container's agent was given. 0, -ENOENT: none was ever given, or another negative errno. */
int agent_token_find(int directory, const char *name, const char *container_id,
                     uint8_t ret_token[static AGENT_TOKEN_BYTES]);
/* A new one, in place of an earlier container's; it is on disk when this returns. 0 or a negative errno. */
int agent_token_make(int directory, const char *name, const char *container_id,
                     uint8_t ret_token[static AGENT_TOKEN_BYTES]);
/* One that nobody was given and nobody will be: programs run in this container without an agent's having been greeted,
 * and whoever came now might be one of those. As agent_token_make. */
int agent_token_withhold(int directory, const char *name, const char *container_id);
bool agent_token_is_withheld(const uint8_t token[static AGENT_TOKEN_BYTES]);
void agent_token_forget(int directory, const char *name);
