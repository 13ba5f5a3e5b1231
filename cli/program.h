/* A program that a verb runs, to its end. */
#pragma once

/* Searches PATH. out_fd -1: its output is ours. The exit status (128 and more: a signal's), or -1 with errno when it
 * could not be run. A signal that came to us meanwhile ends it, and is in *ret_signal; else that is 0. */
int program_run(const char *path, const char *const *argv, int out_fd, int *ret_signal);
