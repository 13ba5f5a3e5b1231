/* One engine call about a container that nobody holds, with its caller's callback. Inside the pool room only. */
#pragma once

#include "inside.h"

struct chore {
        struct list node; /* in pool->chores */
        struct pool *pool;
        struct engine_call *call;
        pool_on_done on_done;
        void *arg;
        char container_id[CONTAINER_ID_BYTES];
};

/* NULL: out of memory, or an id that does not fit. */
struct chore *chore_new(struct pool *pool, const char *container_id, pool_on_done on_done, void *arg);
/* Cancels its call; returns NULL. */
struct chore *chore_free(struct chore *chore);
/* Frees it, then calls on_done. */
void chore_done(struct chore *chore, const struct fault *why);
/* Frees all without a word, for the pool's end. */
void chores_free(struct pool *pool);
