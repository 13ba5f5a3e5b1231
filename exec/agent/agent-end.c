/* How an exec of the agent's ends: by itself, by force, or with its container. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent-exec.h"

static struct ev_loop *loop_of(const struct agent_exec *exec)
{
        return exec->base.execs->loop;
}

/* ---- the end ---- */

static void stop_everything(struct agent_exec *exec)
{
        struct ev_loop *loop = loop_of(exec);

        ev_timer_stop(loop, &exec->deadline);
        ev_timer_stop(loop, &exec->drain);
        ev_timer_stop(loop, &exec->retry);
        ev_timer_stop(loop, &exec->grace);
        agent_output_close(&exec->outputs[0]);
        agent_output_close(&exec->outputs[1]);
        agent_input_close(&exec->input);
}

void agent_exec_free(struct deferred_free *deferred_free)
{
        struct agent_exec *exec = LIST_ENTRY(deferred_free, struct agent_exec, deferred_free);

        exec_release(&exec->base);
        free(exec->working_dir);
        free(exec->spec);
        free(exec);
}

/* Out of every book; its memory goes at the loop's next turn, as a caller of ours may be inside it. */
void agent_exec_leave(struct agent_exec *exec)
{
        exec->is_over = true;
        stop_everything(exec);
        exec_cgroup_close(&exec->cgroup); /* the group may outlive it, with its container */
        exec_leave(&exec->base);
        if (!list_is_empty(&exec->waiting)) {
                list_remove(&exec->waiting);
                exec->channel->n_waiting--;
        }
        if (exec->is_counted)
                exec->channel->n_running--;
        exec->is_counted = false;
        agent_session_end(&exec->session);
        agents_defer_free(exec->channel->agents, &exec->deferred_free);
}

static struct exec_end decide_end(const struct agent_exec *exec, bool is_carrel_oom)
{
        struct exec_facts facts = {
                .is_timed_out = exec->is_timed_out,
                .is_exact = true,
                .signal = exec->exited.is_signal ? (int)exec->exited.value : 0,
                .exit_code = (int)(exec->exited.is_signal ? 128 + exec->exited.value : exec->exited.value),
                .has_oom_risen = is_carrel_oom,
        };

        if (facts.exit_code != 0)
                exec_read_counters(&exec->base, &facts);
        return exec_decide_end(&facts);
}

/* Before the streams are closed. */
static void note_unheard(struct agent_exec *exec)
{
        struct exec_output *outputs[] = { &exec->base.output, &exec->base.errors };

        for (int i = 0; i < 2; i++) {
                if (!agent_output_is_open(&exec->outputs[i]))
                        continue;
                exec->base.is_open |= agent_output_is_held(&exec->outputs[i]);
                outputs[i]->is_truncated |= !exec->is_drained || agent_output_has_more(&exec->outputs[i]);
        }
}

/* What the program has left in the background goes on writing, to nobody: without a reader it would die of it. */
static void hand_over(struct agent_exec *exec)
{
        int fds[2];
        size_t n_fds = 0;

        for (int i = 0; i < 2; i++) {
                if (!agent_output_is_held(&exec->outputs[i]))
                        continue;
                fds[n_fds] = agent_output_release(&exec->outputs[i]);
                n_fds += fds[n_fds] >= 0;
        }
        if (n_fds > 0)
                (void)agent_channel_give(exec->channel, exec->session.number, fds, n_fds);
        while (n_fds > 0)
                close(fds[--n_fds]);
}

static void answer(struct agent_exec *exec)
{
        struct exec_end end = decide_end(exec, false);

        exec->is_over = true; /* whatever the user does in his callback */
        note_unheard(exec);
        hand_over(exec);
        stop_everything(exec);
        exec_report(&exec->base, &end);
        agent_channel_retire(exec->channel, &exec->cgroup);
        agent_exec_leave(exec);
}

static void finish(struct agent_exec *exec)
{
        struct agent_channel *channel = exec->channel;

        answer(exec);
        agent_exec_let_next_in(channel);
}

/* The user is answered; what lives on takes the whole carrel along. */
static void give_up(struct agent_exec *exec)
{
        struct agent_channel *channel = exec->channel;

        answer(exec);
        agent_channel_break(channel, LEFT_UNKILLABLE);
}

void agent_exec_fail(struct agent_exec *exec, const struct fault *why)
{
        exec->is_over = true;
        stop_everything(exec);
        exec_report_fault(&exec->base, why);
        (void)exec_cgroup_remove(&exec->channel->cgroups, &exec->cgroup);
        agent_exec_leave(exec);
}

/* Started or not, what is in the socket by now is all that it will ever say. */
void agent_exec_lose(struct exec *base, bool is_oom)
{
        struct agent_exec *exec = (struct agent_exec *)base;
        const struct exec_facts lost = { .is_lost = true, .is_container_oom = is_oom };
        struct exec_end end;
        struct fault why;

        if (exec->is_over)
                return;
        if (!(exec->seen & SAW_STARTED)) {
                (void)fault_set(&why, FAULT_CARREL_LOST, ESRCH, "the carrel was lost before the program had started");
                agent_exec_fail(exec, &why);
                return;
        }
        /* One that had ended waits for its reader only. */
        end = exec->seen & SAW_EXITED ? decide_end(exec, is_oom) : exec_decide_end(&lost);
        exec->is_over = true;
        note_unheard(exec);
        stop_everything(exec);
        exec_report(base, &end);
        (void)exec_cgroup_remove(&exec->channel->cgroups, &exec->cgroup);
        agent_exec_leave(exec);
}

/* ---- output ---- */

bool agent_exec_is_owing(const struct agent_exec *exec)
{
        return exec->outputs[0].owed + exec->outputs[1].owed > 0;
}

/* Framed: its exit comes behind its output, which waited for a slow reader of ours until now. */
static void give_exit_time(struct agent_exec *exec)
{
        if ((exec->seen & SAW_GONE) && ev_is_active(&exec->grace))
                ev_timer_again(loop_of(exec), &exec->grace);
}

/* A child in the background may hold the streams open for as long as it likes; what the program itself wrote is in the
 * pipes when it has ended. A paused reader stops the clock, because then the quiet is ours. */
void agent_exec_start_drain(struct agent_exec *exec)
{
        if (!exec->base.is_paused && !ev_is_active(&exec->drain))
                ev_timer_again(loop_of(exec), &exec->drain);
}

static void on_drained(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct agent_exec *exec = timer->data;

        (void)events;
        ev_timer_stop(loop, timer);
        if (exec->is_dying) { /* all of it is dead, and its reader does not come */
                note_unheard(exec);
                for (int i = 0; i < 2; i++)
                        agent_output_close(&exec->outputs[i]);
        }
        exec->is_drained = true;
        give_exit_time(exec);
        agent_exec_check_end(exec);
}

/* It is dead, and its reader has so long to take what it said. */
static void await_reader(struct agent_exec *exec)
{
        if (ev_is_active(&exec->drain))
                return;
        exec->drain.repeat = exec->base.execs->timing.stall_s;
        ev_timer_again(loop_of(exec), &exec->drain);
}

/* ---- dying ---- */

static void send_signal(const struct agent_exec *exec, int signal)
{
        struct agents *agents = exec->channel->agents;

        if (exec->session.channel == NULL)
                return;
        agent_write_signal(&agents->out, exec->session.number, (uint32_t)signal);
        (void)agent_channel_send(exec->channel, NULL, 0);
}

int agent_exec_signal_all(const struct agent_exec *exec, int signal)
{
        if (exec->cgroup.directory >= 0 && (exec->seen & SAW_STARTED))
                return signal == SIGKILL ? (exec_cgroup_kill(&exec->channel->cgroups, &exec->cgroup), 1)
                                         : exec_cgroup_signal(&exec->channel->cgroups, &exec->cgroup, signal);
        send_signal(exec, signal);
        return 1;
}

static void start_retry(struct agent_exec *exec, double after_s)
{
        exec->retry.repeat = after_s;
        ev_timer_again(loop_of(exec), &exec->retry);
}

/* Whether the kernel says that nothing of it lives. Where there is no cgroup the agent's word is all there is. */
static bool is_gone(struct agent_exec *exec)
{
        if (exec->cgroup.name[0] != '\0')
                return exec_cgroup_remove(&exec->channel->cgroups, &exec->cgroup) == 0;
        return (exec->seen & (exec->channel->is_framed ? SAW_GONE : SAW_EXITED)) != 0;
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct agent_exec *exec = timer->data;
        const struct exec_timing *timing = &exec->base.execs->timing;
        double next_s = timer->repeat * 2;

        (void)loop, (void)events;
        start_retry(exec, next_s < timing->retry_max_s ? next_s : timing->retry_max_s);
        if (exec->is_killing) {
                if (exec->cgroup.directory >= 0)
                        exec_cgroup_kill(&exec->channel->cgroups, &exec->cgroup);
        }
        /* Its child may not have come as far as the cgroup. And a framed agent is asked whether all is gone. */
        if (exec->channel->is_framed || (exec->is_killing && !(exec->seen & SAW_EXITED)))
                send_signal(exec, exec->is_killing ? SIGKILL : 0);
        agent_exec_check_end(exec);
}

void agent_exec_look_again(struct agent_exec *exec)
{
        give_exit_time(exec);
        if (!ev_is_active(&exec->retry))
                start_retry(exec, exec->base.execs->timing.retry_first_s);
}

/* Frozen from outside: what is killed dies when it is thawed, and until then it can do nothing. The user is answered;
 * the carrel is not to blame. */
static void outwait(struct agent_exec *exec)
{
        static const char FROZEN[] =
                "the carrel is frozen from outside: what is left of the program dies as it is thawed";
        struct exec_end end = decide_end(exec, false);

        note_unheard(exec);
        exec->base.message = FROZEN;
        exec_report(&exec->base, &end);
        exec->base.is_paused = false;
        for (int i = 0; i < 2; i++)
                agent_output_pause(&exec->outputs[i], false);
}

static void on_grace(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct agent_exec *exec = timer->data;

        if (exec->is_killing && exec_cgroups_is_frozen(&exec->channel->cgroups)) {
                ev_timer_again(loop, timer);
                outwait(exec);
                return;
        }
        if (exec->is_killing) {
                if ((exec->seen & SAW_GONE) && exec->base.is_paused && !exec->is_drained)
                        await_reader(exec); /* framed: its exit comes behind its output */
                else
                        give_up(exec);
                return;
        }
        exec->is_killing = true;
        timer->repeat = exec->base.execs->timing.linger_s;
        ev_timer_again(loop, timer);
        exec->retry.repeat = exec->base.execs->timing.retry_first_s / 2;
        on_retry(loop, &exec->retry, events);
}

/* TERM; what lives after the grace is killed, again and again: a fork may slip through a pass, or join late. */
void agent_exec_die(struct agent_exec *exec)
{
        const struct exec_timing *timing = &exec->base.execs->timing;

        if (exec->is_dying || exec->is_over)
                return;
        exec->is_dying = true;
        exec->grace.repeat = timing->grace_s;
        ev_timer_again(loop_of(exec), &exec->grace);
        start_retry(exec, timing->retry_first_s);
        (void)agent_exec_signal_all(exec, SIGTERM);
}

void agent_exec_await_turn(struct agent_exec *exec, double wait_s)
{
        bool is_shorter = exec->timeout_s > 0 && (wait_s <= 0 || exec->timeout_s < wait_s);

        exec->deadline.repeat = is_shorter ? exec->timeout_s : wait_s;
        ev_timer_again(loop_of(exec), &exec->deadline);
}

/* Its own time over, it comes too late for its caller; else he may try again. */
static void end_wait(struct agent_exec *exec, double waited_s)
{
        struct fault why;

        if (waited_s == exec->timeout_s)
                (void)fault_set(&why, FAULT_DEADLINE, ETIMEDOUT,
                                "the program was not started in %g s: too many run in this carrel", waited_s);
        else
                (void)fault_set(&why, FAULT_QUEUE_FULL, ETIMEDOUT,
                                "the program waited for %g s (exec_wait_s) and was not started: too many run in this "
                                "carrel",
                                waited_s);
        agent_exec_fail(exec, &why);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct agent_exec *exec = timer->data;

        ev_timer_stop(loop, timer);
        if (exec->spec != NULL) {
                end_wait(exec, timer->repeat);
                return;
        }
        if (exec->seen & SAW_EXITED) { /* only its background still writes */
                on_drained(loop, &exec->drain, events);
                return;
        }
        exec->is_timed_out = true;
        agent_exec_die(exec);
        if (exec_cgroups_is_frozen(&exec->channel->cgroups))
                outwait(exec);
}

static bool has_open_output(const struct agent_exec *exec)
{
        return agent_output_is_open(&exec->outputs[0]) || agent_output_is_open(&exec->outputs[1]);
}

/* Nothing of it lives any more: what is in the pipes is all that it has said. Somebody else may hold their other ends,
 * who was handed them, so that they are emptied once and not until they are empty. */
static void finish_dead(struct agent_exec *exec)
{
        ev_timer_stop(loop_of(exec), &exec->retry);
        ev_timer_stop(loop_of(exec), &exec->grace);
        for (int i = 0; i < 2 && !exec->base.is_silent && !exec->is_over && !exec->base.is_paused; i++)
                (void)agent_output_read(&exec->outputs[i]);
        if (exec->is_over)
                return;
        if (exec->base.is_paused && has_open_output(exec)) {
                /* Its reader is slow; agent_exec_look_again or the end of what it pulls leads here again. */
                for (int i = 0; i < 2 && exec->base.is_pulled; i++)
                        agent_output_owe(&exec->outputs[i], true);
                await_reader(exec);
                return;
        }
        exec->is_drained = true;
        finish(exec);
}

/* Refused processes, and gave up, but what it forked goes on and would be refused nothing: a bomb is no background. */
static bool has_left_a_bomb(struct agent_exec *exec)
{
        return exec->cgroup.name[0] != '\0' && decide_end(exec, false).cause == EXEC_PIDS && !is_gone(exec);
}

static void purge(struct agent_exec *exec)
{
        exec->is_dying = exec->is_killing = true;
        exec->grace.repeat = exec->base.execs->timing.linger_s;
        ev_timer_again(loop_of(exec), &exec->grace);
        start_retry(exec, exec->base.execs->timing.retry_first_s);
        exec_cgroup_kill(&exec->channel->cgroups, &exec->cgroup);
}

/* Looks whether this is the end. */
void agent_exec_check_end(struct agent_exec *exec)
{
        bool is_heard_out = exec->is_drained || exec->base.is_silent || !has_open_output(exec);

        if (exec->is_over || !(exec->seen & SAW_EXITED))
                return;
        if (!exec->is_dying && is_heard_out && has_left_a_bomb(exec))
                purge(exec);
        if (exec->is_dying) {
                if (is_gone(exec))
                        finish_dead(exec);
        } else if (is_heard_out) {
                finish(exec);
        }
}

/* ---- timers ---- */

static void init_timer(struct agent_exec *exec, ev_timer *timer, void (*on_time)(struct ev_loop *, ev_timer *, int),
                       double repeat_s)
{
        ev_init(timer, on_time);
        timer->repeat = repeat_s;
        timer->data = exec;
}

void agent_exec_init_timers(struct agent_exec *exec)
{
        const struct exec_timing *timing = &exec->base.execs->timing;
        double drain_s = exec->base.drain_s;

        /* What is in a terminal when its program ends is carried by the agent, and that takes it a moment. */
        if ((exec->flags & AGENT_START_TTY) && drain_s < timing->arrive_s)
                drain_s = timing->arrive_s;
        init_timer(exec, &exec->deadline, on_deadline, exec->timeout_s);
        init_timer(exec, &exec->drain, on_drained, drain_s);
        init_timer(exec, &exec->retry, on_retry, timing->retry_first_s);
        init_timer(exec, &exec->grace, on_grace, timing->grace_s);
}
