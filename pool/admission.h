/* Bounds the starts that run at once, and queues the others, first come first served. Pure bookkeeping. */
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
/* The answer that admission_request would give now. */
enum admission_answer admission_peek(const struct admission *admission);
/* Counts the start in flight (GRANTED), or puts node (in no list) at the end of the queue (QUEUED). */
enum admission_answer admission_request(struct admission *admission, struct list *node);
/* Takes the first node out of the queue and counts its start in flight. NULL: the queue is empty, or max_starts run. */
struct list *admission_next(struct admission *admission);
/* A start that was granted has ended. */
void admission_release(struct admission *admission);
/* Takes a queued node out. */
void admission_withdraw(struct admission *admission, struct list *node);
/* Seconds after which a refused caller may try again: the queue's length in rounds of starts, 1 to 30. */
unsigned admission_retry_after_s(const struct admission *admission);
