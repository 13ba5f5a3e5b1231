/* How long each turn of a loop keeps everybody else waiting: from when it has heard of events until it asks for more.
 */
#pragma once

#include <time.h>

struct ev_loop;
struct turns;

/* on_turn(arg, seconds) is called after each turn. clock: CLOCK_MONOTONIC, or CLOCK_THREAD_CPUTIME_ID for what the
 * turn cost, whoever else ran meanwhile. Borrows loop. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int turns_new(struct turns **ret_turns, struct ev_loop *loop, clockid_t clock,
                                                  void (*on_turn)(void *arg, double seconds), void *arg);
/* NULL is fine; returns NULL. */
struct turns *turns_free(struct turns *turns);
