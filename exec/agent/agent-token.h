/* Private to exec/agent: how a later carreld recognises an agent when the kernel cannot say which process of the
 * container has connected (a runtime with a kernel of its own, which the host sees as one process).
 *
 * The agent gets a token before any program of the user runs, and keeps it in memory that those programs cannot read.
 * carreld keeps it in a file of root's beside the agents' directories, together with the container's id. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent-wire.h"

/* The token that this container's agent got. 0, -ENOENT (it got no token), or another negative errno. */
int agent_token_find(int directory, const char *name, const char *container_id,
                     uint8_t ret_token[static AGENT_TOKEN_BYTES]);
/* Makes a new token and replaces that of an earlier container; it is in the file when this returns. 0 or a negative
 * errno. */
int agent_token_make(int directory, const char *name, const char *container_id,
                     uint8_t ret_token[static AGENT_TOKEN_BYTES]);
/* Stores a token that no agent gets: programs run in this container without a greeted agent, and a process that
 * connects now might be one of them. Returns as agent_token_make. */
int agent_token_withhold(int directory, const char *name, const char *container_id);
bool agent_token_is_withheld(const uint8_t token[static AGENT_TOKEN_BYTES]);
void agent_token_forget(int directory, const char *name);
