/* SIGINT, SIGTERM and SIGHUP as a descriptor, so that a stream can be ended in good order. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Blocks the signals (but not those that are ignored, as under nohup(1)) and returns a signalfd(2), or a negative
 * errno. */
int interrupt_open(void);

/* The same and, for whoever has the terminal, SIGCONT, SIGQUIT and SIGWINCH. */
int interrupt_open_terminal(void);

/* The signal that has come, taken from the descriptor; 0: none. */
int interrupt_read(int interrupt_fd);

/* Writes everything to fd, which may be slow, unless a signal comes first: 0, -EINTR, or a negative errno
 * (-EPIPE: nobody reads). interrupt_fd may be -1. */
int interrupt_write(int fd, const void *bytes, size_t length, int interrupt_fd);
/* The same for what can be written at once when fd takes something: how much it was, at least 1. */
ssize_t interrupt_write_some(int fd, const void *bytes, size_t length, int interrupt_fd);
