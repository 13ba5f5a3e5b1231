#include "waiters.h"

#include <errno.h>
#include <stdlib.h>

#include "ensure.h"
#include "pool-inside.h"
#include "task.h"

/* Unlinks and frees it, and withdraws the carrel's queued start if this was its last waiter. */
static void wait_free(struct pool_wait *wait)
{
        struct carrel *carrel = wait->carrel;

        ev_timer_stop(wait->pool->loop, &wait->deadline);
        list_remove(&wait->node);
        wait->pool->n_waiters--;
        free(wait);
        if (carrel != NULL)
                ensure_unwanted(carrel);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct pool_wait *wait = timer->data;
        struct fault why = { 0 };

        if (wait->carrel == NULL)
                (void)fault_set(&why, FAULT_DEADLINE, ETIMEDOUT,
                                "no answer within %g s: the user's files are being copied",
                                wait->pool->options.ensure_timeout_s);
        else
                (void)fault_set(&why, FAULT_DEADLINE, ETIMEDOUT, "no answer within %g s; the carrel is %s%s%s",
                                wait->pool->options.ensure_timeout_s, carrel_state_name(wait->carrel->state),
                                wait->carrel->task != NULL ? ", step " : "", task_step(wait->carrel->task));
        why.retry_after_s = 1;
        wait_answer(wait, NULL, &why);
}

struct pool_wait *wait_new(const struct pool_wait *asked)
{
        struct pool_wait *wait = malloc(sizeof *wait);

        if (wait == NULL)
                return NULL;
        *wait = *asked;
        wait->carrel = NULL;
        list_init(&wait->node);
        ev_now_update(wait->pool->loop); /* the deadline counts from now, not from the loop's last turn */
        ev_timer_init(&wait->deadline, on_deadline, wait->pool->options.ensure_timeout_s, 0.0);
        wait->deadline.data = wait;
        ev_timer_start(wait->pool->loop, &wait->deadline);
        wait->pool->n_waiters++;
        return wait;
}

void wait_at(struct pool_wait *wait, struct carrel *carrel, struct list *list)
{
        list_append(list, &wait->node);
        wait->carrel = carrel;
}

void wait_answer(struct pool_wait *wait, const struct pool_ensured *ensured, const struct fault *why)
{
        struct pool_wait told = *wait;

        wait_free(wait);
        if (told.on_ensured != NULL)
                told.on_ensured(told.arg, ensured, why);
        else if (told.on_done != NULL)
                told.on_done(told.arg, why);
}

struct pool_wait *wait_pop(struct list *list)
{
        struct list *node = list_pop(list);
        struct pool_wait *wait;

        if (node == NULL)
                return NULL;
        wait = LIST_ENTRY(node, struct pool_wait, node);
        wait->carrel = NULL;
        return wait;
}

void wait_answer_all(struct list *list, const struct fault *why)
{
        for (struct pool_wait *wait = wait_pop(list); wait != NULL; wait = wait_pop(list))
                wait_answer(wait, NULL, why);
}

struct pool_wait *pool_leave(struct pool_wait *wait)
{
        if (wait != NULL)
                wait_free(wait);
        return NULL;
}
