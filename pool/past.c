#include "past.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define HASH_NONFATAL_OOM 1 /* hh.tbl is NULL then */
#include <uthash.h>

#include "str.h"
#include "user-id.h"

struct past_entry {
        struct pool_past end; /* its user is the key */
        UT_hash_handle hh;
};

static bool is_end(enum pool_event_kind kind)
{
        return kind == POOL_ENSURE_FAILED || kind == POOL_RETIRED || kind == POOL_LOST;
}

static struct past_entry *find(const struct past *past, const char *user)
{
        struct past_entry *entry = NULL;

        HASH_FIND_STR(past->users, user, entry);
        return entry;
}

void past_note(struct past *past, const struct pool_event *event, int64_t wall_ms)
{
        struct past_entry *entry;

        if (!is_end(event->kind) || !user_id_is_valid(event->user))
                return;
        entry = find(past, event->user);
        if (entry == NULL && HASH_COUNT(past->users) >= PAST_USERS_MAX)
                entry = past->users;
        if (entry != NULL)
                HASH_DEL(past->users, entry);
        else
                entry = calloc(1, sizeof *entry);
        if (entry == NULL)
                return;
        *entry = (struct past_entry){ .end = { .kind = event->kind, .wall_ms = wall_ms } };
        (void)snprintf(entry->end.detail, sizeof entry->end.detail, "%s", event->detail);
        if (str_copy(entry->end.user, sizeof entry->end.user, event->user) < 0) {
                free(entry);
                return;
        }
        HASH_ADD_STR(past->users, end.user, entry);
        if (entry->hh.tbl == NULL)
                free(entry);
}

const struct pool_past *past_find(const struct past *past, const char *user)
{
        const struct past_entry *entry = find(past, user);

        return entry != NULL ? &entry->end : NULL;
}

void past_release(struct past *past)
{
        struct past_entry *entry, *next;

        HASH_ITER(hh, past->users, entry, next)
        {
                HASH_DEL(past->users, entry);
                free(entry);
        }
}
