/* The name of a container's directory for its agent: random, so that it says nothing of the user who gets the
 * container. */
#pragma once

struct container_info;

enum { AGENT_SLOT_DIGITS = 16, AGENT_SLOT_BYTES = AGENT_SLOT_DIGITS + 1 };

/* Makes a name. 0 or getrandom(2)'s errno, negative. */
__attribute__((warn_unused_result)) int agent_slot_make(char ret_slot[static AGENT_SLOT_BYTES]);

/* The name in the labels, which are untrusted text. NULL: the labels have no name, or one that is not well-formed. */
const char *agent_slot_of(const struct container_info *info);
