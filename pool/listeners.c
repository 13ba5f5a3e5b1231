#include "listeners.h"

#include <errno.h>
#include <stdlib.h>

struct listener {
        struct list node;
        void (*on_event)(void *arg, const struct pool_event *event); /* NULL: removed */
        void *arg;
};

static const char *const EVENT_NAMES[POOL_EVENT_KINDS] = {
        [POOL_CREATED] = "carrel_created",
        [POOL_REPLACED] = "carrel_replaced",
        [POOL_REUSED] = "carrel_reused",
        [POOL_CLAIMED] = "carrel_claimed",
        [POOL_CLAIM_FAILED] = "claim_failed",
        [POOL_WARM_FAILED] = "warm_failed",
        [POOL_WARM_IMAGE_MISSING] = "warm_image_missing",
        [POOL_WARM_FILLED] = "warm_filled",
        [POOL_ENSURE_FAILED] = "ensure_failed",
        [POOL_RETIRED] = "carrel_retired",
        [POOL_RETIRE_FAILED] = "retire_failed",
        [POOL_LOST] = "carrel_lost",
        [POOL_FROZEN] = "carrel_frozen",
        [POOL_FREEZE_FAILED] = "freeze_failed",
        [POOL_THAWED] = "carrel_thawed",
        [POOL_RECLAIMED] = "carrel_reclaimed",
        [POOL_ADOPTED] = "carrel_adopted",
        [POOL_ORPHAN_REMOVED] = "orphan_removed",
        [POOL_EXEC_ENDED] = "exec_ended",
        [POOL_POLICY_CHANGED] = "policy_changed",
        [POOL_ENGINE_LOST] = "engine_lost",
        [POOL_ENGINE_BACK] = "engine_back",
};

const char *pool_event_name(enum pool_event_kind kind)
{
        return kind < POOL_EVENT_KINDS ? EVENT_NAMES[kind] : "";
}

void listeners_init(struct listeners *listeners)
{
        list_init(&listeners->list);
        listeners->depth = 0;
}

void listeners_release(struct listeners *listeners)
{
        for (struct list *node = list_pop(&listeners->list); node != NULL; node = list_pop(&listeners->list))
                free(LIST_ENTRY(node, struct listener, node));
}

int listeners_add(struct listeners *listeners, void (*on_event)(void *arg, const struct pool_event *event), void *arg)
{
        struct listener *listener = calloc(1, sizeof *listener);

        if (listener == NULL)
                return -ENOMEM;
        listener->on_event = on_event;
        listener->arg = arg;
        list_append(&listeners->list, &listener->node);
        return 0;
}

static void sweep(struct listeners *listeners)
{
        LIST_EACH (&listeners->list, node) {
                struct listener *listener = LIST_ENTRY(node, struct listener, node);

                if (listener->on_event != NULL)
                        continue;
                list_remove(node);
                free(listener);
        }
}

void listeners_remove(struct listeners *listeners, void (*on_event)(void *arg, const struct pool_event *event),
                      void *arg)
{
        LIST_EACH (&listeners->list, node) {
                struct listener *listener = LIST_ENTRY(node, struct listener, node);

                if (listener->on_event == on_event && listener->arg == arg)
                        listener->on_event = NULL;
        }
        if (listeners->depth == 0)
                sweep(listeners);
}

void listeners_tell(struct listeners *listeners, const struct pool_event *event)
{
        struct pool_event told = *event;

        told.user = told.user != NULL ? told.user : "";
        told.container_id = told.container_id != NULL ? told.container_id : "";
        told.detail = told.detail != NULL ? told.detail : "";
        listeners->depth++;
        for (struct list *node = listeners->list.next; node != &listeners->list; node = node->next) {
                const struct listener *listener = LIST_ENTRY(node, struct listener, node);

                if (listener->on_event != NULL)
                        listener->on_event(listener->arg, &told);
        }
        if (--listeners->depth == 0)
                sweep(listeners);
}
