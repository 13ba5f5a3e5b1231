/* The containers of the fake engine and their events. */
#pragma once

#include <ev.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "engine.h"
#include "list.h"

struct fake_container {
        struct container_info info; /* owns its labels */
        UT_hash_handle by_id;
        UT_hash_handle by_name;
};

struct fake_store {
        struct ev_loop *loop;
        struct fake_container *ids;
        struct fake_container *names;
        uint64_t last_id;
        bool can_relabel;
        int next_pid;       /* for the next container that starts */
        struct list events; /* reported in order, in the loop's next iteration */
        ev_timer event_turn;
        char *watch_label; /* NULL: there is no watcher */
        char *watch_value;
        engine_on_event on_event;
        void *on_event_arg;
};

void fake_store_init(struct fake_store *store, struct ev_loop *loop);
void fake_store_release(struct fake_store *store);
/* Drops the watcher and the events that it has not received. */
void fake_store_unwatch(struct fake_store *store);

/* Copies its arguments. NULL: out of memory, or the name is too long. */
struct fake_container *fake_container_new(const char *name, const struct label *labels, size_t n_labels);
struct fake_container *fake_container_free(struct fake_container *container);
bool fake_has_label(const struct container_info *info, const char *key, const char *value);

/* By id or exact name, or NULL. */
struct fake_container *fake_store_find(const struct fake_store *store, const char *id_or_name);
/* Takes over the container on success, and gives it an id if it has none. Returns 0 or -ENOMEM. */
int fake_store_insert(struct fake_store *store, struct fake_container *made);
/* Swaps the names of the two, of which only the first is in the store. -ENOMEM: the first is lost. */
int fake_store_rename(struct fake_store *store, struct fake_container *container, struct fake_container *other);
void fake_store_kill(struct fake_store *store, struct fake_container *container, bool is_silent);
/* Kills, removes and frees. */
void fake_store_remove(struct fake_store *store, struct fake_container *container, bool is_silent);

/* Queues an event for the watcher, if there is one and the container has the watched label. */
void fake_store_tell(struct fake_store *store, const struct fake_container *container, enum engine_event_kind kind);
void fake_store_queue_event(struct fake_store *store, enum engine_event_kind kind, const char *id, const char *exec_id,
                            int exit_code);
