/* How an exec's id is chosen. */
#pragma once

#include "exec.h"

/* Copies wanted, or makes a random id when it is NULL. 0, -EINVAL (wanted is not an exec id), or getrandom(2)'s errno.
 */
int exec_id_choose(const char *wanted, char ret_id[static EXEC_ID_BYTES]);
