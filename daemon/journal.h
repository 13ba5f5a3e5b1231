/* Events of the pool as log records: one table from event to level. */
#pragma once

#include "log.h"
#include "pool.h"

/* A pool listener; arg is the struct log. */
void journal_on_event(void *arg, const struct pool_event *event);
