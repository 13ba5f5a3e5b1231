#include "hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ensure.h"
#include "pool-inside.h"
#include "user-id.h"
#include "waiters.h"

struct hold *hold_find(const struct pool *pool, const char *user)
{
        struct hold *hold = NULL;

        if (pool->holds != NULL)
                HASH_FIND_STR(pool->holds, user, hold);
        return hold;
}

int hold_check(const struct pool *pool, const char *user, struct fault *why)
{
        if (hold_find(pool, user) == NULL)
                return 0;
        return fault_set(why, FAULT_CARREL_BUSY, EBUSY, "the user's files are being copied: try again afterwards");
}

static int check(const struct pool *pool, const char *user, struct fault *why)
{
        const struct carrel *carrel;
        int r = user_id_check(user, strnlen(user, USER_ID_MAX + 1), why);

        if (r < 0)
                return r;
        if (pool->is_closing)
                return fault_set(why, FAULT_CANCELLED, ECANCELED, "carreld is being stopped");
        if (!pool->has_reconciled)
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, EAGAIN,
                                 "carreld is starting: it does not know yet whether the user has a carrel");
        carrel = table_find(&pool->table, user);
        if (carrel != NULL &&
            ((carrel->state != CARREL_READY && carrel->state != CARREL_FROZEN) || carrel->task != NULL))
                return fault_set(why, FAULT_CARREL_BUSY, EBUSY, "the carrel is %s", carrel_state_name(carrel->state));
        return hold_check(pool, user, why);
}

int pool_hold(struct pool *pool, const char *user, struct fault *why)
{
        struct hold *hold;
        int r = check(pool, user, why);

        if (r < 0)
                return r;
        hold = calloc(1, sizeof *hold);
        if (hold != NULL) {
                memcpy(hold->user, user, strlen(user) + 1);
                list_init(&hold->waits);
                HASH_ADD_STR(pool->holds, user, hold);
        }
        if (hold == NULL || hold->hh.tbl == NULL) {
                free(hold);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        }
        return 0;
}

void pool_release(struct pool *pool, const char *user)
{
        struct hold *hold = hold_find(pool, user);
        struct list waits;

        if (hold == NULL)
                return;
        HASH_DEL(pool->holds, hold);
        list_init(&waits);
        list_move_all(&hold->waits, &waits);
        free(hold);
        ensure_reconsider(&waits);
}

void holds_free(struct pool *pool, const struct fault *why)
{
        struct hold *hold;
        struct hold *next;

        HASH_ITER(hh, pool->holds, hold, next)
        {
                HASH_DEL(pool->holds, hold);
                wait_answer_all(&hold->waits, why);
                free(hold);
        }
}
