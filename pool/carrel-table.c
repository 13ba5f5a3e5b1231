#include "carrel-table.h"

#include <errno.h>
#include <string.h>

#include "str.h"

static void free_deferred(struct ev_loop *loop, ev_prepare *prepare, int events)
{
        struct table *table = prepare->data;

        ev_prepare_stop(loop, prepare);
        for (struct list *node = list_pop(&table->deferred_free); node != NULL; node = list_pop(&table->deferred_free))
                carrel_free(LIST_ENTRY(node, struct carrel, deferred_free));
}

void table_init(struct table *table, struct ev_loop *loop)
{
        *table = (struct table){ .loop = loop, .is_sorted = true };
        list_init(&table->deferred_free);
        ev_prepare_init(&table->sweep, free_deferred);
        table->sweep.data = table;
}

void table_release(struct table *table)
{
        struct carrel *carrel;
        struct carrel *next;

        HASH_ITER(by_user, table->users, carrel, next)
        table_forget(table, carrel);
        free_deferred(table->loop, &table->sweep, 0);
}

struct carrel *table_find(const struct table *table, const char *user)
{
        struct carrel *found;

        HASH_FIND(by_user, table->users, user, strlen(user), found);
        return found;
}

struct carrel *table_find_id(const struct table *table, const char *container_id)
{
        struct carrel *found;

        HASH_FIND(by_id, table->ids, container_id, strlen(container_id), found);
        return found;
}

struct carrel *table_find_slot(const struct table *table, const char *slot)
{
        struct carrel *found;

        HASH_FIND(by_slot, table->slots, slot, strlen(slot), found);
        return found;
}

static void count(struct table *table, const struct carrel *carrel, enum carrel_state state, int change)
{
        table->by_state[state] += (unsigned)change;
        if (carrel->is_warm && state != CARREL_LOST)
                table->n_warm += (unsigned)change;
}

int table_add(struct table *table, struct carrel *carrel, enum carrel_state state)
{
        HASH_ADD(by_user, table->users, user, strlen(carrel->user), carrel);
        if (carrel->by_user.tbl == NULL)
                return -ENOMEM;
        carrel->state = state;
        count(table, carrel, state, 1);
        table->is_sorted = HASH_CNT(by_user, table->users) == 1;
        return 0;
}

void table_forget(struct table *table, struct carrel *carrel)
{
        if (carrel->id[0] != '\0') /* keeps the id's text, which the end's event needs */
                HASH_DELETE(by_id, table->ids, carrel);
        (void)table_set_slot(table, carrel, "");
        HASH_DELETE(by_user, table->users, carrel);
        count(table, carrel, carrel->state, -1);
        carrel_drop_process(carrel);
        list_remove(&carrel->warm); /* it is freed later, and until then no other claim may take it */
        carrel->is_free_deferred = true;
        list_append(&table->deferred_free, &carrel->deferred_free);
        if (!ev_is_active(&table->sweep))
                ev_prepare_start(table->loop, &table->sweep);
}

void table_set_state(struct table *table, struct carrel *carrel, enum carrel_state state)
{
        count(table, carrel, carrel->state, -1);
        count(table, carrel, state, 1);
        carrel->state = state;
}

int table_set_id(struct table *table, struct carrel *carrel, const char *id)
{
        if (carrel->id[0] != '\0')
                HASH_DELETE(by_id, table->ids, carrel);
        carrel->id[0] = '\0';
        if (id[0] == '\0')
                return 0;
        if (table_find_id(table, id) != NULL || str_copy(carrel->id, sizeof carrel->id, id) < 0)
                return -EINVAL;
        HASH_ADD(by_id, table->ids, id, strlen(carrel->id), carrel);
        if (carrel->by_id.tbl != NULL)
                return 0;
        carrel->id[0] = '\0';
        return -ENOMEM;
}

int table_set_slot(struct table *table, struct carrel *carrel, const char *slot)
{
        if (carrel->agent_slot[0] != '\0')
                HASH_DELETE(by_slot, table->slots, carrel);
        carrel->agent_slot[0] = '\0';
        if (slot[0] == '\0')
                return 0;
        if (table_find_slot(table, slot) != NULL || str_copy(carrel->agent_slot, sizeof carrel->agent_slot, slot) < 0)
                return -EINVAL;
        HASH_ADD(by_slot, table->slots, agent_slot, strlen(carrel->agent_slot), carrel);
        if (carrel->by_slot.tbl != NULL)
                return 0;
        carrel->agent_slot[0] = '\0';
        return -ENOMEM;
}

unsigned table_held(const struct table *table)
{
        return HASH_CNT(by_user, table->users) - table->by_state[CARREL_LOST];
}

static int compare_users(const struct carrel *a, const struct carrel *b)
{
        return strcmp(a->user, b->user);
}

struct carrel *table_first(struct table *table, const char *after)
{
        struct carrel *carrel;

        if (!table->is_sorted)
                HASH_SRT(by_user, table->users, compare_users);
        table->is_sorted = true;
        carrel = after[0] != '\0' ? table_find(table, after) : NULL;
        if (carrel == NULL)
                carrel = table->users;
        while (carrel != NULL && strcmp(carrel->user, after) <= 0)
                carrel = table_next(carrel);
        return carrel;
}

struct carrel *table_next(const struct carrel *carrel)
{
        return carrel->by_user.next;
}
