/* The variables of an exec. */
#pragma once

#include "exec.h"

/* Those of `defaults` (of one name, the last) and id_variable that `chosen` does not set, and then `chosen`. malloc'd
 * and NULL-terminated, and points to the texts of the arguments, of which the lists may be NULL. NULL: out of memory.
 */
const char **exec_environment(const char *const *defaults, const char *id_variable, const char *const *chosen);
