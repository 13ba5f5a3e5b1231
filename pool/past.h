/* What became of the last carrels of users who have none now, so that `why` can tell: bounded in users, the oldest go.
 */
#pragma once

#include <stdint.h>

#include "fault.h"
#include "pool.h"

enum { PAST_USERS_MAX = 1024 };

struct past_entry;

/* Zeroed: nothing is known. */
struct past {
        struct past_entry *users; /* by user, the one noted longest ago first (uthash keeps the order) */
};

/* Takes what ends a carrel (its ensure failed, it was removed, it was lost); other events change nothing. Out of
 * memory: it is not kept. */
void past_note(struct past *past, const struct pool_event *event, int64_t wall_ms);
/* NULL: nothing is known. Valid until the next note. */
const struct pool_past *past_find(const struct past *past, const char *user);
void past_release(struct past *past);
