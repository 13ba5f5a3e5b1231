#include "flow.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>

#include "clock.h"
#include "failpoint.h"

/* An *act* is one run or one undo. Only drive() starts acts, and only the loop calls drive(). flow_next, flow_fail and
 * flow_cancel settle the current act and request a turn. So no step runs inside another module's callback, done is
 * never called inside a caller's frame, and a table of any length needs the stack of one step. */
enum flow_state {
        STATE_RESTING, /* between two acts */
        STATE_ACTING,  /* inside the act's own frame */
        STATE_WAITING, /* the act answered WAIT; its deadline runs */
        STATE_SETTLED  /* the act's verdict is known and not yet processed */
};

struct flow {
        struct ev_loop *loop;
        const struct flow_plan *plan;
        void *subject;
        const struct flow_observer *observer;
        ev_timer turn;     /* zero delay: calls drive() */
        ev_timer deadline; /* active only in STATE_WAITING */
        enum flow_state state;
        enum flow_verdict verdict; /* of the current act; FLOW_WAIT while it is not known */
        size_t entered;            /* steps entered and not yet undone; the current one is the last of them */
        double began_s;
        bool has_failed; /* `why` is set: the next act is an undo */
        bool is_unwinding;
        bool is_driving; /* drive() is on the stack, so flow_free leaves the memory to it */
        bool is_free_deferred;
        struct fault why;     /* the first failure */
        struct fault act_why; /* the current act's */
};

static const struct step *current_step(const struct flow *flow)
{
        return &flow->plan->steps[flow->entered - 1];
}

static void record_failure(struct flow *flow, const struct fault *why)
{
        if (flow->has_failed)
                return;
        flow->has_failed = true;
        flow->why = *why;
}

static void release(struct flow *flow)
{
        ev_timer_stop(flow->loop, &flow->turn);
        ev_timer_stop(flow->loop, &flow->deadline);
        free(flow);
}

/* Ends the wait as failed. abandon comes last, because it may free the flow. */
static void end_wait(struct flow *flow)
{
        ev_timer_stop(flow->loop, &flow->deadline);
        flow->state = STATE_SETTLED;
        flow->verdict = FLOW_FAIL;
        ev_timer_start(flow->loop, &flow->turn);
        if (flow->plan->abandon != NULL)
                flow->plan->abandon(flow->subject);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct flow *flow = timer->data;
        const struct step *step = current_step(flow);

        (void)fault_set(&flow->act_why, FAULT_DEADLINE, ETIMEDOUT, "%s of step %s of %s did not end within %g s",
                        flow->is_unwinding ? "the undo" : "the run", step->name, flow->plan->name, step->deadline_s);
        end_wait(flow);
}

static void wait_for_resume(struct flow *flow)
{
        double deadline_s = current_step(flow)->deadline_s;

        flow->state = STATE_WAITING;
        flow->verdict = FLOW_WAIT;
        if (deadline_s <= 0)
                return;
        ev_now_update(flow->loop); /* the loop's cached time is from the beginning of this turn */
        ev_timer_set(&flow->deadline, deadline_s, 0.0);
        ev_timer_start(flow->loop, &flow->deadline);
}

/* The verdict of the failpoint for an act that would otherwise answer `verdict`. */
static enum flow_verdict pass_failpoint(struct flow *flow, const char *moment, enum flow_verdict verdict)
{
        const char *step = current_step(flow)->name;

        switch (failpoint_hit(flow->plan->name, step, moment)) {
        case FAILPOINT_ERROR:
                (void)fault_set(&flow->act_why, FAULT_INTERNAL, EIO, "failpoint %s.%s.%s", flow->plan->name, step,
                                moment);
                return FLOW_FAIL;
        case FAILPOINT_HANG:
                return FLOW_WAIT;
        case FAILPOINT_NONE:
        default:
                return verdict;
        }
}

static void act(struct flow *flow)
{
        const struct step *step = current_step(flow);
        flow_act function = flow->is_unwinding ? step->undo : step->run;
        enum flow_verdict answer;

        flow->state = STATE_ACTING;
        flow->verdict = FLOW_WAIT;
        flow->act_why = (struct fault){ 0 };
        flow->began_s = clock_boottime_s();
        answer = pass_failpoint(flow, flow->is_unwinding ? "undo" : "before", FLOW_NEXT);
        if (answer == FLOW_NEXT)
                answer = function(flow, flow->subject);
        if (answer != FLOW_WAIT)
                flow->verdict = answer; /* else flow_next or flow_fail may have set it inside the function */
        flow->state = STATE_SETTLED;
        if (flow->verdict != FLOW_WAIT || flow->is_free_deferred)
                return;
        if (flow->has_failed && !flow->is_unwinding) { /* the function called flow_cancel */
                flow->act_why = flow->why;
                end_wait(flow);
                return;
        }
        wait_for_resume(flow);
}

static void tell_observer(const struct flow *flow)
{
        const struct flow_observer *observer = flow->observer;
        const struct step *step = current_step(flow);
        double duration_s = clock_boottime_s() - flow->began_s;
        bool has_succeeded = flow->verdict == FLOW_NEXT;

        if (observer == NULL)
                return;
        if (!flow->is_unwinding && observer->on_step != NULL)
                observer->on_step(observer->arg, flow->plan->name, step->name, duration_s, has_succeeded);
        if (flow->is_unwinding && observer->on_undo != NULL)
                observer->on_undo(observer->arg, flow->plan->name, step->name, duration_s,
                                  has_succeeded ? NULL : &flow->act_why);
}

static void settle(struct flow *flow)
{
        if (flow->verdict == FLOW_NEXT && !flow->is_unwinding && !flow->has_failed) {
                flow->verdict = pass_failpoint(flow, "after", FLOW_NEXT);
                if (flow->verdict == FLOW_WAIT) {
                        wait_for_resume(flow);
                        return;
                }
        }
        if (flow->verdict == FLOW_FAIL && flow->act_why.kind == FAULT_NONE)
                (void)fault_set(&flow->act_why, FAULT_INTERNAL, EIO, "step %s of %s failed without a reason",
                                current_step(flow)->name, flow->plan->name);
        if (flow->verdict == FLOW_FAIL)
                record_failure(flow, &flow->act_why);
        tell_observer(flow);
        if (flow->is_unwinding)
                flow->entered--;
        flow->state = STATE_RESTING;
}

/* Chooses the next act. Returns false after the last one. */
static bool move_on(struct flow *flow)
{
        flow->is_unwinding = flow->has_failed;
        if (!flow->is_unwinding) {
                if (flow->plan->steps[flow->entered].name == NULL)
                        return false;
                flow->entered++;
                return true;
        }
        while (flow->entered > 0 && current_step(flow)->undo == NULL)
                flow->entered--;
        return flow->entered > 0;
}

static void end(struct flow *flow)
{
        if (flow->plan->done != NULL)
                flow->plan->done(flow->subject, flow->has_failed ? &flow->why : NULL);
        flow->is_free_deferred = true;
}

static void drive(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct flow *flow = timer->data;

        flow->is_driving = true;
        while (!flow->is_free_deferred && flow->state != STATE_WAITING) {
                if (flow->state == STATE_SETTLED)
                        settle(flow);
                else if (move_on(flow))
                        act(flow);
                else
                        end(flow);
        }
        flow->is_driving = false;
        ev_timer_stop(loop, &flow->turn); /* requests from inside this loop have been served */
        if (flow->is_free_deferred)
                release(flow);
}

int flow_start(struct flow **ret_flow, struct ev_loop *loop, const struct flow_plan *plan, void *subject,
               const struct flow_observer *observer)
{
        struct flow *flow = calloc(1, sizeof *flow);

        if (flow == NULL)
                return -ENOMEM;
        flow->loop = loop;
        flow->plan = plan;
        flow->subject = subject;
        flow->observer = observer;
        ev_timer_init(&flow->turn, drive, 0.0, 0.0);
        ev_timer_init(&flow->deadline, on_deadline, 0.0, 0.0);
        flow->turn.data = flow->deadline.data = flow;
        ev_timer_start(loop, &flow->turn);
        *ret_flow = flow;
        return 0;
}

/* Settles the awaited act, from the loop or from the act's own frame. False: no act was awaited. */
static bool resume(struct flow *flow, enum flow_verdict verdict)
{
        if (flow->verdict != FLOW_WAIT || (flow->state != STATE_WAITING && flow->state != STATE_ACTING))
                return false;
        flow->verdict = verdict;
        if (flow->state == STATE_ACTING)
                return true;
        ev_timer_stop(flow->loop, &flow->deadline);
        flow->state = STATE_SETTLED;
        ev_timer_start(flow->loop, &flow->turn);
        return true;
}

void flow_next(struct flow *flow)
{
        (void)resume(flow, FLOW_NEXT);
}

void flow_fail(struct flow *flow, const struct fault *why)
{
        if (resume(flow, FLOW_FAIL))
                flow->act_why = *why;
}

void flow_cancel(struct flow *flow, const struct fault *why)
{
        if (flow->has_failed)
                return;
        record_failure(flow, why);
        if (flow->state == STATE_WAITING) {
                flow->act_why = *why;
                end_wait(flow);
        }
}

struct fault *flow_why(struct flow *flow)
{
        return &flow->act_why;
}

bool flow_is_unwinding(const struct flow *flow)
{
        return flow->is_unwinding;
}

const char *flow_step_name(const struct flow *flow)
{
        return flow->entered > 0 ? current_step(flow)->name : "";
}

struct flow *flow_free(struct flow *flow)
{
        if (flow == NULL)
                return NULL;
        if (flow->is_driving)
                flow->is_free_deferred = true;
        else
                release(flow);
        return NULL;
}
