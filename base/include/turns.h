/* Measures each turn of a loop: from the time when it has the events until it polls again. All other events wait that
 * long. */
#pragma once

#include <time.h>

struct ev_loop;
struct turns;

/* Calls on_turn(arg, seconds) after each turn. clock: CLOCK_MONOTONIC, or CLOCK_THREAD_CPUTIME_ID for the turn's own
 * CPU time. Borrows loop. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int turns_new(struct turns **ret_turns, struct ev_loop *loop, clockid_t clock,
                                                  void (*on_turn)(void *arg, double seconds), void *arg);
/* NULL is fine; returns NULL. */
struct turns *turns_free(struct turns *turns);
