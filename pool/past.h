/* Remembers how each user's last carrel ended, for `why`. It keeps PAST_USERS_MAX users and drops the oldest. */
#pragma once

#include <stdint.h>

#include "fault.h"
#include "pool.h"

enum { PAST_USERS_MAX = 1024 };

struct past_entry;

/* Zero-initialise. */
struct past {
        struct past_entry *users; /* by user, the oldest note first (uthash keeps the order) */
};

/* Notes an event that ends a carrel: a failed ensure, a removal, a loss. Ignores other events, those of warm
 * carrels, and any when out of memory. */
void past_note(struct past *past, const struct pool_event *event, int64_t wall_ms);
/* NULL: nothing is known. Valid until the next past_note. */
const struct pool_past *past_find(const struct past *past, const char *user);
void past_release(struct past *past);
