/* Who asked for a carrel, and when he gets it. Inside the pool room only. */
#pragma once

#include "waiters.h"

/* Judges each request in the list again, in order: answered, or placed anew. The list is empty afterwards. */
void ensure_reconsider(struct list *waits);
/* Nobody may be waiting for the carrel's queued start any more: if so it is withdrawn, and the carrel is what it was
 * before. No effect on a carrel in another state. */
void ensure_unwanted(struct carrel *carrel);
/* Withdraws a queued start: the carrel is what it was before, or forgotten. Its waiters must have been taken out. */
void ensure_withdraw(struct carrel *carrel);
/* Each request gets the end of the task that made (or did not make) the carrel: *why, or the carrel with outcome and
 * the execs that were killed for it (or NULL); those that were not with the task are judged again. */
void ensure_hand_out(struct carrel *carrel, struct list *waits, enum ensure_outcome outcome,
                     const struct exec_ids *killed, const struct fault *why);
/* The callback of pool->grant. */
void ensure_grant(struct ev_loop *loop, ev_timer *timer, int events);
