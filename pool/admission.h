/* How many starts the engine gets at once, and who waits for one, first come first served. Pure bookkeeping. */
#pragma once

#include <stdbool.h>

#include "list.h"

struct admission {
        unsigned max_starts;
        unsigned max_queued;
        unsigned in_flight;
        unsigned n_queued;
        struct list queue;
};

enum admission_answer { ADMISSION_GRANTED, ADMISSION_QUEUED, ADMISSION_REFUSED };

void admission_init(struct admission *admission, unsigned max_starts, unsigned max_queued);
/* What admission_request would answer now. */
enum admission_answer admission_peek(const struct admission *admission);
/* Counts the start in flight (GRANTED), or puts node (in no list) at the end of the queue (QUEUED). */
enum admission_answer admission_request(struct admission *admission, struct list *node);
/* The first of the queue if a start is free, counted in flight; NULL: none waits, or none is free. */
struct list *admission_next(struct admission *admission);
/* A start that was granted has ended. */
void admission_release(struct admission *admission);
/* Takes a queued node out. */
void admission_withdraw(struct admission *admission, struct list *node);
/* Seconds after which a refused caller may try again: the queue's length in rounds of starts, 1 to 30. */
unsigned admission_retry_after_s(const struct admission *admission);
