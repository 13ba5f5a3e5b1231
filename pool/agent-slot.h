/* The name of a container's directory for its agent: random, so that it says nothing of the user who gets the
 * container. */
#pragma once

#include <stdbool.h>

#include "spec.h"
#include "user-id.h"

struct container_info;

/* Until template 3 the user's id was the name. */
enum { AGENT_SLOT_DIGITS = 16, AGENT_SLOT_BYTES = USER_ID_MAX + 1 };

/* Makes a name. 0 or getrandom(2)'s errno, negative. */
__attribute__((warn_unused_result)) int agent_slot_make(char ret_slot[static AGENT_SLOT_BYTES]);

/* The name in the labels, which are untrusted text, of a container of this version of the template. NULL: the labels
 * have no name, or one that is not well-formed. */
const char *agent_slot_of(const struct container_info *info, enum template_version version);
