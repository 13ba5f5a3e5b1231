/* The grammar of user ids. It is a subset of what the engines accept in a container's name, and one path component:
 * no '/', no leading dot, so that an id is the same thing as a name, a label and a directory. */
#pragma once

#include "pool.h"

/* The same as user_id_check for NUL-terminated text that may be NULL; a yes or no. */
bool user_id_is_valid(const char *id);
