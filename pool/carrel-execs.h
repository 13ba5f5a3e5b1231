/* The execs that run in each carrel: a carrel with one is in use. */
#pragma once

#include "carrel.h"

/* The pool forgets the carrel; its execs may still end. */
void carrel_execs_detach(struct carrel *carrel);
/* Cancels every exec without a callback, for the pool's end. */
void carrel_execs_cancel_all(struct pool *pool);
/* The ids of the execs in the carrel, malloc'd. NULL: there are none, or out of memory. */
struct exec_ids *carrel_execs_ids(const struct carrel *carrel);
/* Why the carrel must not be replaced, as a sentence in `text`: its execs or its lease. NULL: it is idle. */
const char *carrel_in_use(const struct carrel *carrel, char *text, size_t size);
unsigned carrel_execs_count(const struct pool *pool);
