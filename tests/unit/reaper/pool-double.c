#include "pool-double.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_turn(struct ev_loop *loop, ev_timer *timer, int events);

void pool_double_init(struct pool *pool, struct ev_loop *loop)
{
        *pool = (struct pool){ .loop = loop };
        ev_timer_init(&pool->turn, on_turn, 0.0, 0.0);
        pool->turn.data = pool;
}

struct double_user *pool_double_add(struct pool *pool, const char *name, int64_t idle_ms)
{
        struct double_user *user = &pool->users[pool->n_users++];

        *user = (struct double_user){ .state = CARREL_READY, .idle_ms = idle_ms, .age_ms = idle_ms };
        snprintf(user->name, sizeof user->name, "%s", name);
        return user;
}

struct double_container *pool_double_plant(struct pool *pool, const char *id, enum survey_claim claim)
{
        struct double_container *container = &pool->containers[pool->n_containers++];

        *container = (struct double_container){ .seen = { .claim = claim, .is_running = true } };
        snprintf(container->seen.id, sizeof container->seen.id, "%s", id);
        return container;
}

void pool_double_close(struct pool *pool)
{
        ev_timer_stop(pool->loop, &pool->turn);
}

/* ---- looking ---- */

static const struct carrel_spec SPEC = { .memory_bytes = 128 << 20 };

static void show(const struct double_user *user, struct carrel_view *ret_view)
{
        *ret_view = (struct carrel_view){
                .user = user->name,
                .state = user->state,
                .execs = user->execs,
                .idle_ms = user->idle_ms,
                .lease_left_ms = user->lease_left_ms,
                .age_ms = user->age_ms,
                .tasks_file = user->background,
                .sockets_file = user->sockets,
                .spec = &SPEC,
                .step = "",
                .is_reclaimed = user->is_reclaimed,
                .has_refused_freeze = user->has_refused_freeze,
        };
}

void pool_each(const struct pool *pool, const char *after, size_t limit,
               bool (*visit)(void *arg, const struct carrel_view *view), void *arg)
{
        size_t visited = 0;

        for (unsigned i = 0; i < pool->n_users && visited < limit; i++) {
                struct carrel_view view;

                if (strcmp(pool->users[i].name, after) <= 0)
                        continue;
                show(&pool->users[i], &view);
                visited++;
                ((struct pool *)pool)->n_visits++;
                if (!visit(arg, &view))
                        return;
        }
}

static struct double_user *find(const struct pool *pool, const char *name)
{
        for (unsigned i = 0; i < pool->n_users; i++)
                if (strcmp(pool->users[i].name, name) == 0)
                        return (struct double_user *)&pool->users[i];
        return NULL;
}

bool pool_inspect(const struct pool *pool, const char *user, void (*visit)(void *arg, const struct carrel_view *view),
                  void *arg)
{
        const struct double_user *found = find(pool, user);
        struct carrel_view view;

        if (found == NULL)
                return false;
        show(found, &view);
        visit(arg, &view);
        return true;
}

int carrel_background(const struct carrel_view *view, unsigned *ret_tasks)
{
        if (view->tasks_file == NULL || view->tasks_file[0] == '\0')
                return -ENODATA;
        *ret_tasks = (unsigned)strtoul(view->tasks_file, NULL, 10);
        return 0;
}

int carrel_socket_bytes(const struct carrel_view *view, uint64_t *ret_bytes)
{
        if (view->sockets_file == NULL || view->sockets_file[0] == '\0')
                return -ENODATA;
        *ret_bytes = strtoull(view->sockets_file, NULL, 10);
        return 0;
}

int pool_touch(struct pool *pool, const char *user, uint64_t lease_s, struct fault *why)
{
        struct double_user *found = find(pool, user);

        (void)lease_s, (void)why;
        if (found == NULL)
                return -ENOENT;
        found->idle_ms = 0;
        return 0;
}

void pool_stats(const struct pool *pool, struct pool_stats *ret_stats)
{
        *ret_stats = (struct pool_stats){ 0 };
        for (unsigned i = 0; i < pool->n_users; i++)
                ret_stats->by_state[pool->users[i].state]++;
}

void pool_retire(struct pool *pool, const char *user, const char *reason, pool_on_done on_done, void *arg,
                 struct pool_wait **ret_wait)
{
        struct double_user *found = find(pool, user);
        struct double_user *other = find(pool, pool->used_meanwhile);

        (void)on_done, (void)arg, (void)ret_wait;
        found->state = CARREL_RETIRING;
        snprintf(found->retired_for, sizeof found->retired_for, "%s", reason);
        if (other != NULL)
                other->execs = 1;
}

void pool_freeze(struct pool *pool, const char *user, const char *reason, pool_on_done on_done, void *arg,
                 struct pool_wait **ret_wait)
{
        struct double_user *found = find(pool, user);

        (void)on_done, (void)arg, (void)ret_wait;
        found->state = CARREL_FROZEN;
        snprintf(found->frozen_for, sizeof found->frozen_for, "%s", reason);
}

int pool_reclaim(struct pool *pool, const char *user)
{
        find(pool, user)->is_reclaimed = true;
        return 0;
}

/* ---- the engine's side ---- */

static void answer_calls(struct pool *pool)
{
        struct double_call calls[DOUBLE_CALLS];
        unsigned count = pool->n_calls;
        struct fault why;

        memcpy(calls, pool->calls, sizeof calls);
        pool->n_calls = 0;
        fault_set(&why, FAULT_ENGINE_REFUSED, EBUSY, "The double refuses.");
        for (unsigned i = 0; i < count; i++)
                calls[i].on_done(calls[i].arg, calls[i].is_fault ? &why : NULL);
}

static void answer_survey(struct pool *pool)
{
        struct survey_container seen[DOUBLE_CONTAINERS];
        struct survey survey = { .containers = seen, .n_containers = pool->n_containers, .missing = pool->missing };
        pool_on_survey on_survey = pool->on_survey;
        struct fault why;

        pool->on_survey = NULL;
        for (size_t i = 0; i < pool->n_containers; i++)
                seen[i] = pool->containers[i].seen;
        fault_set(&why, FAULT_ENGINE_UNAVAILABLE, ECONNREFUSED, "The double is down.");
        if (pool->survey_faults > 0) {
                pool->survey_faults--;
                on_survey(pool->survey_arg, NULL, &why);
        } else {
                on_survey(pool->survey_arg, &survey, NULL);
        }
}

static void on_turn(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct pool *pool = timer->data;

        (void)loop, (void)events;
        if (pool->on_survey != NULL)
                answer_survey(pool);
        else
                answer_calls(pool);
}

int pool_survey(struct pool *pool, pool_on_survey on_survey, void *arg)
{
        if (pool->on_survey != NULL)
                return -EBUSY;
        pool->n_surveys++;
        pool->on_survey = on_survey;
        pool->survey_arg = arg;
        ev_timer_start(pool->loop, &pool->turn);
        return 0;
}

static int call(struct pool *pool, enum double_answer answer, pool_on_done on_done, void *arg)
{
        if (answer == ANSWER_BUSY_NOW)
                return -EBUSY;
        if (answer == ANSWER_NO_MEMORY_NOW)
                return -ENOMEM;
        if (answer == ANSWER_NEVER)
                return 0;
        if (answer == ANSWER_AT_ONCE) {
                on_done(arg, NULL);
                return 0;
        }
        pool->calls[pool->n_calls++] = (struct double_call){ on_done, arg, answer == ANSWER_FAULT };
        if (pool->n_calls > pool->in_flight_most)
                pool->in_flight_most = pool->n_calls;
        ev_timer_start(pool->loop, &pool->turn);
        return 0;
}

static struct double_container *find_container(struct pool *pool, const char *id)
{
        for (size_t i = 0; i < pool->n_containers; i++)
                if (strcmp(pool->containers[i].seen.id, id) == 0)
                        return &pool->containers[i];
        return NULL;
}

int pool_discard(struct pool *pool, const char *container_id, pool_on_done on_done, void *arg)
{
        struct double_container *container = find_container(pool, container_id);

        container->discards++;
        return call(pool, container->on_discard, on_done, arg);
}

int pool_adopt(struct pool *pool, const char *container_id, pool_on_done on_done, void *arg)
{
        struct double_container *container = find_container(pool, container_id);

        container->adoptions++;
        return call(pool, container->on_adopt, on_done, arg);
}

void pool_mark_lost(struct pool *pool, const char *user, const char *reason)
{
        (void)user, (void)reason;
        pool->n_lost++;
}

void pool_set_reconciled(struct pool *pool)
{
        pool->is_reconciled = true;
}

int pool_listen(struct pool *pool, void (*on_event)(void *arg, const struct pool_event *event), void *arg)
{
        pool->on_event = on_event;
        pool->listener = arg;
        return 0;
}

void pool_unlisten(struct pool *pool, void (*on_event)(void *arg, const struct pool_event *event), void *arg)
{
        if (pool->on_event == on_event && pool->listener == arg)
                pool->on_event = NULL;
}
