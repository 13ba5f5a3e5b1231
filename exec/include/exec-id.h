/* Names of execs; the pool chooses those of jobs by it. */
#pragma once

#include "exec.h"

/* The wanted id, or a new one of our own when it is NULL. 0, -EINVAL (not an exec id), or getrandom's errno. */
int exec_id_choose(const char *wanted, char ret_id[static EXEC_ID_BYTES]);
