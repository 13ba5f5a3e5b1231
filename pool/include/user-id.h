/* The grammar of user ids. Every id is also a valid container name, label and path component (no '/', no leading dot),
 * so none of these needs escaping. */
#pragma once

#include "pool.h"

/* In the table a warm carrel has a name that no user can have. */
#define WARM_USER_PREFIX ".warm-"

/* user_id_check for NUL-terminated text. False for NULL. */
bool user_id_is_valid(const char *id);
