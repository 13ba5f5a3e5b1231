#include "orphan-call.h"

#include <stdlib.h>

#include "str.h"

struct orphan_call *orphan_call_new(struct pool *pool, const char *container_id, pool_on_done on_done, void *arg)
{
        struct orphan_call *orphan_call = calloc(1, sizeof *orphan_call);

        if (orphan_call == NULL)
                return NULL;
        orphan_call->pool = pool;
        orphan_call->on_done = on_done;
        orphan_call->arg = arg;
        list_init(&orphan_call->node);
        if (str_copy(orphan_call->container_id, sizeof orphan_call->container_id, container_id) < 0)
                return orphan_call_free(orphan_call);
        list_append(&pool->orphan_calls, &orphan_call->node);
        return orphan_call;
}

struct orphan_call *orphan_call_free(struct orphan_call *orphan_call)
{
        engine_cancel(orphan_call->call);
        list_remove(&orphan_call->node);
        free(orphan_call);
        return NULL;
}

void orphan_call_done(struct orphan_call *orphan_call, const struct fault *why)
{
        pool_on_done on_done = orphan_call->on_done;
        void *arg = orphan_call->arg;

        orphan_call_free(orphan_call);
        if (on_done != NULL)
                on_done(arg, why);
}

void orphan_calls_free(struct pool *pool)
{
        LIST_EACH (&pool->orphan_calls, node)
                orphan_call_free(LIST_ENTRY(node, struct orphan_call, node));
}
