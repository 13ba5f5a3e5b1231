#include "share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PART = 4, LITTLE = 64 };

static uint64_t at_least_one(uint64_t count)
{
        return count > 0 ? count : 1;
}

uint64_t share_part(const struct share *share)
{
        uint64_t part = at_least_one(share->bound / PART);

        if (share->bound == 0)
                return UINT64_MAX;
        if (part < share->least)
                part = share->least;
        return part < share->bound ? part : share->bound;
}

/* If a single item may be larger than three quarters, nothing can be kept free. */
static uint64_t reserve_of(const struct share *share)
{
        uint64_t reserve = share->bound / PART;

        return share->least > share->bound - reserve ? 0 : reserve;
}

bool share_is_more_than_little(const struct share *share, uint64_t held)
{
        return held > at_least_one(share->bound / LITTLE);
}

int share_check(const struct share *share, const uint64_t *held, uint64_t wanted)
{
        uint64_t left = share->used < share->bound ? share->bound - share->used : 0;
        uint64_t part = share_part(share);

        if (share->bound == 0)
                return 0;
        if (held != NULL && (*held > part || wanted > part - *held))
                return -EDQUOT;
        if (share->used > share->bound || wanted > left)
                return -EAGAIN;
        if (held == NULL || !share_is_more_than_little(share, *held + wanted))
                return 0;
        return left - wanted >= reserve_of(share) ? 0 : -EAGAIN;
}

void share_charge(struct share *share, uint64_t *held, uint64_t count)
{
        share->used += count;
        if (held != NULL)
                *held += count;
}

int share_take(struct share *share, uint64_t *held, uint64_t wanted)
{
        int r = share_check(share, held, wanted);

        if (r == 0)
                share_charge(share, held, wanted);
        return r;
}

void share_give(struct share *share, uint64_t *held, uint64_t count)
{
        share->used -= count;
        if (held != NULL)
                *held -= count;
}

struct sharer *sharer_join(struct sharers *sharers, const char *name)
{
        char key[SHARER_NAME_BYTES];
        struct sharer *sharer;

        *(char *)mempcpy(key, name, strnlen(name, sizeof key - 1)) = '\0';
        HASH_FIND_STR(sharers->by_name, key, sharer);
        if (sharer == NULL) {
                sharer = calloc(1, sizeof *sharer);
                if (sharer == NULL)
                        return NULL;
                memcpy(sharer->name, key, sizeof key);
                list_init(&sharer->things);
                HASH_ADD_STR(sharers->by_name, name, sharer);
                if (sharer->hh.tbl == NULL) {
                        free(sharer);
                        return NULL;
                }
        }
        sharer->n_references++;
        return sharer;
}

struct sharer *sharer_leave(struct sharers *sharers, struct sharer *sharer)
{
        if (sharer == NULL || --sharer->n_references > 0)
                return NULL;
        HASH_DEL(sharers->by_name, sharer);
        free(sharer);
        return NULL;
}
