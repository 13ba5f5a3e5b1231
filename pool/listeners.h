/* The listeners for the pool's events. */
#pragma once

#include "list.h"
#include "pool.h"

struct listeners {
        struct list list;
        unsigned depth; /* of listeners_tell on the stack; removed listeners are freed when it returns to 0 */
};

void listeners_init(struct listeners *listeners);
void listeners_release(struct listeners *listeners);
/* Called in the order they were added. 0 or -ENOMEM. */
int listeners_add(struct listeners *listeners, void (*on_event)(void *arg, const struct pool_event *event), void *arg);
void listeners_remove(struct listeners *listeners, void (*on_event)(void *arg, const struct pool_event *event),
                      void *arg);
/* Calls every listener; NULL texts become "". A listener may add and remove listeners. */
void listeners_tell(struct listeners *listeners, const struct pool_event *event);
