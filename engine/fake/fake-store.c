#include "fake-store.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "str.h"
#include "wire.h"

enum { KILLED_EXIT_CODE = 137 };

struct pending_event {
        struct list node;
        enum engine_event_kind kind;
        int exit_code;
        char id[ENGINE_ID_BYTES];
        char exec_id[ENGINE_ID_BYTES];
};

/* ---- containers ---- */

struct fake_container *fake_container_free(struct fake_container *container)
{
        if (container == NULL)
                return NULL;
        container_info_release(&container->info);
        free(container);
        return NULL;
}

struct fake_container *fake_container_new(const char *name, const struct label *labels, size_t n_labels)
{
        struct fake_container *made = calloc(1, sizeof *made);

        if (made == NULL || container_info_copy_labels(&made->info, labels, n_labels) < 0 ||
            str_copy(made->info.name, sizeof made->info.name, name) < 0)
                return fake_container_free(made);
        return made;
}

struct fake_container *fake_store_find(const struct fake_store *store, const char *id_or_name)
{
        struct fake_container *found;

        HASH_FIND(by_id, store->ids, id_or_name, strlen(id_or_name), found);
        if (found == NULL)
                HASH_FIND(by_name, store->names, id_or_name, strlen(id_or_name), found);
        return found;
}

/* Takes over the container; gives it an id if it has none. */
int fake_store_insert(struct fake_store *store, struct fake_container *made)
{
        store->last_id++;
        if (made->info.id[0] == '\0')
                (void)snprintf(made->info.id, sizeof made->info.id, "%064llx", (unsigned long long)store->last_id);
        HASH_ADD(by_id, store->ids, info.id, strlen(made->info.id), made);
        if (made->by_id.tbl == NULL)
                return -ENOMEM;
        HASH_ADD(by_name, store->names, info.name, strlen(made->info.name), made);
        if (made->by_name.tbl != NULL)
                return 0;
        HASH_DELETE(by_id, store->ids, made);
        return -ENOMEM;
}

static void drop(struct fake_store *store, struct fake_container *container)
{
        /* NOLINTBEGIN(clang-analyzer-core.NullDereference): uthash's macros, on a container that is in both tables */
        HASH_DELETE(by_id, store->ids, container);
        HASH_DELETE(by_name, store->names, container);
        /* NOLINTEND(clang-analyzer-core.NullDereference) */
        fake_container_free(container);
}

int fake_store_rename(struct fake_store *store, struct fake_container *container, struct fake_container *other)
{
        char before[ENGINE_NAME_BYTES];

        HASH_DELETE(by_name, store->names, container);
        memcpy(before, container->info.name, sizeof before);
        memcpy(container->info.name, other->info.name, sizeof before);
        memcpy(other->info.name, before, sizeof before);
        HASH_ADD(by_name, store->names, info.name, strlen(container->info.name), container);
        if (container->by_name.tbl != NULL)
                return 0;
        HASH_DELETE(by_id, store->ids, container);
        fake_container_free(container);
        return -ENOMEM;
}

bool fake_has_label(const struct container_info *info, const char *key, const char *value)
{
        const char *found = container_label(info, key);

        return found != NULL && strcmp(found, value) == 0;
}

/* ---- events ---- */

static void deliver_events(struct ev_loop *loop, ev_timer *timer, int revents)
{
        struct fake_store *store = timer->data;
        struct list due;

        list_init(&due);
        list_move_all(&store->events, &due); /* events caused by a listener come an iteration later */
        for (struct list *node = list_pop(&due); node != NULL; node = list_pop(&due)) {
                struct pending_event *event = LIST_ENTRY(node, struct pending_event, node);
                struct engine_event told = { event->kind, event->id, event->exec_id, event->exit_code };

                store->on_event(store->on_event_arg, &told);
                free(event);
        }
}

void fake_store_queue_event(struct fake_store *store, enum engine_event_kind kind, const char *id, const char *exec_id,
                            int exit_code)
{
        struct pending_event *event = store->on_event != NULL ? calloc(1, sizeof *event) : NULL;

        if (event == NULL)
                return;
        event->kind = kind;
        event->exit_code = exit_code;
        (void)snprintf(event->id, sizeof event->id, "%s", id);
        (void)snprintf(event->exec_id, sizeof event->exec_id, "%s", exec_id);
        list_append(&store->events, &event->node);
        if (!ev_is_active(&store->event_turn))
                ev_timer_start(store->loop, &store->event_turn);
}

void fake_store_tell(struct fake_store *store, const struct fake_container *container, enum engine_event_kind kind)
{
        if (store->watch_label != NULL && fake_has_label(&container->info, store->watch_label, store->watch_value))
                fake_store_queue_event(store, kind, container->info.id, "", container->info.exit_code);
}

void fake_store_kill(struct fake_store *store, struct fake_container *container, bool is_silent)
{
        if (container->info.status != CONTAINER_RUNNING && container->info.status != CONTAINER_PAUSED)
                return;
        container->info.status = CONTAINER_DEAD;
        container->info.exit_code = KILLED_EXIT_CODE;
        container->info.pid = 0;
        if (!is_silent)
                fake_store_tell(store, container, ENGINE_CONTAINER_DIED);
}

void fake_store_remove(struct fake_store *store, struct fake_container *container, bool is_silent)
{
        fake_store_kill(store, container, is_silent);
        if (!is_silent)
                fake_store_tell(store, container, ENGINE_CONTAINER_REMOVED);
        drop(store, container);
}

void fake_store_init(struct fake_store *store, struct ev_loop *loop)
{
        *store = (struct fake_store){ .loop = loop, .can_relabel = true };
        list_init(&store->events);
        ev_timer_init(&store->event_turn, deliver_events, 0.0, 0.0);
        store->event_turn.data = store;
}

void fake_store_unwatch(struct fake_store *store)
{
        ev_timer_stop(store->loop, &store->event_turn);
        for (struct list *node = list_pop(&store->events); node != NULL; node = list_pop(&store->events))
                free(LIST_ENTRY(node, struct pending_event, node));
        free(store->watch_label);
        free(store->watch_value);
        store->watch_label = store->watch_value = NULL;
        store->on_event = NULL;
}

void fake_store_release(struct fake_store *store)
{
        struct fake_container *container;
        struct fake_container *next;

        fake_store_unwatch(store);
        HASH_ITER(by_id, store->ids, container, next)
        drop(store, container);
}
