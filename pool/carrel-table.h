/* Users -> carrels, container ids -> carrels, agents' slots -> carrels, and the count of carrels by state. */
#pragma once

#include "carrel.h"

struct table {
        struct ev_loop *loop;
        struct carrel *users;
        struct carrel *ids;
        struct carrel *slots;
        bool is_sorted; /* the iteration order of users is that of their ids */
        unsigned by_state[CARREL_STATES];
        unsigned n_warm; /* of those that table_held counts: they give way to a user's */
        struct list deferred_free;
        ev_prepare sweep;
};

void table_init(struct table *table, struct ev_loop *loop);
/* Frees every carrel. */
void table_release(struct table *table);

struct carrel *table_find(const struct table *table, const char *user);
struct carrel *table_find_id(const struct table *table, const char *container_id);
struct carrel *table_find_slot(const struct table *table, const char *slot);

/* Takes the carrel on success. 0 or -ENOMEM. */
int table_add(struct table *table, struct carrel *carrel, enum carrel_state state);
/* Removes the carrel from the tables now, and frees it at the loop's next turn: callers up the stack may still use it.
 */
void table_forget(struct table *table, struct carrel *carrel);

void table_set_state(struct table *table, struct carrel *carrel, enum carrel_state state);
/* Sets the container id; "" clears it. 0, -ENOMEM, or -EINVAL for an id that does not fit or is another carrel's. After
 * an error the id is "". */
int table_set_id(struct table *table, struct carrel *carrel, const char *id);
/* The same for the agent's slot. */
int table_set_slot(struct table *table, struct carrel *carrel, const char *slot);

/* The number of carrels that count against max_carrels: all except LOST ones. */
unsigned table_held(const struct table *table);

/* The first carrel after `after` in strcmp order ("": the first of all), then the next one; NULL at the end.
 * Sorting is lazy: O(n log n) after an addition, otherwise O(1) if `after` is a user in the table. */
struct carrel *table_first(struct table *table, const char *after);
struct carrel *table_next(const struct carrel *carrel);
