/* Users -> carrels, container ids -> carrels, and the count of carrels by state. Inside the pool room only. */
#pragma once

#include "carrel.h"

struct table {
        struct ev_loop *loop;
        struct carrel *users;
        struct carrel *ids;
        bool is_sorted; /* the iteration order of users is that of their ids */
        unsigned by_state[CARREL_STATES];
        struct list deferred_free;
        ev_prepare sweep;
};

void table_init(struct table *table, struct ev_loop *loop);
/* Frees every carrel. */
void table_release(struct table *table);

struct carrel *table_find(const struct table *table, const char *user);
struct carrel *table_find_id(const struct table *table, const char *container_id);

/* Takes the carrel on success. 0 or -ENOMEM. */
int table_add(struct table *table, struct carrel *carrel, enum carrel_state state);
/* Out of the tables at once; the memory stays until the loop's next turn, for whoever is up the stack. */
void table_forget(struct table *table, struct carrel *carrel);

void table_set_state(struct table *table, struct carrel *carrel, enum carrel_state state);
/* "" for none. 0, -ENOMEM, or -EINVAL for an id that does not fit or is another carrel's; the id is "" then. */
int table_set_id(struct table *table, struct carrel *carrel, const char *id);

/* Carrels that have, or are to have, a living container: all but the lost. */
unsigned table_held(const struct table *table);

/* The first carrel behind `after` in strcmp order ("" from the start), then the next one; NULL at the end.
 * Sorting is lazy: O(n log n) after an addition, else O(1) for a user that is there. */
struct carrel *table_first(struct table *table, const char *after);
struct carrel *table_next(const struct carrel *carrel);
