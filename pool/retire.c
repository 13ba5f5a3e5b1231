#include "retire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "ensure.h"
#include "freeze.h"
#include "hold.h"
#include "pool-inside.h"
#include "task.h"
#include "user-id.h"
#include "waiters.h"

static enum flow_verdict quiesce(struct flow *flow, void *subject)
{
        const struct task *task = subject;
        struct carrel *carrel = task->carrel;

        execs_container_lost(carrel->pool->execs, carrel->id, false);
        carrel_close_listener(carrel);
        return FLOW_NEXT;
}

static void on_removed(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct task *task = arg;

        task->call = NULL;
        task_resume(task, why);
}

static enum flow_verdict remove_container(struct flow *flow, void *subject)
{
        struct task *task = subject;
        struct engine *engine = task->carrel->pool->engine;

        return task_asked(task, engine->ops->remove(engine, task->carrel->id, on_removed, task, &task->call));
}

/* The steps have no undo: after a failure the carrel is LOST, and the next ensure or sweep clears it. */
static const struct step STEPS[] = {
        { "quiesce", quiesce, NULL, 0 },
        { "remove", remove_container, NULL, 20.0 },
        { 0 },
};

/* Settles the state before any callback: a callback may make any request. */
static void on_retire_done(void *subject, const struct fault *why)
{
        struct task *task = subject;
        struct carrel *carrel = task->carrel;
        struct pool *pool = carrel->pool;
        double duration_s = clock_boottime_s() - task->began_s;
        char reason[CARREL_REASON_BYTES];
        struct list ensures;
        struct list retirers;

        list_init(&ensures);
        list_init(&retirers);
        list_move_all(&carrel->waiters, &ensures);
        list_move_all(&carrel->retirers, &retirers);
        memcpy(reason, task->reason, sizeof reason);
        task->flow = NULL; /* it frees itself */
        task_free(task);
        if (why == NULL) {
                pool_forget_carrel(pool, carrel);
        } else {
                table_set_state(&pool->table, carrel, CARREL_LOST);
                carrel_set_reason(carrel, "could not be removed");
                carrel_set_fault(carrel, why);
        }
        pool_tell(pool, why == NULL ? POOL_RETIRED : POOL_RETIRE_FAILED, carrel, why == NULL ? reason : why->message,
                  duration_s);
        wait_answer_all(&retirers, why);
        ensure_reconsider(&ensures);
}

static const struct flow_plan RETIRE = { "retire", STEPS, task_abandon, on_retire_done };

/* Starts the flow of a READY, FROZEN, WARM or LOST carrel without a task. */
static int begin(struct carrel *carrel, const char *reason, struct fault *why)
{
        struct pool *pool = carrel->pool;
        struct task *task = task_new(carrel);
        int r = task != NULL ? flow_start(&task->flow, pool->loop, &RETIRE, task, pool->observer) : -ENOMEM;

        if (r < 0) {
                task_free(task);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot retire a carrel: out of memory");
        }
        (void)snprintf(task->reason, sizeof task->reason, "%s", reason);
        freeze_lift(carrel);
        carrel_drop_process(carrel);
        table_set_state(&pool->table, carrel, CARREL_RETIRING);
        carrel_set_reason(carrel, reason);
        return 0;
}

void retire_carrel(struct carrel *carrel, const char *reason)
{
        struct fault why;

        (void)begin(carrel, reason, &why);
}

void retire_after_start(struct carrel *carrel, bool is_unclean)
{
        struct fault why = { 0 };
        struct list retirers;

        list_init(&retirers);
        if (carrel->state == CARREL_STARTING) { /* it has failed, and left no container to retire */
                list_move_all(&carrel->retirers, &retirers);
                pool_forget_carrel(carrel->pool, carrel);
                if (is_unclean)
                        (void)fault_set(&why, FAULT_ENGINE_UNAVAILABLE, EAGAIN,
                                        "the engine did not confirm the removal; the next sweep repeats it");
        } else if (!list_is_empty(&carrel->retirers) && begin(carrel, "requested during its start", &why) < 0) {
                list_move_all(&carrel->retirers, &retirers);
        }
        wait_answer_all(&retirers, why.kind != FAULT_NONE ? &why : NULL);
}

/* ---- the way in ---- */

/* Withdraws a queued start and returns its waiters. */
static void withdraw(struct carrel *carrel, struct list *ret_waits)
{
        list_move_all(&carrel->waiters, ret_waits);
        ensure_withdraw(carrel);
}

static int interrupt(struct carrel *carrel, const char *reason, struct list *ret_sent_away, struct fault *why)
{
        struct fault cancelled = { 0 };

        (void)fault_set(&cancelled, FAULT_CANCELLED, ECANCELED, "the carrel was retired: %s", reason);
        if (carrel->state == CARREL_QUEUED)
                withdraw(carrel, ret_sent_away);
        if (carrel->is_free_deferred || carrel->state == CARREL_RETIRING)
                return 0;
        if (carrel->state != CARREL_STARTING && carrel->task == NULL)
                return begin(carrel, reason, why);
        flow_cancel(carrel->task->flow, &cancelled);
        return 0;
}

static int retire(struct pool *pool, struct pool_wait *wait, const char *reason, struct fault *why)
{
        struct carrel *carrel = table_find(&pool->table, wait->user);
        struct fault cancelled = { 0 };
        struct list sent_away;
        int r;

        if (pool->is_closing)
                return fault_set(why, FAULT_CANCELLED, ECANCELED, "carreld is being stopped");
        if (carrel == NULL)
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "the user has no carrel");
        r = hold_check(pool, wait->user, why); /* a removal thaws */
        if (r < 0)
                return r;
        list_init(&sent_away);
        r = interrupt(carrel, reason, &sent_away, why);
        if (r == 0 && !carrel->is_free_deferred)
                wait_at(wait, carrel, &carrel->retirers);
        (void)fault_set(&cancelled, FAULT_CANCELLED, ECANCELED, "the carrel was retired: %s", reason);
        wait_answer_all(&sent_away, &cancelled);
        return r;
}

void pool_retire(struct pool *pool, const char *user, const char *reason, pool_on_done on_done, void *arg,
                 struct pool_wait **ret_wait)
{
        struct pool_wait asked = { .pool = pool, .on_done = on_done, .arg = arg };
        struct pool_wait *wait = NULL;
        struct fault why = { 0 };
        int r = user_id_check(user, strnlen(user, USER_ID_MAX + 1), &why);

        if (ret_wait != NULL)
                *ret_wait = NULL;
        if (r == 0) {
                memcpy(asked.user, user, strlen(user) + 1);
                wait = wait_new(&asked);
                r = wait != NULL ? retire(pool, wait, reason, &why)
                                 : fault_set(&why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        }
        if (wait != NULL && wait->carrel != NULL) {
                if (ret_wait != NULL)
                        *ret_wait = wait;
                return;
        }
        pool_leave(wait);
        if (on_done != NULL)
                on_done(arg, r < 0 ? &why : NULL);
}
