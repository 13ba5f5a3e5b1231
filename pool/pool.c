#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent-listener.h"
#include "carrel-execs.h"
#include "clock.h"
#include "engine-events.h"
#include "ensure.h"
#include "hold.h"
#include "lxcfs.h"
#include "orphan-call.h"
#include "pool-inside.h"
#include "scope.h"
#include "spare-dirs.h"
#include "survey.h"
#include "task.h"
#include "template.h"
#include "user-id.h"
#include "userdir.h"
#include "waiters.h"

enum { LEASE_MAX_S = 86400 };

/* ---- the life of a pool ---- */

/* Makes <runtime_dir>/vacant, which only root can change. */
static int open_vacant(struct pool *pool, struct fault *why)
{
        AUTO(auto_free) char *path = NULL;

        if (asprintf(&path, "%s/" TEMPLATE_VACANT, pool->options.runtime_dir) < 0) {
                path = NULL; /* asprintf leaves it undefined on failure */
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        }
        if (mkdir(path, 0755) == 0 || errno == EEXIST)
                pool->vacant_fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (pool->vacant_fd < 0)
                return fault_set(why, FAULT_SETTING_INVALID, errno, "cannot make the directory %s: %s", path,
                                 strerrordesc_np(errno));
        return 0;
}

static int open_state(struct pool *pool, const struct pool_options *options, struct fault *why)
{
        int r;

        if (options_copy(&pool->options, options) < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        r = options_check(&pool->options, why);
        if (r == 0)
                r = userdir_open(pool->options.users_dir, &pool->users_fd, why);
        if (r == 0) {
                spare_dirs_fill(pool->users_fd);
                r = ledger_open(&pool->ledger, pool->options.runtime_dir, pool->options.pool, NULL, why);
        }
        if (r == 0)
                r = open_vacant(pool, why);
        if (r == 0 && options->hardening != POOL_HARDENING_TRUSTED && cgroup_read_mounts(&pool->cgroups) < 0)
                r = fault_set(why, FAULT_INTERNAL, EIO, "cannot read where the control groups are mounted");
        if (r < 0)
                return r;
        pool->generation_floor = ledger_generation_floor(pool->ledger);
        admission_init(&pool->admission, pool->options.max_concurrent_starts, pool->options.max_queued_starts);
        return 0;
}

/* A pool that pool_free can free. */
static struct pool *pool_alloc(struct ev_loop *loop)
{
        struct pool *pool = calloc(1, sizeof *pool);

        if (pool == NULL)
                return NULL;
        pool->loop = loop;
        pool->users_fd = -1;
        pool->vacant_fd = -1;
        table_init(&pool->table, loop);
        listeners_init(&pool->listeners);
        list_init(&pool->orphan_calls);
        list_init(&pool->image_works);
        warm_init(&pool->warm, pool);
        admission_init(&pool->admission, 1, 0);
        ev_timer_init(&pool->grant, ensure_grant, 0.0, 0.0);
        pool->grant.data = pool;
        return pool;
}

static void limit_execs(const struct pool *pool)
{
        execs_limit(pool->execs, &(struct exec_limits){ pool->options.max_execs, pool->options.max_queued_execs,
                                                        pool->options.exec_wait_s });
}

static void remember(void *arg, const struct pool_event *event)
{
        past_note(arg, event, clock_wall_ms());
}

static void on_left_behind(void *arg, const char *container_id, enum exec_left_behind why)
{
        struct pool *pool = arg;
        struct carrel *carrel = table_find_id(&pool->table, container_id);

        if (carrel == NULL)
                return;
        if (!carrel->is_warm) {
                pool_retire(pool, carrel->user, exec_left_behind_name(why), NULL, NULL, NULL);
                return;
        }
        if (carrel->task != NULL) /* its start must fail */
                carrel->task->has_died = true;
        pool_carrel_lost(carrel, exec_left_behind_name(why), false);
}

int pool_new(struct pool **ret_pool, struct ev_loop *loop, struct engine *engine, struct netpolicy *netpolicy,
             struct execs *execs, const struct pool_options *options, const struct flow_observer *observer,
             struct fault *why)
{
        struct pool *pool = pool_alloc(loop);
        int r;

        if (pool == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        pool->engine = engine;
        pool->netpolicy = netpolicy;
        pool->execs = execs;
        pool->observer = observer;
        r = open_state(pool, options, why);
        if (r == 0 && options->agent != POOL_AGENT_NONE)
                r = agents_open(execs, pool->options.runtime_dir, pool->options.pool, why);
        if (r == 0) {
                r = engine->ops->watch(engine, LABEL_POOL, pool->options.pool, watch_on_event, pool);
                if (r < 0)
                        (void)fault_set(why, FAULT_INTERNAL, -r, "cannot follow the engine's events");
        }
        if (r < 0) {
                pool_free(pool);
                return r;
        }
        r = pool_listen(pool, remember, &pool->past);
        if (r < 0) {
                pool_free(pool);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "out of memory");
        }
        execs_on_left_behind(execs, on_left_behind, pool);
        limit_execs(pool);
        *ret_pool = pool;
        return 0;
}

static void close_carrel(struct carrel *carrel, const struct fault *why)
{
        if (carrel->task != NULL)
                task_free(carrel->task);
        wait_answer_all(&carrel->waiters, why);
        wait_answer_all(&carrel->retirers, why);
        wait_answer_all(&carrel->freezers, why);
        wait_answer_all(&carrel->thawers, why);
        carrel_execs_detach(carrel);
}

struct pool *pool_free(struct pool *pool)
{
        struct fault why = { 0 };

        if (pool == NULL)
                return NULL;
        (void)fault_set(&why, FAULT_CANCELLED, ECANCELED, "carreld is being stopped");
        pool->is_closing = true; /* an answered waiter may ask again, and is refused */
        ev_timer_stop(pool->loop, &pool->grant);
        warm_release(&pool->warm);
        if (pool->execs != NULL)
                execs_on_left_behind(pool->execs, NULL, NULL);
        survey_cancel(pool);
        orphan_calls_free(pool);
        images_free(pool);
        carrel_execs_cancel_all(pool);
        for (struct carrel *carrel = pool->table.users; carrel != NULL; carrel = table_next(carrel))
                close_carrel(carrel, &why);
        holds_free(pool, &why);
        table_release(&pool->table);
        ledger_close(pool->ledger);
        listeners_release(&pool->listeners);
        past_release(&pool->past);
        options_release(&pool->options);
        if (pool->users_fd >= 0)
                close(pool->users_fd);
        if (pool->vacant_fd >= 0)
                close(pool->vacant_fd);
        free(pool);
        return NULL;
}

int pool_reconfigure(struct pool *pool, const struct pool_options *options, struct fault *why)
{
        struct pool_options wanted = pool->options;
        struct pool_options copy;
        int r;

        wanted.defaults = options->defaults;
        wanted.profiles = options->profiles;
        wanted.n_profiles = options->n_profiles;
        wanted.profile = options->profile;
        wanted.dns = options->dns;
        wanted.dns_setting = options->dns_setting;
        wanted.max_carrels = options->max_carrels;
        wanted.max_concurrent_starts = options->max_concurrent_starts;
        wanted.max_queued_starts = options->max_queued_starts;
        wanted.ensure_timeout_s = options->ensure_timeout_s;
        wanted.max_execs = options->max_execs;
        wanted.max_queued_execs = options->max_queued_execs;
        wanted.exec_timeout_s = options->exec_timeout_s;
        wanted.exec_wait_s = options->exec_wait_s;
        wanted.mounts = options->mounts;
        wanted.lxcfs = options->lxcfs;
        wanted.mount_sets = options->mount_sets;
        wanted.n_mount_sets = options->n_mount_sets;
        wanted.warm = options->warm;
        wanted.warm_max_age_s = options->warm_max_age_s;
        if (options_copy(&copy, &wanted) < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        r = options_check(&copy, why);
        if (r < 0) {
                options_release(&copy);
                return r;
        }
        if (!str_equal(copy.dns, pool->options.dns))
                warm_resolvers_changed(&pool->warm);
        options_release(&pool->options);
        pool->options = copy;
        pool->admission.max_starts = copy.max_concurrent_starts;
        pool->admission.max_queued = copy.max_queued_starts;
        limit_execs(pool);
        warm_configure(&pool->warm);
        ev_timer_start(pool->loop, &pool->grant);
        return 0;
}

static bool is_slot_held(void *arg, const char *name)
{
        const struct pool *pool = arg;

        return table_find_slot(&pool->table, name) != NULL;
}

void pool_set_waiting(struct pool *pool, const struct fault *why)
{
        pool->waits_for = *why;
}

void pool_set_reconciled(struct pool *pool)
{
        pool->has_reconciled = true;
        agents_prune(pool->execs, is_slot_held, pool);
        ledger_forget_recalled(pool->ledger);
        warm_configure(&pool->warm);
}

void pool_use_attach(struct pool *pool, struct attach *attach)
{
        pool->warm.attach = attach;
        warm_configure(&pool->warm);
}

void pool_use_disk(struct pool *pool, struct disk *disk)
{
        pool->disk = disk;
}

/* ---- for the parts ---- */

struct carrel *pool_add_carrel(struct pool *pool, const char *user, enum carrel_state state)
{
        struct carrel *carrel = carrel_new(pool, user, pool->options.prefix);

        if (carrel != NULL && table_add(&pool->table, carrel, state) < 0)
                carrel = carrel_free(carrel);
        return carrel;
}

void pool_drop_agent_slot(struct carrel *carrel)
{
        carrel_close_listener(carrel);
        if (carrel->agent_slot[0] != '\0')
                agent_listener_forget(carrel->pool->execs, carrel->agent_slot);
        (void)table_set_slot(&carrel->pool->table, carrel, "");
}

int pool_renew_agent_slot(struct carrel *carrel)
{
        char slot[AGENT_SLOT_BYTES];
        int r;

        pool_drop_agent_slot(carrel);
        do
                r = agent_slot_make(slot);
        while (r == 0 && table_find_slot(&carrel->pool->table, slot) != NULL);
        return r == 0 ? table_set_slot(&carrel->pool->table, carrel, slot) : r;
}

/* The floor keeps a user's generations rising after the user is forgotten. */
void pool_forget_carrel(struct pool *pool, struct carrel *carrel)
{
        if (carrel->generation > pool->generation_floor)
                pool->generation_floor = carrel->generation;
        ledger_release(pool->ledger, carrel->slot);
        carrel->slot = -1;
        carrel_execs_detach(carrel);
        pool_drop_agent_slot(carrel);
        table_forget(&pool->table, carrel);
}

void pool_raise_generation(struct carrel *carrel, uint64_t generation)
{
        struct pool *pool = carrel->pool;
        uint64_t last = carrel->generation > pool->generation_floor ? carrel->generation : pool->generation_floor;

        carrel->generation = generation > 0 ? generation : last + 1;
        if (carrel->slot < 0)
                carrel->slot = ledger_claim(pool->ledger, carrel->user, carrel->generation);
        else
                ledger_set_generation(pool->ledger, carrel->slot, carrel->generation);
}

static void on_death(struct ev_loop *loop, ev_io *io, int events)
{
        struct carrel *carrel = io->data;

        carrel_drop_process(carrel);
        pool_carrel_lost(carrel, "its process 1 ended", false);
}

void pool_carrel_ready(struct carrel *carrel, enum carrel_state state, int64_t since_ms, int64_t last_use_ms)
{
        struct pool *pool = carrel->pool;

        table_set_state(&pool->table, carrel, state);
        carrel->ready_ms = since_ms > 0 ? since_ms : clock_boottime_ms();
        carrel->ready_number = ++pool->last_ready_number;
        carrel->last_fault[0] = '\0';
        carrel_set_reason(carrel, state == CARREL_WARM ? "waits for a user" : "is running");
        carrel->last_use_ms = last_use_ms > 0 ? last_use_ms : clock_boottime_ms();
        ledger_set_times(pool->ledger, carrel->slot, carrel->last_use_ms, carrel->lease_until_ms);
        carrel_watch_process(carrel, on_death);
}

void pool_carrel_lost(struct carrel *carrel, const char *reason, bool is_oom)
{
        struct pool *pool = carrel->pool;
        char id[CONTAINER_ID_BYTES];
        const struct pool_event event = {
                .kind = POOL_LOST, .user = carrel->user, .container_id = id, .detail = reason
        };

        if (carrel->state == CARREL_FROZEN && carrel->task != NULL) {
                struct fault why;

                (void)fault_set(&why, FAULT_CARREL_LOST, ESRCH, "the container has ended: %s", reason);
                carrel->task->has_died = true; /* its flow ends, and then this again */
                flow_cancel(carrel->task->flow, &why);
                return;
        }
        if (carrel->state == CARREL_QUEUED && carrel->task != NULL &&
            (carrel->task->from == CARREL_READY || carrel->task->from == CARREL_FROZEN))
                carrel->task->from = CARREL_LOST; /* its queued start replaces it */
        else if (carrel_is_live(carrel) || carrel->state == CARREL_WARM)
                table_set_state(&pool->table, carrel, CARREL_LOST);
        else
                return;
        memcpy(id, carrel->id, sizeof id);
        carrel_drop_process(carrel);
        if (carrel->state == CARREL_LOST)
                carrel_set_reason(carrel, reason);
        execs_container_lost(pool->execs, id, is_oom);
        carrel_close_listener(carrel);
        listeners_tell(&pool->listeners, &event);
        if (carrel->is_warm)
                warm_note_loss(&pool->warm, carrel);
}

void pool_tell(struct pool *pool, enum pool_event_kind kind, const struct carrel *carrel, const char *detail,
               double duration_s)
{
        const struct pool_event event = {
                .kind = kind,
                .user = carrel->user,
                .container_id = carrel->id,
                .detail = detail,
                .duration_s = duration_s,
        };

        listeners_tell(&pool->listeners, &event);
}

/* ---- listening and looking ---- */

int pool_listen(struct pool *pool, void (*on_event)(void *arg, const struct pool_event *event), void *arg)
{
        return listeners_add(&pool->listeners, on_event, arg);
}

void pool_unlisten(struct pool *pool, void (*on_event)(void *arg, const struct pool_event *event), void *arg)
{
        listeners_remove(&pool->listeners, on_event, arg);
}

void pool_announce(struct pool *pool, const struct pool_event *event)
{
        listeners_tell(&pool->listeners, event);
}

const struct pool_past *pool_recall(const struct pool *pool, const char *user)
{
        return past_find(&pool->past, user);
}

static struct carrel *find(const struct pool *pool, const char *user)
{
        return user_id_is_valid(user) ? table_find(&pool->table, user) : NULL;
}

void pool_mark_lost(struct pool *pool, const char *user, const char *reason)
{
        struct carrel *carrel = find(pool, user);

        if (carrel != NULL)
                pool_carrel_lost(carrel, reason, false);
}

int pool_touch(struct pool *pool, const char *user, uint64_t lease_s, struct fault *why)
{
        struct carrel *carrel = find(pool, user);

        if (carrel == NULL)
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "the user has no carrel");
        carrel_lease(carrel, lease_s < LEASE_MAX_S ? lease_s : LEASE_MAX_S);
        return 0;
}

bool pool_inspect(const struct pool *pool, const char *user, void (*visit)(void *arg, const struct carrel_view *view),
                  void *arg)
{
        const struct carrel *carrel = find(pool, user);
        struct carrel_view view;

        if (carrel == NULL)
                return false;
        carrel_view(carrel, clock_boottime_ms(), &view);
        if (carrel->state == CARREL_READY && carrel_is_frozen(&view))
                view.reason = CARREL_FROZEN_OUTSIDE;
        visit(arg, &view);
        return true;
}

void pool_each(const struct pool *pool, const char *after, size_t limit,
               bool (*visit)(void *arg, const struct carrel_view *view), void *arg)
{
        /* Sorting changes only the order of iteration. */
        struct table *table = &((struct pool *)pool)->table;
        int64_t now_ms = clock_boottime_ms();
        struct carrel *next;

        for (struct carrel *carrel = table_first(table, after); carrel != NULL && limit > 0; carrel = next) {
                struct carrel_view view;

                next = table_next(carrel);
                if (carrel->is_free_deferred) /* forgotten by a visit; its links stay valid until the loop's next turn
                                               */
                        continue;
                limit--;
                carrel_view(carrel, now_ms, &view);
                if (!visit(arg, &view))
                        return;
        }
}

void pool_stats(const struct pool *pool, struct pool_stats *ret_stats)
{
        struct engine_about about;
        struct pool_stats stats = {
                .starts_in_flight = pool->admission.in_flight,
                .starts_queued = pool->admission.n_queued,
                .waiters = pool->n_waiters,
                .execs = carrel_execs_count(pool),
                .ensure_failures = pool->ensure_failures,
                .is_policy_in_force = netpolicy_is_in_force(pool->netpolicy),
                .has_reconciled = pool->has_reconciled,
                .lxcfs = lxcfs_describe(&pool->options),
        };

        pool->engine->ops->about(pool->engine, &about);
        stats.is_engine_available = about.is_available;
        warm_stats(&pool->warm, &stats.warm);
        memcpy(stats.by_state, pool->table.by_state, sizeof stats.by_state);
        memcpy(stats.ensures, pool->ensures, sizeof stats.ensures);
        *ret_stats = stats;
}
