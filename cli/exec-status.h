/* From the end of a program inside a carrel to the exit status of `carrel exec`. */
#pragma once

/* The API's cause ("exit", "signal", "timeout", "oom", "pids", "cancelled", "carrel_lost") with its exit code and
 * signal. The program's own code passes through; 124 for a timeout, 128 + n for a signal, 137 when it was killed for
 * another cause, 125 for a cause we do not know. */
int exec_status(const char *cause, int exit_code, int signal);

/* A sentence about a cause that the exit status cannot express; NULL for "exit" and "signal". */
const char *exec_cause_sentence(const char *cause);
