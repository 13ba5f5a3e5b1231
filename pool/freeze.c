#include "freeze.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "ensure.h"
#include "freezer.h"
#include "hold.h"
#include "pool-inside.h"
#include "reclaim.h"
#include "retire.h"
#include "spec.h"
#include "task.h"
#include "user-id.h"
#include "waiters.h"

/* A group that is not frozen or thawed yet is looked at in each of the loop's next turns, because the shortest time of
 * the loop is a millisecond, and then after each LOOK_S. */
#define LOOK_S 0.001
enum { HASTY_LOOKS = 32 };

static const struct freezer *freezer_of(const struct carrel *carrel)
{
        return execs_freezer(carrel->pool->execs, carrel->id);
}

void freeze_lift(const struct carrel *carrel)
{
        const struct freezer *freezer = freezer_of(carrel);

        if (freezer != NULL && (carrel->state == CARREL_FROZEN || freezer_is_frozen(freezer)))
                (void)freezer_set(freezer, false);
}

bool freeze_is_thawing(const struct carrel *carrel)
{
        return carrel->task != NULL && carrel->task->is_thawing;
}

/* ---- waiting for the kernel ---- */

/* Without a freezer the container ends, and the flow with it. */
static bool is_settled(const struct task *task)
{
        const struct freezer *freezer = freezer_of(task->carrel);

        return freezer != NULL && freezer_is_frozen(freezer) == !task->is_thawing;
}

static void look_again(struct task *task);

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct task *task = timer->data;

        (void)loop, (void)events;
        if (is_settled(task))
                flow_next(task->flow);
        else
                look_again(task);
}

static void look_again(struct task *task)
{
        struct ev_loop *loop = task->carrel->pool->loop;

        ev_timer_stop(loop, &task->look);
        ev_set_cb(&task->look, on_look);
        ev_timer_set(&task->look, task->n_looks++ < HASTY_LOOKS ? 0.0 : LOOK_S, 0.0);
        ev_timer_start(loop, &task->look);
}

static enum flow_verdict set_and_settle(struct flow *flow, struct task *task)
{
        const struct freezer *freezer = freezer_of(task->carrel);
        int r = freezer != NULL ? freezer_set(freezer, !task->is_thawing) : -ENODEV;

        if (r < 0) {
                (void)fault_set(flow_why(flow), FAULT_INTERNAL, -r, "cannot %s the carrel's control group: %s",
                                task->is_thawing ? "thaw" : "freeze", strerrordesc_np(-r));
                return FLOW_FAIL;
        }
        if (is_settled(task))
                return FLOW_NEXT;
        look_again(task);
        return FLOW_WAIT;
}

/* ---- FREEZE ---- */

static enum flow_verdict step_freeze(struct flow *flow, void *subject)
{
        return set_and_settle(flow, subject);
}

static enum flow_verdict undo_freeze(struct flow *flow, void *subject)
{
        (void)flow;
        freeze_lift(((struct task *)subject)->carrel);
        return FLOW_NEXT;
}

/* A process that waits for a disk, or that is traced, freezes late or never. Ensures wait as long. */
static const struct step FREEZE_STEPS[] = {
        { "freeze", step_freeze, undo_freeze, 0.25 },
        { 0 },
};

static int begin_thaw(struct carrel *carrel, const char *reason, bool is_from_outside, struct fault *why);

/* Its container ended, or it is to be removed, while the flow ran. Returns whether that is so: the requests for it must
 * be judged again. */
static bool settle_end(struct carrel *carrel, bool has_died)
{
        bool is_retired = !list_is_empty(&carrel->retirers);

        if (has_died)
                pool_carrel_lost(carrel, "its container ended while it was frozen", false);
        if (is_retired)
                retire_after_start(carrel, false);
        return has_died || is_retired;
}

/* Whatever a freeze that failed has left is thawed by THAW, which waits for it. */
static void on_freeze_done(void *subject, const struct fault *why)
{
        struct task *task = subject;
        struct carrel *carrel = task->carrel;
        struct pool *pool = carrel->pool;
        double duration_s = clock_boottime_s() - task->began_s;
        bool is_over, has_died = task->has_died;
        char reason[CARREL_REASON_BYTES];
        bool is_wanted;
        struct fault own = { 0 };
        struct list freezers, thawers, waits;

        list_init(&freezers);
        list_init(&thawers);
        list_init(&waits);
        list_move_all(&carrel->freezers, &freezers);
        memcpy(reason, task->reason, sizeof reason);
        task->flow = NULL; /* it frees itself */
        task_free(task);
        carrel_set_reason(carrel, "is frozen: the next ensure thaws it");
        carrel->has_refused_freeze = why != NULL;
        is_wanted = why != NULL || !list_is_empty(&carrel->waiters) || !list_is_empty(&carrel->thawers);
        is_over = settle_end(carrel, has_died);
        if (is_over)
                (void)fault_set(&own, FAULT_CARREL_LOST, ESRCH, "the carrel has ended, or is being removed");
        if (is_over || (is_wanted && begin_thaw(carrel, why != NULL ? "freeze_failed" : "ensure", false, &own) < 0)) {
                list_move_all(&carrel->waiters, &waits);
                list_move_all(&carrel->thawers, &thawers);
        }
        pool_tell(pool, why == NULL ? POOL_FROZEN : POOL_FREEZE_FAILED, carrel, why == NULL ? reason : why->message,
                  duration_s);
        wait_answer_all(&freezers, why);
        wait_answer_all(&thawers, &own);
        if (is_over)
                ensure_reconsider(&waits);
        else
                wait_answer_all(&waits, &own);
}

static const struct flow_plan FREEZE = { "freeze", FREEZE_STEPS, task_abandon, on_freeze_done };

static int begin_freeze(struct carrel *carrel, const char *reason, struct fault *why)
{
        struct pool *pool = carrel->pool;
        struct task *task = task_new(carrel);
        int r = task != NULL ? flow_start(&task->flow, pool->loop, &FREEZE, task, pool->observer) : -ENOMEM;

        if (r < 0) {
                task_free(task);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot freeze a carrel: out of memory");
        }
        task->spec = carrel->spec;
        (void)snprintf(task->reason, sizeof task->reason, "%s", reason);
        carrel->is_reclaimed = false;
        table_set_state(&pool->table, carrel, CARREL_FROZEN);
        carrel_set_reason(carrel, "is being frozen");
        return 0;
}

/* ---- THAW ---- */

static void on_inspected(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct task *task = arg;

        task->call = NULL;
        task->is_paused = why == NULL && reply->n_containers == 1 && reply->containers[0].status == CONTAINER_PAUSED;
        task_resume(task, why);
}

/* Asks whether the engine has paused it. Otherwise somebody wrote to the cgroup's file. */
static enum flow_verdict step_inspect(struct flow *flow, void *subject)
{
        struct task *task = subject;
        struct engine *engine = task->carrel->pool->engine;

        (void)flow;
        if (!task->is_from_outside)
                return FLOW_NEXT;
        return task_asked(task, engine->ops->inspect(engine, task->carrel->id, on_inspected, task, &task->call));
}

static void on_unpaused(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct task *task = arg;

        (void)reply;
        task->call = NULL;
        task_resume(task, why);
}

enum flow_verdict step_unpause(struct flow *flow, void *subject)
{
        struct task *task = subject;
        struct engine *engine = task->carrel->pool->engine;

        (void)flow;
        if (!task->is_paused)
                return FLOW_NEXT;
        return task_asked(task, engine->ops->pause(engine, task->carrel->id, false, on_unpaused, task, &task->call));
}

static enum flow_verdict step_thaw(struct flow *flow, void *subject)
{
        return set_and_settle(flow, subject);
}

static const struct step THAW_STEPS[] = {
        { "inspect", step_inspect, NULL, 10.0 },
        { "unpause", step_unpause, NULL, 10.0 },
        { "thaw", step_thaw, NULL, 1.0 },
        { 0 },
};

/* The kernel keeps a group frozen as long as a group above it is. */
static void name_ancestor(struct fault *why)
{
        if (why->kind == FAULT_DEADLINE)
                (void)fault_set(why, FAULT_CARREL_FROZEN, EBUSY,
                                "the carrel does not thaw: a control group above its own is frozen from outside");
}

static void on_thaw_done(void *subject, const struct fault *fault)
{
        struct task *task = subject;
        struct carrel *carrel = task->carrel;
        struct pool *pool = carrel->pool;
        double duration_s = clock_boottime_s() - task->began_s;
        bool is_over, is_use, has_died = task->has_died;
        struct fault own = fault != NULL ? *fault : (struct fault){ 0 };
        const struct fault *why = fault != NULL ? &own : NULL;
        char reason[CARREL_REASON_BYTES];
        struct list thawers, waits;

        list_init(&thawers);
        list_init(&waits);
        list_move_all(&carrel->thawers, &thawers);
        list_move_all(&carrel->waiters, &waits);
        is_use = !carrel->has_refused_freeze || !list_is_empty(&thawers) || !list_is_empty(&waits);
        memcpy(reason, task->reason, sizeof reason);
        task->flow = NULL; /* it frees itself */
        task_free(task);
        if (why == NULL) {
                table_set_state(&pool->table, carrel, CARREL_READY);
                carrel_set_reason(carrel, "is running");
                if (is_use) /* else it has only failed to freeze, and stays idle */
                        carrel_touch(carrel);
        } else {
                name_ancestor(&own);
                carrel_set_reason(carrel, "is frozen, and could not be thawed");
                carrel_set_fault(carrel, why);
        }
        is_over = settle_end(carrel, has_died);
        if (why == NULL)
                pool_tell(pool, POOL_THAWED, carrel, reason, duration_s);
        wait_answer_all(&thawers, why);
        if (is_over)
                ensure_reconsider(&waits);
        else
                ensure_hand_out(carrel, &waits, OUTCOME_RESUMED, NULL, why);
}

static const struct flow_plan THAW = { "thaw", THAW_STEPS, task_abandon, on_thaw_done };

/* Of the requests that wait, it answers those of this spec. */
static int begin_thaw(struct carrel *carrel, const char *reason, bool is_from_outside, struct fault *why)
{
        struct pool *pool = carrel->pool;
        struct task *task = task_new(carrel);
        int r = task != NULL ? flow_start(&task->flow, pool->loop, &THAW, task, pool->observer) : -ENOMEM;

        if (r < 0) {
                task_free(task);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot thaw a carrel: out of memory");
        }
        reclaim_cancel(carrel);
        task->spec = carrel->spec;
        task->is_thawing = true;
        task->is_from_outside = is_from_outside;
        (void)snprintf(task->reason, sizeof task->reason, "%s", reason);
        table_set_state(&pool->table, carrel, CARREL_FROZEN);
        carrel_set_reason(carrel, "is being thawed");
        LIST_EACH (&carrel->waiters, node) {
                struct pool_wait *wait = LIST_ENTRY(node, struct pool_wait, node);

                wait->is_with_task = spec_matches(&wait->spec, &carrel->spec); /* the others are judged again */
        }
        return 0;
}

int freeze_resume(struct carrel *carrel, struct fault *why)
{
        return begin_thaw(carrel, "ensure", false, why);
}

/* ---- the ways in ---- */

static int refuse_busy(struct fault *why, const struct carrel *carrel)
{
        int64_t lease_left_ms = carrel->lease_until_ms - clock_boottime_ms();
        unsigned n_ending = execs_count(carrel->pool->execs, carrel->id);

        if (carrel->state != CARREL_READY)
                return fault_set(why, FAULT_CARREL_BUSY, EBUSY, "the carrel is %s", carrel_state_name(carrel->state));
        if (carrel->n_execs > 0)
                return fault_set(why, FAULT_CARREL_BUSY, EBUSY, "%u program%s or file operation%s in the carrel",
                                 carrel->n_execs, carrel->n_execs == 1 ? "" : "s",
                                 carrel->n_execs == 1 ? " runs" : "s run");
        if (n_ending > 0)
                return fault_set(why, FAULT_CARREL_BUSY, EBUSY, "cancelled programs are ending in the carrel");
        if (lease_left_ms > 0)
                return fault_set(why, FAULT_CARREL_BUSY, EBUSY, "the carrel is leased for another %" PRId64 " s",
                                 lease_left_ms / 1000 + 1);
        if (freezer_of(carrel) == NULL)
                return fault_set(why, FAULT_REQUEST_INVALID, EOPNOTSUPP,
                                 "this carrel cannot be frozen: its runtime has a kernel of its own, or the host has "
                                 "no freezer");
        if (freezer_is_frozen(freezer_of(carrel)))
                return fault_set(why, FAULT_CARREL_FROZEN, EBUSY, CARREL_FROZEN_OUTSIDE);
        return 0;
}

/* 0: *ret_list is where to wait, or NULL if it is frozen already. */
static int enter_freeze(struct carrel *carrel, const char *reason, struct list **ret_list, struct fault *why)
{
        int r;

        *ret_list = NULL;
        if (carrel->state == CARREL_FROZEN && carrel->task == NULL)
                return 0;
        *ret_list = &carrel->freezers;
        if (carrel->state == CARREL_FROZEN && !carrel->task->is_thawing)
                return 0;
        r = refuse_busy(why, carrel);
        return r < 0 ? r : begin_freeze(carrel, reason, why);
}

static int enter_thaw(struct carrel *carrel, struct list **ret_list, struct fault *why)
{
        bool is_outside = carrel->state == CARREL_READY && execs_is_frozen(carrel->pool->execs, carrel->id);

        *ret_list = NULL;
        if (carrel->state == CARREL_READY && !is_outside)
                return 0;
        if (carrel->state != CARREL_READY && carrel->state != CARREL_FROZEN)
                return fault_set(why, FAULT_CARREL_BUSY, EBUSY, "the carrel is %s", carrel_state_name(carrel->state));
        *ret_list = &carrel->thawers;
        return carrel->task != NULL ? 0 : begin_thaw(carrel, "asked", true, why);
}

static struct carrel *find(struct pool *pool, const char *user, struct fault *why)
{
        struct carrel *carrel = NULL;

        if (user_id_check(user, strnlen(user, USER_ID_MAX + 1), why) < 0)
                return NULL;
        if (pool->is_closing)
                (void)fault_set(why, FAULT_CANCELLED, ECANCELED, "carreld is being stopped");
        else if ((carrel = table_find(&pool->table, user)) == NULL)
                (void)fault_set(why, FAULT_NOT_FOUND, ENOENT, "the user has no carrel");
        return carrel;
}

/* reason NULL: thaws. */
static void enter(struct pool *pool, const char *user, const char *reason, pool_on_done on_done, void *arg,
                  struct pool_wait **ret_wait)
{
        struct pool_wait asked = { .pool = pool, .on_done = on_done, .arg = arg };
        struct fault why = { 0 };
        struct carrel *carrel = find(pool, user, &why);
        struct pool_wait *wait = carrel != NULL ? wait_new(&asked) : NULL;
        struct list *list = NULL;
        int r = -ENOENT;

        if (ret_wait != NULL)
                *ret_wait = NULL;
        if (wait != NULL)
                r = reason != NULL                              ? enter_freeze(carrel, reason, &list, &why)
                    : hold_check(pool, carrel->user, &why) == 0 ? enter_thaw(carrel, &list, &why)
                                                                : -EBUSY;
        else if (carrel != NULL)
                r = fault_set(&why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        if (r == 0 && list != NULL) {
                memcpy(wait->user, carrel->user, sizeof wait->user);
                wait_at(wait, carrel, list);
                if (ret_wait != NULL)
                        *ret_wait = wait;
                return;
        }
        pool_leave(wait);
        if (on_done != NULL)
                on_done(arg, r < 0 ? &why : NULL);
}

void pool_freeze(struct pool *pool, const char *user, const char *reason, pool_on_done on_done, void *arg,
                 struct pool_wait **ret_wait)
{
        enter(pool, user, reason, on_done, arg, ret_wait);
}

void pool_thaw(struct pool *pool, const char *user, pool_on_done on_done, void *arg, struct pool_wait **ret_wait)
{
        enter(pool, user, NULL, on_done, arg, ret_wait);
}
