/* Writes a text to a file of the kernel whose write takes long (memory.reclaim, memory.force_empty), in a child process
 * with a deadline. The child is this program: a main function that is called as SLOW_WRITE_NAME must return
 * slow_write_main. */
#pragma once

#include <stdbool.h>

struct ev_loop;
struct slow_write;

#define SLOW_WRITE_NAME "carreld-write"

/* Borrows fd until done or the cancel; copies text. Calls done once, at the end of the write or at the deadline, never
 * from inside; the slow_write has freed itself then. 0, or a negative errno as child_start. */
__attribute__((warn_unused_result)) int slow_write_start(struct slow_write **ret_write, struct ev_loop *loop, int fd,
                                                         const char *text, double deadline_s, void (*done)(void *arg),
                                                         void *arg);
/* Kills the child; done never runs. NULL is fine; returns NULL. */
struct slow_write *slow_write_cancel(struct slow_write *write);

/* Whether this process is such a child. */
bool slow_write_is_child(char *const *argv);
/* The child: returns its exit status. */
int slow_write_main(char *const *argv);
