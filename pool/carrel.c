#include "carrel.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "flow.h"
#include "host-mounts.h"
#include "pool-inside.h"
#include "reclaim.h"
#include "scope.h"
#include "str.h"
#include "task.h"
#include "template.h"
#include "user-id.h"

static const char *const STATE_NAMES[CARREL_STATES] = {
        [CARREL_QUEUED] = "queued",     [CARREL_STARTING] = "starting", [CARREL_READY] = "ready",
        [CARREL_RETIRING] = "retiring", [CARREL_LOST] = "lost",         [CARREL_WARM] = "warm",
        [CARREL_FROZEN] = "frozen",
};

const char *carrel_state_name(enum carrel_state state)
{
        return state < CARREL_STATES ? STATE_NAMES[state] : "";
}

static const char *const OUTCOME_NAMES[OUTCOMES] = {
        [OUTCOME_CREATED] = "created", [OUTCOME_REUSED] = "reused",   [OUTCOME_REPLACED] = "replaced",
        [OUTCOME_CLAIMED] = "claimed", [OUTCOME_RESUMED] = "resumed",
};

const char *ensure_outcome_name(enum ensure_outcome outcome)
{
        return outcome < OUTCOMES ? OUTCOME_NAMES[outcome] : "";
}

struct carrel *carrel_new(struct pool *pool, const char *user, const char *prefix)
{
        struct carrel *carrel = calloc(1, sizeof *carrel);

        if (carrel == NULL)
                return NULL;
        carrel->pool = pool;
        carrel->is_warm = str_has_prefix(user, WARM_USER_PREFIX);
        carrel->pidfd = -1;
        carrel->slot = -1;
        list_init(&carrel->deferred_free);
        list_init(&carrel->warm);
        list_init(&carrel->execs);
        list_init(&carrel->waiters);
        list_init(&carrel->retirers);
        list_init(&carrel->freezers);
        list_init(&carrel->thawers);
        /* Both fit: options_check bounds the prefix. */
        (void)snprintf(carrel->user, sizeof carrel->user, "%s", user);
        (void)snprintf(carrel->name, sizeof carrel->name, "%s%s", prefix, user);
        return carrel;
}

static void drop_mounts(struct carrel *carrel)
{
        if (carrel->mounts != NULL)
                host_mounts_release(carrel->mounts);
        free(TAKE(carrel->mounts));
}

int carrel_find_mounts(struct carrel *carrel, struct fault *why)
{
        AUTO(auto_free) struct host_mounts *mounts = calloc(1, sizeof *mounts);
        int r;

        if (mounts == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        r = host_mounts_find(&carrel->pool->options, carrel->spec.mounts, mounts, why);
        if (r < 0)
                return r;
        drop_mounts(carrel);
        if (mounts->n > 0)
                carrel->mounts = TAKE(mounts);
        else
                host_mounts_release(mounts);
        return 0;
}

struct carrel *carrel_free(struct carrel *carrel)
{
        if (carrel == NULL)
                return NULL;
        carrel_close_listener(carrel);
        carrel_drop_process(carrel);
        drop_mounts(carrel);
        list_remove(&carrel->deferred_free);
        list_remove(&carrel->warm);
        free(carrel);
        return NULL;
}

bool carrel_is_live(const struct carrel *carrel)
{
        return carrel->state == CARREL_READY || carrel->state == CARREL_FROZEN;
}

void carrel_set_reason(struct carrel *carrel, const char *reason)
{
        (void)snprintf(carrel->reason, sizeof carrel->reason, "%s", reason);
}

void carrel_set_fault(struct carrel *carrel, const struct fault *why)
{
        (void)snprintf(carrel->last_fault, sizeof carrel->last_fault, "%s", why->message);
}

int carrel_hold_process(struct carrel *carrel, int pid)
{
        int fd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself (pidfd_open(2)) */

        if (fd < 0)
                return -errno;
        carrel_drop_process(carrel);
        carrel->pid = pid;
        carrel->pidfd = fd;
        return 0;
}

bool carrel_has_ended(const struct carrel *carrel)
{
        struct pollfd poller = { .fd = carrel->pidfd, .events = POLLIN };

        return carrel->pidfd >= 0 && poll(&poller, 1, 0) != 0;
}

void carrel_watch_process(struct carrel *carrel, void (*on_death)(struct ev_loop *loop, ev_io *io, int events))
{
        if (carrel->pidfd < 0)
                return;
        ev_io_init(&carrel->death, on_death, carrel->pidfd, EV_READ);
        carrel->death.data = carrel;
        ev_io_start(carrel->pool->loop, &carrel->death);
}

void carrel_drop_process(struct carrel *carrel)
{
        if (ev_is_active(&carrel->death))
                ev_io_stop(carrel->pool->loop, &carrel->death);
        if (carrel->pidfd >= 0)
                close(carrel->pidfd);
        carrel->pidfd = -1;
        carrel->pid = 0;
        carrel->host_base = 0;
        reclaim_cancel(carrel);
        free(TAKE(carrel->tasks_file));
        free(TAKE(carrel->sockets_file));
        carrel->meter = usage_meter_free(carrel->meter);
}

void carrel_take_process(struct carrel *carrel, struct carrel *from)
{
        if (ev_is_active(&from->death))
                ev_io_stop(from->pool->loop, &from->death);
        carrel->pid = from->pid;
        carrel->pidfd = TAKE_FD(from->pidfd);
        carrel->tasks_file = TAKE(from->tasks_file);
        carrel->sockets_file = TAKE(from->sockets_file);
        carrel->meter = TAKE(from->meter);
        carrel->host_base = from->host_base;
        drop_mounts(carrel);
        carrel->mounts = TAKE(from->mounts);
        carrel->has_lxcfs = from->has_lxcfs;
        carrel->link = from->link;
        carrel->listener = TAKE(from->listener);
        carrel->template_version = from->template_version;
        carrel->started_wall_ms = from->started_wall_ms;
        from->pid = 0;
        from->host_base = 0;
}

void carrel_close_listener(struct carrel *carrel)
{
        carrel->listener = agent_listener_free(carrel->listener);
}

struct pool_owner carrel_inside(const struct carrel *carrel)
{
        struct engine *engine = carrel->pool->engine;
        struct engine_about about = { 0 };

        engine->ops->about(engine, &about);
        if (about.has_user_namespaces)
                return (struct pool_owner){ TEMPLATE_UID, TEMPLATE_UID };
        return carrel->owner;
}

bool carrel_is_vacant(const struct carrel *carrel)
{
        return carrel->is_warm || (carrel->task != NULL && carrel->task->disk_fd >= 0);
}

int carrel_template(const struct carrel *carrel, struct template *ret_template, struct fault *why)
{
        struct pool_owner inside = carrel_inside(carrel);
        int r = template_fill(ret_template, &carrel->pool->options, carrel->mounts, carrel->has_lxcfs, &carrel->owner,
                              &inside, carrel->is_warm ? NULL : carrel->user, carrel->name, carrel->agent_slot,
                              &carrel->spec, carrel->spec_hash, carrel->generation, why);

        return r == 0 && carrel->has_image ? template_vacate(ret_template, &carrel->pool->options, why) : r;
}

void carrel_touch(struct carrel *carrel)
{
        carrel->last_use_ms = clock_boottime_ms();
        carrel->has_refused_freeze = false;
        ledger_set_times(carrel->pool->ledger, carrel->slot, carrel->last_use_ms, carrel->lease_until_ms);
}

void carrel_lease(struct carrel *carrel, uint64_t lease_s)
{
        if (lease_s > 0)
                carrel->lease_until_ms = clock_boottime_ms() + (int64_t)lease_s * 1000;
        carrel_touch(carrel);
}

static int64_t since(int64_t then_ms, int64_t now_ms)
{
        return then_ms > 0 && now_ms > then_ms ? now_ms - then_ms : 0;
}

void carrel_find_meter(struct carrel *carrel, const struct cgroup_mounts *mounts)
{
        struct usage_meter *meter = NULL;

        if (usage_meter_new(&meter, mounts, carrel->pid, carrel->id) < 0)
                return;
        usage_meter_free(carrel->meter);
        carrel->meter = meter;
}

void carrel_find_tasks(struct carrel *carrel, const struct cgroup_mounts *mounts)
{
        struct cgroup cgroup;

        free(TAKE(carrel->tasks_file));
        free(TAKE(carrel->sockets_file));
        if (cgroup_find(mounts, carrel->pid, carrel->id, &cgroup) < 0)
                return;
        if (cgroup.tasks_file[0] != '\0')
                carrel->tasks_file = strdup(cgroup.tasks_file);
        if (cgroup.socket_usage_file[0] != '\0')
                carrel->sockets_file = strdup(cgroup.socket_usage_file);
}

/* Without process 1, which is the agent and has one thread. */
int carrel_background(const struct carrel_view *view, unsigned *ret_tasks)
{
        uint64_t tasks = view->tasks_file != NULL ? cgroup_read_count(view->tasks_file) : CGROUP_UNCOUNTED;

        if (tasks == CGROUP_UNCOUNTED || tasks > UINT32_MAX)
                return -ENODATA;
        *ret_tasks = tasks > 0 ? (unsigned)tasks - 1 : 0;
        return 0;
}

int carrel_socket_bytes(const struct carrel_view *view, uint64_t *ret_bytes)
{
        uint64_t bytes = view->sockets_file != NULL ? cgroup_read_count(view->sockets_file) : CGROUP_UNCOUNTED;

        if (bytes == CGROUP_UNCOUNTED)
                return -ENODATA;
        *ret_bytes = bytes;
        return 0;
}

void carrel_usage(const struct carrel_view *view, struct usage *ret_usage)
{
        usage_clear(ret_usage);
        if (view->meter == NULL)
                return;
        usage_read(view->meter, ret_usage);
        if (view->interface[0] != '\0')
                usage_read_link(view->interface, ret_usage);
}

bool carrel_is_frozen(const struct carrel_view *view)
{
        return view->state == CARREL_FROZEN ||
               (view->state == CARREL_READY && execs_is_frozen(view->pool->execs, view->container_id));
}

void carrel_view(const struct carrel *carrel, int64_t now_ms, struct carrel_view *ret_view)
{
        bool is_ready = carrel_is_live(carrel);

        *ret_view = (struct carrel_view){
                .pool = carrel->pool,
                .user = carrel->user,
                .container = carrel->name,
                .container_id = carrel->id,
                .spec_hash = carrel->spec_hash,
                .spec = &carrel->spec,
                .state = carrel->state,
                .step = task_step(carrel->task),
                .generation = carrel->generation,
                .started_wall_ms = carrel->started_wall_ms,
                .idle_ms = carrel->n_execs > 0 ? 0 : since(carrel->last_use_ms, now_ms),
                .lease_left_ms = carrel->lease_until_ms > now_ms ? carrel->lease_until_ms - now_ms : 0,
                .age_ms = is_ready || carrel->state == CARREL_WARM ? since(carrel->ready_ms, now_ms) : 0,
                .execs = carrel->n_execs,
                .tasks_file = is_ready && carrel->n_execs == 0 ? carrel->tasks_file : NULL,
                .meter = carrel->meter,
                .sockets_file = is_ready ? carrel->sockets_file : NULL,
                .is_reclaimed = carrel->is_reclaimed,
                .has_refused_freeze = carrel->has_refused_freeze,
                .is_warm = carrel->is_warm,
                .has_agent = agent_listener_is_greeted(carrel->listener),
                .address = carrel->link.address,
                .interface = carrel->link.interface,
                .last_fault = carrel->last_fault,
                .reason = carrel->reason,
        };
}
