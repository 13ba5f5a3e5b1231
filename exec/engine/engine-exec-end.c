#include "engine-exec-end.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "exec-cause.h"

/* Nothing is heard of the program any more; what kills goes on. */
static void stop_hearing(struct engine_exec *exec)
{
        struct ev_loop *loop = exec->base.execs->loop;

        ev_timer_stop(loop, &exec->deadline);
        ev_timer_stop(loop, &exec->drain);
        exec->call = engine_cancel(exec->call);
        exec->inquiry = engine_cancel(exec->inquiry);
}

static void detach(struct engine_exec *exec)
{
        exec_leave(&exec->base);
        stop_hearing(exec);
        ev_timer_stop(exec->base.execs->loop, &exec->retry);
        ev_timer_stop(exec->base.execs->loop, &exec->grace);
}

void exec_end_dispose(struct engine_exec *exec)
{
        exec_release(&exec->base);
        free(exec);
}

static struct exec_end decide_end(const struct engine_exec *exec)
{
        struct exec_facts facts = {
                .is_timed_out = exec->is_timed_out && (exec->has_killed || !(exec->seen & SAW_EXIT)),
                .exit_code = exec->exit_code,
        };

        if (exec->exit_code != 0)
                exec_read_counters(&exec->base, &facts);
        return exec_decide_end(&facts);
}

/* A broken answer whose program we then had to kill, or never heard of again, has no result to tell. */
static bool has_no_result(const struct engine_exec *exec)
{
        return exec->has_broken && !exec->is_timed_out && (exec->has_killed || !(exec->seen & SAW_EXIT));
}

void exec_end_report(struct engine_exec *exec)
{
        struct exec_end end;

        if (has_no_result(exec)) {
                exec_report_fault(&exec->base, &exec->broken);
                return;
        }
        if (!(exec->seen & SAW_END_OF_OUTPUT))
                exec->base.output.is_truncated = exec->base.errors.is_truncated = true;
        end = decide_end(exec);
        exec_report(&exec->base, &end);
}

/* Kills once more. The first process may be gone while others that no pass has seen yet go on forking. */
static bool has_survivors(const struct engine_exec *exec)
{
        int killed;

        if (!exec->is_dying || !exec->base.has_cgroup || (exec->tree.root == 0 && !exec->tree.is_alone))
                return false;
        killed = process_tree_kill(&exec->tree);
        return killed != 0 && killed != -ENOENT;
}

/* The user is answered; the retries kill on, and come back here, for as long as the linger. */
static void outlive(struct engine_exec *exec)
{
        stop_hearing(exec);
        if (exec->is_outlived)
                return;
        exec->is_outlived = true;
        exec->grace.repeat = exec->base.execs->timing.linger_s;
        ev_timer_again(exec->base.execs->loop, &exec->grace);
        exec_end_report(exec);
}

void exec_end_now(struct engine_exec *exec)
{
        detach(exec);
        exec_end_report(exec);
        exec_end_dispose(exec);
}

void exec_end_finish(struct engine_exec *exec)
{
        if (has_survivors(exec))
                outlive(exec);
        else
                exec_end_now(exec);
}

/* The kernel's word counts where it can be had; the engine's where the host does not see the program as a process. */
static bool is_left_behind(const struct engine_exec *exec)
{
        if (has_survivors(exec))
                return true;
        return !(exec->seen & SAW_EXIT) && (!exec->base.has_cgroup || exec->tree.root == 0) && exec->is_seen_running;
}

void exec_end_give_up(struct engine_exec *exec)
{
        const struct execs *execs = exec->base.execs;
        bool is_told = execs->on_left_behind != NULL && is_left_behind(exec);
        char container_id[ENGINE_ID_BYTES];

        memcpy(container_id, exec->base.container_id, sizeof container_id);
        exec_end_now(exec);
        if (is_told)
                execs->on_left_behind(execs->left_behind_arg, container_id, LEFT_UNKILLABLE);
}

void exec_end_fail(struct engine_exec *exec, const struct fault *why)
{
        detach(exec);
        exec_report_fault(&exec->base, why);
        exec_end_dispose(exec);
}

void exec_end_lost(struct engine_exec *exec, bool is_oom)
{
        struct exec_end end = exec_decide_end(
                &(struct exec_facts){ .is_lost = true, .is_container_oom = is_oom, .is_timed_out = false });

        detach(exec);
        exec_report(&exec->base, &end);
        exec_end_dispose(exec);
}
