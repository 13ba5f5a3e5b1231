#include "exec-end.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "exec-cause.h"

/* Nothing is heard of the program any more; what kills goes on. */
static void stop_hearing(struct exec *exec)
{
        struct ev_loop *loop = exec->execs->loop;

        ev_timer_stop(loop, &exec->deadline);
        ev_timer_stop(loop, &exec->drain_quiet);
        ev_timer_stop(loop, &exec->drain_max);
        exec->call = engine_cancel(exec->call);
        exec->inquiry = engine_cancel(exec->inquiry);
}

static void detach(struct exec *exec)
{
        list_remove(&exec->node);
        stop_hearing(exec);
        ev_timer_stop(exec->execs->loop, &exec->retry);
        ev_timer_stop(exec->execs->loop, &exec->grace);
}

void exec_end_dispose(struct exec *exec)
{
        buffer_free(&exec->output.kept);
        buffer_free(&exec->errors.kept);
        free(exec->program);
        free(exec);
}

static struct exec_end decide_end(const struct exec *exec)
{
        struct exec_facts facts = {
                .is_timed_out = exec->is_timed_out && (exec->has_killed || !(exec->seen & SAW_EXIT)),
                .exit_code = exec->exit_code,
        };
        struct cgroup_counters now;

        if (exec->has_cgroup && exec->exit_code != 0) {
                cgroup_count(&exec->cgroup, &now);
                facts.has_oom_risen = now.oom_kills > exec->before.oom_kills;
                facts.has_pids_risen = now.pids_refused > exec->before.pids_refused;
        }
        return exec_decide_end(&facts);
}

static const char *text_of(const struct exec_output *output)
{
        return output->kept.data != NULL ? output->kept.data : "";
}

/* The last words to the user. Silent before the callback, so that a cancel from inside it changes nothing. */
static void report(struct exec *exec, const struct exec_end *end)
{
        struct exec_result result = {
                .cause = end->cause,
                .exit_code = end->exit_code,
                .signal = end->signal,
                .output = text_of(&exec->output),
                .output_length = exec->output.kept.length,
                .errors = text_of(&exec->errors),
                .errors_length = exec->errors.kept.length,
                .is_output_truncated = exec->output.is_truncated,
                .is_errors_truncated = exec->errors.is_truncated,
                .duration_s = (double)(clock_boottime_ms() - exec->tree.since_ms) / 1000.0,
        };

        if (exec->is_silent)
                return;
        exec->is_silent = true;
        memcpy(result.exec_id, exec->id, sizeof(result.exec_id));
        exec->sink.on_done(exec->arg, &result, NULL);
}

void exec_end_report_fault(struct exec *exec, const struct fault *why)
{
        struct fault copy = *why;

        if (exec->is_silent)
                return;
        exec->is_silent = true;
        exec->sink.on_done(exec->arg, NULL, &copy);
}

/* A broken answer whose program we then had to kill, or never heard of again, has no result to tell. */
static bool has_no_result(const struct exec *exec)
{
        return exec->has_broken && !exec->is_timed_out && (exec->has_killed || !(exec->seen & SAW_EXIT));
}

void exec_end_report(struct exec *exec)
{
        struct exec_end end;

        if (has_no_result(exec)) {
                exec_end_report_fault(exec, &exec->broken);
                return;
        }
        if (!(exec->seen & SAW_END_OF_OUTPUT))
                exec->output.is_truncated = exec->errors.is_truncated = true;
        end = decide_end(exec);
        report(exec, &end);
}

/* Kills once more. The first process may be gone while others that no pass has seen yet go on forking. */
static bool has_survivors(const struct exec *exec)
{
        int killed;

        if (!exec->is_dying || !exec->has_cgroup || (exec->tree.root == 0 && !exec->tree.is_alone))
                return false;
        killed = process_tree_kill(&exec->tree);
        return killed != 0 && killed != -ENOENT;
}

/* The user is answered; the retries kill on, and come back here, for as long as the linger. */
static void outlive(struct exec *exec)
{
        stop_hearing(exec);
        if (exec->is_outlived)
                return;
        exec->is_outlived = true;
        exec->grace.repeat = exec->execs->timing.linger_s;
        ev_timer_again(exec->execs->loop, &exec->grace);
        exec_end_report(exec);
}

void exec_end_now(struct exec *exec)
{
        detach(exec);
        exec_end_report(exec);
        exec_end_dispose(exec);
}

void exec_end_finish(struct exec *exec)
{
        if (has_survivors(exec))
                outlive(exec);
        else
                exec_end_now(exec);
}

/* The kernel's word counts where it can be had; the engine's where the host does not see the program as a process. */
static bool is_left_behind(const struct exec *exec)
{
        if (has_survivors(exec))
                return true;
        return !(exec->seen & SAW_EXIT) && (!exec->has_cgroup || exec->tree.root == 0) && exec->is_seen_running;
}

void exec_end_give_up(struct exec *exec)
{
        const struct execs *execs = exec->execs;
        bool is_told = execs->on_left_behind != NULL && is_left_behind(exec);
        char container_id[ENGINE_ID_BYTES];

        memcpy(container_id, exec->container_id, sizeof(container_id));
        exec_end_now(exec);
        if (is_told)
                execs->on_left_behind(execs->left_behind_arg, container_id);
}

void exec_end_fail(struct exec *exec, const struct fault *why)
{
        detach(exec);
        exec_end_report_fault(exec, why);
        exec_end_dispose(exec);
}

void exec_end_lost(struct exec *exec, bool is_oom)
{
        struct exec_end end = exec_decide_end(
                &(struct exec_facts){ .is_lost = true, .is_container_oom = is_oom, .is_timed_out = false });

        detach(exec);
        report(exec, &end);
        exec_end_dispose(exec);
}
