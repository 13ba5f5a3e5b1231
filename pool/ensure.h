/* Answers the requests for a carrel, now or when a start has ended. */
#pragma once

#include "waiters.h"

/* Judges each request in the list again, in order: it is answered, or waits at a carrel. Empties the list. */
void ensure_reconsider(struct list *waits);
/* Withdraws the carrel's queued start if no request waits for it any more. No effect in another state. */
void ensure_unwanted(struct carrel *carrel);
/* Withdraws a queued start: the carrel returns to its state before, or is forgotten. It must have no waiters. */
void ensure_withdraw(struct carrel *carrel);
/* Answers each request with the result of the start: *why, or the carrel with outcome and killed (which may be NULL).
 * Requests that did not join this start are judged again. */
void ensure_hand_out(struct carrel *carrel, struct list *waits, enum ensure_outcome outcome,
                     const struct exec_ids *killed, const struct fault *why);
/* The callback of pool->grant. */
void ensure_grant(struct ev_loop *loop, ev_timer *timer, int events);
