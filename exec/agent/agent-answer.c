/* The answer to the user at the end of an exec that an agent ran, and the release of everything the exec had. */
#include <stdlib.h>
#include <unistd.h>

#include "agent-exec.h"

/* ---- release ---- */

static void stop_everything(struct agent_exec *exec)
{
        struct ev_loop *loop = exec->base.execs->loop;

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

void agent_exec_leave(struct agent_exec *exec)
{
        exec->state = STATE_OVER;
        stop_everything(exec);
        exec_cgroup_close(&exec->cgroup); /* the group itself may stay until its container is removed */
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

/* ---- the answer ---- */

struct exec_end agent_exec_decide_end(const struct agent_exec *exec)
{
        struct exec_facts facts = {
                .is_timed_out = exec->is_timed_out,
                .is_exact = true,
                .signal = exec->exited.is_signal ? (int)exec->exited.value : 0,
                .exit_code = (int)(exec->exited.is_signal ? 128 + exec->exited.value : exec->exited.value),
                .has_oom_risen = exec->is_container_oom,
        };

        if (facts.exit_code != 0)
                exec_read_counters(&exec->base, &facts);
        return exec_decide_end(&facts);
}

void agent_exec_note_unread(struct agent_exec *exec)
{
        struct exec_output *outputs[] = { &exec->base.output, &exec->base.errors };

        for (int i = 0; i < 2; i++) {
                if (!agent_output_is_open(&exec->outputs[i]))
                        continue;
                exec->base.is_open |= agent_output_is_held(&exec->outputs[i]);
                outputs[i]->is_truncated |= !exec->is_drained || agent_output_has_more(&exec->outputs[i]);
        }
}

/* Processes in the background may still write. Without a reader SIGPIPE would end them, so the agent reads on. */
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

void agent_exec_answer(struct agent_exec *exec)
{
        struct exec_end end = agent_exec_decide_end(exec);

        agent_exec_note_unread(exec);
        hand_over(exec);
        stop_everything(exec);
        exec_report(&exec->base, &end);
        agent_channel_retire(exec->channel, &exec->cgroup);
        agent_exec_leave(exec);
}

void agent_exec_fail(struct agent_exec *exec, const struct fault *why)
{
        exec->state = STATE_OVER;
        stop_everything(exec);
        exec_report_fault(&exec->base, why);
        (void)exec_cgroup_remove(&exec->channel->cgroups, &exec->cgroup);
        agent_exec_leave(exec);
}

void agent_exec_answer_lost(struct agent_exec *exec, const struct exec_end *end)
{
        agent_exec_note_unread(exec);
        stop_everything(exec);
        exec_report(&exec->base, end);
        (void)exec_cgroup_remove(&exec->channel->cgroups, &exec->cgroup);
        agent_exec_leave(exec);
}
