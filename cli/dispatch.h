/* From the command line to a verb. */
#pragma once

#include <stdio.h>

/* argv as main has it (it may be reordered); socket_variable: the value of CARREL_SOCKET or NULL. Returns the exit
 * status of the process. */
int cli_dispatch(int argc, char **argv, const char *socket_variable, FILE *out, FILE *err);
