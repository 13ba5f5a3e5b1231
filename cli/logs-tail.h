/* The last lines of what an exec has written: all that comes is kept, which carreld bounds (exec_ring_size), until the
 * end is there to count from. */
#pragma once

#include <stddef.h>

#include "exec-events.h"

/* Set events and lines, the rest zero; release with logs_tail_free. */
struct logs_tail {
        struct exec_events *events;
        size_t lines;        /* how many are wanted */
        struct buffer bytes; /* both streams, in the order of their events */
        struct buffer pieces;
        double seq; /* of the latest event; -1: there was none */
};

/* An api_on_line; arg is a struct logs_tail. Other events go to exec_events_on_line. */
int logs_tail_on_line(void *arg, const cJSON *line);
/* Passes the last lines on. 0 or a negative errno. */
int logs_tail_flush(struct logs_tail *tail);
void logs_tail_free(struct logs_tail *tail);
