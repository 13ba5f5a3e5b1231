#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci-engine.h"
#include "scope.h"

static void detach(struct oci_call *call)
{
        ev_timer_stop(call->oci->loop, &call->timer);
        call->child = child_cancel(call->child);
        list_remove(&call->node);
}

void oci_call_free(struct oci_call *call)
{
        if (call == NULL)
                return;
        detach(call);
        if (call->free_extra != NULL)
                call->free_extra(call);
        if (call->container != NULL)
                call->container->n_calls--;
        if (call->log_fd >= 0)
                close(call->log_fd);
        free(call->infos); /* the labels belong to the containers */
        free(call);
}

/* Kills a runtime that runs; a later remove clears what it has made so far. */
static void cancel(struct engine_call *base)
{
        struct oci_call *call = (struct oci_call *)base;

        detach(call);
        if (call->is_busy)
                call->is_cancelled = true;
        else
                oci_call_free(call);
}

static void pause_output(struct engine_call *base, bool is_paused)
{
        struct oci_call *call = (struct oci_call *)base;

        if (call->child != NULL)
                child_pause(call->child, is_paused);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct oci_call *call = timer->data;

        call->on_timer(call);
}

int oci_call_new(struct oci_call **ret_call, struct oci *oci, const char *what, engine_done done, void *arg)
{
        struct oci_call *call = calloc(1, sizeof *call);

        if (call == NULL)
                return -ENOMEM;
        call->base.cancel = cancel;
        call->base.pause = pause_output;
        call->oci = oci;
        call->what = what;
        call->done = done;
        call->arg = arg;
        call->log_fd = -1;
        call->deadline_at = ev_now(oci->loop) + ENGINE_DEADLINE_S;
        ev_init(&call->timer, on_timer);
        call->timer.data = call;
        list_append(&oci->calls, &call->node);
        *ret_call = call;
        return 0;
}

void oci_call_hold(struct oci_call *call, struct oci_container *container)
{
        call->container = container;
        container->n_calls++;
}

/* Unlinks the call before it calls done. */
void oci_call_answer_now(struct oci_call *call)
{
        detach(call);
        call->is_busy = true; /* a cancel inside done must not free the call twice */
        if (call->container != NULL) {
                call->container->n_calls--;
                call->container = NULL;
        }
        if (call->why.kind == FAULT_NONE)
                call->done(call->arg, &call->reply, NULL);
        else
                call->done(call->arg, NULL, &call->why);
        oci_call_free(call);
}

void oci_call_answer(struct oci_call *call)
{
        oci_call_later(call, oci_call_answer_now, 0.0);
}

void oci_call_later(struct oci_call *call, oci_act act, double delay_s)
{
        call->on_timer = act;
        ev_timer_stop(call->oci->loop, &call->timer);
        ev_timer_set(&call->timer, delay_s, 0.0);
        ev_timer_start(call->oci->loop, &call->timer);
}

void oci_call_enter(struct oci_call *call)
{
        call->is_busy = true;
}

bool oci_call_leave(struct oci_call *call)
{
        call->is_busy = false;
        if (!call->is_cancelled)
                return true;
        oci_call_free(call);
        return false;
}
