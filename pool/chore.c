#include "chore.h"

#include <stdlib.h>

#include "str.h"

struct chore *chore_new(struct pool *pool, const char *container_id, pool_on_done on_done, void *arg)
{
        struct chore *chore = calloc(1, sizeof *chore);

        if (chore == NULL)
                return NULL;
        chore->pool = pool;
        chore->on_done = on_done;
        chore->arg = arg;
        list_init(&chore->node);
        if (str_copy(chore->container_id, sizeof chore->container_id, container_id) < 0)
                return chore_free(chore);
        list_append(&pool->chores, &chore->node);
        return chore;
}

struct chore *chore_free(struct chore *chore)
{
        engine_cancel(chore->call);
        list_remove(&chore->node);
        free(chore);
        return NULL;
}

void chore_done(struct chore *chore, const struct fault *why)
{
        pool_on_done on_done = chore->on_done;
        void *arg = chore->arg;

        chore_free(chore);
        if (on_done != NULL)
                on_done(arg, why);
}

void chores_free(struct pool *pool)
{
        LIST_EACH (&pool->chores, node)
                chore_free(LIST_ENTRY(node, struct chore, node));
}
