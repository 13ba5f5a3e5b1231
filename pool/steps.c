#include "steps.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "hardening.h"
#include "inside.h"
#include "isolation.h"
#include "kernel-limits.h"
#include "lxcfs.h"
#include "mount-promise.h"
#include "pool-inside.h"
#include "profile.h"
#include "remount.h"
#include "task.h"
#include "template.h"
#include "userns.h"

/* An optional agent has this long to connect. */
static const double PATIENCE_S = 10.0;
/* The delays between two verifications of a container whose hardening is not complete yet, and their total. */
#define FIRST_LOOK_S 0.001
#define LAST_LOOK_S 0.05
#define LOOKING_S 8.0

static void on_confirmed(void *arg, const struct netpolicy_link *link, const struct fault *why)
{
        struct task *task = arg;

        task->net_call = NULL;
        task_resume(task, why);
}

enum flow_verdict step_confine(struct flow *flow, void *subject)
{
        struct task *task = subject;

        return task_asked(task, netpolicy_confirm(task->carrel->pool->netpolicy, on_confirmed, task, &task->net_call));
}

/* Whether the engine describes our container, and it runs. */
static int check_identity(const struct carrel *carrel, const struct engine_reply *reply, struct fault *why)
{
        const struct container_info *info = reply->containers;

        if (reply->n_containers != 1 || strcmp(info->id, carrel->id) != 0 ||
            !template_is_ours(info, &carrel->pool->options, carrel->user) ||
            template_generation(info) != carrel->generation)
                return fault_set(why, FAULT_ENGINE_REFUSED, EBADMSG, "the engine's answer describes another container");
        if (info->status != CONTAINER_RUNNING)
                return fault_set(why, FAULT_CARREL_LOST, ESRCH, "the container ended at once, with exit code %d",
                                 info->exit_code);
        return 0;
}

static int hold_process(struct carrel *carrel, int pid, struct fault *why)
{
        int r;

        if (pid <= 0 && carrel->pool->options.hardening == POOL_HARDENING_TRUSTED)
                return 0;
        r = pid > 1 ? carrel_hold_process(carrel, pid) : -ESRCH;
        if (r < 0)
                return fault_set(why, FAULT_CARREL_LOST, -r, "cannot open a pidfd of the container's process: %s",
                                 strerrordesc_np(-r));
        return 0;
}

static void on_identified(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct task *task = arg;
        struct carrel *carrel = task->carrel;
        struct fault own = { 0 };

        task->call = NULL;
        if (why == NULL &&
            (check_identity(carrel, reply, &own) < 0 || hold_process(carrel, reply->containers->pid, &own) < 0))
                why = &own;
        if (why == NULL)
                carrel->started_wall_ms =
                        reply->containers->started_wall_ms > 0 ? reply->containers->started_wall_ms : clock_wall_ms();
        task_resume(task, why);
}

enum flow_verdict step_identify(struct flow *flow, void *subject)
{
        struct task *task = subject;
        struct engine *engine = task->carrel->pool->engine;

        return task_asked(task, engine->ops->inspect(engine, task->carrel->id, on_identified, task, &task->call));
}

static bool is_range_shared(const struct carrel *carrel, uint32_t base)
{
        const struct carrel *other;
        const struct carrel *next;

        HASH_ITER(by_user, carrel->pool->table.users, other, next)
        {
                uint32_t distance = other->host_base > base ? other->host_base - base : base - other->host_base;

                if (other != carrel && other->host_base != 0 && distance < PROFILE_USERNS_IDS)
                        return true;
        }
        return false;
}

/* Keeps the first id of the range as the carrel's host_base. */
static int verify_user_namespace(struct carrel *carrel, struct fault *why)
{
        uint32_t base;
        int r = userns_check(carrel->pid, &base, why);

        if (r < 0)
                return r;
        if (is_range_shared(carrel, base))
                return fault_set(why, FAULT_HARDENING_MISSING, EPERM,
                                 "the started container lacks a promise: another carrel has the same host ids");
        carrel->host_base = base;
        return 0;
}

static int verify_limits(const struct carrel *carrel, struct fault *why)
{
        const struct limits_promise promise = { carrel->spec.memory_bytes, carrel->spec.pids };

        return kernel_limits_check(&carrel->pool->cgroups, carrel->pid, carrel->id, &promise, why);
}

/* Also verifies the promises that an engine makes beyond the template. */
static int verify_ids(struct carrel *carrel, struct fault *why)
{
        struct pool_owner inside = carrel_inside(carrel);
        struct engine *engine = carrel->pool->engine;
        struct engine_about about = { 0 };

        engine->ops->about(engine, &about);
        if (about.has_user_namespaces && verify_user_namespace(carrel, why) < 0)
                return -EPERM;
        if (about.has_user_namespaces && hardening_check_counts(carrel->pid, carrel->pidfd, why) < 0)
                return -EPERM;
        return hardening_check(carrel->pid, carrel->pidfd, carrel->id, carrel->host_base + inside.uid,
                               carrel->host_base + inside.gid, why);
}

static int verify_monitor(const struct carrel *carrel, struct fault *why)
{
        int r = hardening_check_monitor(carrel->pid, carrel->pidfd, carrel->id, why);

        if (r == 0)
                r = isolation_check_monitor(carrel->pid, carrel->pidfd, why);
        if (r == 0)
                r = verify_limits(carrel, why);
        return r;
}

static int verify_whole(struct carrel *carrel, struct fault *why)
{
        bool is_vacant = carrel_is_vacant(carrel);
        int r = verify_ids(carrel, why);

        if (r == 0)
                r = isolation_check(carrel->pid, carrel->pidfd,
                                    is_vacant ? carrel->pool->vacant_fd : carrel->pool->users_fd,
                                    is_vacant ? NULL : carrel->user, carrel->spec.policy == POLICY_INTERNET, why);
        if (r == 0)
                r = verify_limits(carrel, why);
        if (r == 0)
                carrel_find_tasks(carrel, &carrel->pool->cgroups);
        return r;
}

static int verify(struct carrel *carrel, struct fault *why)
{
        int r = carrel->pool->options.hardening == POOL_HARDENING_WHOLE ? verify_whole(carrel, why)
                                                                        : verify_monitor(carrel, why);

        if (r == 0)
                carrel_find_meter(carrel, &carrel->pool->cgroups);
        return r;
}

static void look_later(struct task *task)
{
        struct ev_loop *loop = task->carrel->pool->loop;

        ev_timer_stop(loop, &task->look);
        ev_timer_set(&task->look, task->look_delay_s, 0.0);
        ev_timer_start(loop, &task->look);
        if (task->look_delay_s < LAST_LOOK_S)
                task->look_delay_s *= 2;
}

static bool may_still_come(const struct task *task, const struct fault *why)
{
        return why->kind == FAULT_HARDENING_MISSING && clock_boottime_s() - task->looking_since_s < LOOKING_S;
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int revents)
{
        struct task *task = timer->data;
        struct fault why = { 0 };

        if (verify(task->carrel, &why) == 0)
                task_resume(task, NULL);
        else if (may_still_come(task, &why))
                look_later(task);
        else
                task_resume(task, &why);
}

/* A runtime may report the start a moment before its process executes our init; crun 1.8 sets the syscall filter just
 * before. Only the runtime and our init run inside until this step has succeeded, so it may try again. */
enum flow_verdict step_verify(struct flow *flow, void *subject)
{
        struct task *task = subject;
        struct fault why = { 0 };

        if (task->carrel->pool->options.hardening == POOL_HARDENING_TRUSTED || verify(task->carrel, &why) == 0)
                return FLOW_NEXT;
        task->looking_since_s = clock_boottime_s();
        task->look_delay_s = FIRST_LOOK_S;
        if (!may_still_come(task, &why)) {
                (void)fault_pass(flow_why(flow), &why);
                return FLOW_FAIL;
        }
        ev_set_cb(&task->look, on_look);
        look_later(task);
        return FLOW_WAIT;
}

static int choose_lxcfs(struct carrel *carrel, struct fault *why)
{
        const struct pool_options *options = &carrel->pool->options;

        carrel->has_lxcfs = lxcfs_is_used(options);
        if (options->lxcfs != POOL_LXCFS_ON || carrel->has_lxcfs || options->hardening != POOL_HARDENING_WHOLE)
                return 0;
        return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOTCONN,
                         "lxcfs does not run at " LXCFS_DIRECTORY ": start it (systemctl start lxcfs), or set lxcfs = "
                         "auto");
}

enum flow_verdict step_mounts(struct flow *flow, void *subject)
{
        struct carrel *carrel = ((struct task *)subject)->carrel;
        struct mount_promises promises;

        return choose_lxcfs(carrel, flow_why(flow)) < 0 || carrel_find_mounts(carrel, flow_why(flow)) < 0 ||
                               mount_promises_make(carrel, &promises, flow_why(flow)) < 0
                       ? FLOW_FAIL
                       : FLOW_NEXT;
}

static int check_mounts(const struct carrel *carrel, struct fault *why)
{
        struct mount_promises promises;
        int r = mount_promises_make(carrel, &promises, why);

        return r < 0 ? r : mounts_check(carrel->pid, carrel->pidfd, &promises.whole, why);
}

static void on_remounted(void *arg, const struct fault *why)
{
        struct task *task = arg;
        const struct carrel *carrel = task->carrel;
        struct fault own = { 0 };

        task->remount = NULL;
        if (why == NULL && check_mounts(carrel, &own) < 0)
                why = &own;
        task_resume(task, why);
}

/* The embedded engine mounts everything correctly, so its carrels need no helper. */
enum flow_verdict step_remount(struct flow *flow, void *subject)
{
        struct task *task = subject;
        const struct carrel *carrel = task->carrel;
        struct mount_promises promises;
        struct fault why = { 0 };

        if (carrel->pool->options.hardening != POOL_HARDENING_WHOLE || check_mounts(carrel, &why) == 0)
                return FLOW_NEXT;
        if (mount_promises_make(carrel, &promises, flow_why(flow)) < 0 ||
            remount_start(&task->remount, carrel->pool->loop, carrel->pidfd, INSIDE_WORKSPACE, &promises.whole,
                          on_remounted, task, flow_why(flow)) < 0)
                return FLOW_FAIL;
        return FLOW_WAIT;
}

static void on_plugged(void *arg, const struct netpolicy_link *link, const struct fault *why)
{
        struct task *task = arg;

        task->net_call = NULL;
        if (why == NULL && link != NULL)
                task->carrel->link = *link;
        task_resume(task, why);
}

enum flow_verdict step_plug(struct flow *flow, void *subject)
{
        struct task *task = subject;
        const struct carrel *carrel = task->carrel;

        /* Without a process there is no namespace to plug. Only containers of the fake engine get here without one. */
        if (carrel->spec.policy == POLICY_NONE || carrel->pid == 0)
                return FLOW_NEXT;
        return task_asked(task, netpolicy_plug(carrel->pool->netpolicy, carrel->pid, carrel->id, carrel->is_warm,
                                               on_plugged, task, &task->net_call));
}

enum flow_verdict step_listen(struct flow *flow, void *subject)
{
        const struct task *task = subject;
        struct carrel *carrel = task->carrel;
        struct pool *pool = carrel->pool;

        carrel_close_listener(carrel);
        if (pool->options.agent == POOL_AGENT_NONE)
                return FLOW_NEXT;
        return agent_listener_new(&carrel->listener, pool->execs, carrel->agent_slot, flow_why(flow)) < 0 ? FLOW_FAIL
                                                                                                          : FLOW_NEXT;
}

enum flow_verdict step_hang_up(struct flow *flow, void *subject)
{
        const struct task *task = subject;

        (void)flow;
        carrel_close_listener(task->carrel);
        return FLOW_NEXT;
}

static void on_greeted(void *arg, const struct fault *why)
{
        struct task *task = arg;

        ev_timer_stop(task->carrel->pool->loop, &task->patience);
        task_resume(task, why);
}

/* No agent connected: the engine runs the execs, unless an agent connected to an earlier carreld. */
static void on_no_patience(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct task *task = timer->data;
        struct fault why;
        int r = agent_listener_give_up(task->carrel->listener);

        (void)loop, (void)events;
        carrel_close_listener(task->carrel);
        if (r < 0)
                (void)fault_set(&why, FAULT_CARREL_LOST, -r, "the agent in the container does not connect any more: %s",
                                strerrordesc_np(-r));
        task_resume(task, r < 0 ? &why : NULL);
}

enum flow_verdict step_greet(struct flow *flow, void *subject)
{
        struct task *task = subject;
        struct carrel *carrel = task->carrel;
        struct pool *pool = carrel->pool;

        (void)flow;
        if (carrel->listener == NULL)
                return FLOW_NEXT;
        if (pool->options.agent == POOL_AGENT_OPTIONAL) {
                ev_timer_init(&task->patience, on_no_patience, PATIENCE_S, 0.0);
                task->patience.data = task;
                ev_timer_start(pool->loop, &task->patience);
        }
        return task_asked(task, agent_listener_greet(carrel->listener, carrel->id, carrel->pid,
                                                     pool->options.agent != POOL_AGENT_REQUIRED, on_greeted, task));
}

static void on_confirmed_again(void *arg, const struct netpolicy_link *link, const struct fault *why)
{
        struct task *task = arg;
        struct fault own = { 0 };

        task->net_call = NULL;
        if (why == NULL && (task->has_died || carrel_has_ended(task->carrel))) {
                (void)fault_set(&own, FAULT_CARREL_LOST, ESRCH, "the container ended during its start");
                why = &own;
        }
        task_resume(task, why);
}

enum flow_verdict step_confirm(struct flow *flow, void *subject)
{
        struct task *task = subject;

        return task_asked(task,
                          netpolicy_confirm(task->carrel->pool->netpolicy, on_confirmed_again, task, &task->net_call));
}
