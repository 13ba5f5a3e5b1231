/* The execs that run in carrels, so that a busy carrel is never idle. Inside the pool room only. */
#pragma once

#include "carrel.h"

/* An exec of the container, nobody's any more, cannot be killed: the container goes. arg is the pool. */
void running_left_behind(void *arg, const char *container_id, enum exec_left_behind why);
/* The container is gone, or about to be removed: its execs end with carrel_lost (or oom). */
void running_lose(struct carrel *carrel, const char *container_id, bool is_oom);
/* The carrel is forgotten; what still ends in it ends without it. */
void running_detach(struct carrel *carrel);
/* Ends all without a word, for the pool's end. */
void running_cancel_all(struct pool *pool);
/* The ids of what runs in the carrel, malloc'd; NULL: nothing does, or out of memory. */
struct exec_ids *running_ids(const struct carrel *carrel);
/* Why the carrel is not idle, as a sentence in `text`; NULL: it is. */
const char *running_in_the_way(const struct carrel *carrel, char *text, size_t size);
unsigned running_count(const struct pool *pool);
