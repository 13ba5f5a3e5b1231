/* An engine call for a container that belongs to no carrel, and its caller's callback. */
#pragma once

#include "pool-inside.h"

struct orphan_call {
        struct list node; /* in pool->orphan_calls */
        struct pool *pool;
        struct engine_call *call;
        pool_on_done on_done;
        void *arg;
        char container_id[CONTAINER_ID_BYTES];
};

/* NULL: out of memory, or an id that does not fit. */
struct orphan_call *orphan_call_new(struct pool *pool, const char *container_id, pool_on_done on_done, void *arg);
/* Cancels its call; returns NULL. */
struct orphan_call *orphan_call_free(struct orphan_call *orphan_call);
/* Frees it, then calls on_done. */
void orphan_call_done(struct orphan_call *orphan_call, const struct fault *why);
/* Frees all without callbacks, for the pool's end. */
void orphan_calls_free(struct pool *pool);
