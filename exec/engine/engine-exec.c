#include "engine-exec.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "engine-exec-end.h"
#include "engine-execs.h"
#include "exec-id.h"
#include "profile.h"

enum { SIGNALS = 64 }; /* 1 to 63, one bit each */

/* ---- output after the exit ---- */

/* A child in the background may hold the streams open for as long as it likes. A paused reader stops the clock, because
 * then the quiet is ours. docker 20.10 waits for the streams itself, so that its event comes up to 2 s late (measured).
 */
static void start_drain(struct engine_exec *exec)
{
        if (!exec->base.is_paused)
                ev_timer_again(exec->base.execs->loop, &exec->drain);
}

static bool is_draining(const struct engine_exec *exec)
{
        return (exec->seen & (SAW_EXIT | SAW_END_OF_OUTPUT)) == SAW_EXIT;
}

static void on_drained(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct engine_exec *exec = timer->data;

        (void)loop, (void)events;
        if (!exec->base.is_paused) { /* else there may be more, which has not been taken */
                exec->base.is_open = !(exec->seen & SAW_END_OF_OUTPUT);
                exec->seen |= SAW_END_OF_OUTPUT;
        }
        exec_end_finish(exec);
}

void exec_run_exited(struct engine_exec *exec, int exit_code)
{
        if (exec->seen & SAW_EXIT)
                return;
        exec->seen |= SAW_EXIT;
        exec->exit_code = exit_code;
        if (exec->is_dying) /* with all that it has started */
                exec->drain.repeat = exec->base.execs->timing.arrive_s;
        if ((exec->seen & SAW_END_OF_OUTPUT) || exec->base.is_silent || exec->call == NULL)
                exec_end_finish(exec);
        else
                start_drain(exec);
}

/* ---- dying ---- */

static void kill_tree(struct engine_exec *exec)
{
        int killed;

        if (!exec->base.has_cgroup || (exec->seen & SAW_EXIT) || (exec->tree.root == 0 && !exec->tree.is_alone))
                return;
        killed = process_tree_kill(&exec->tree);
        if (killed > 0 || killed == -EAGAIN)
                exec->has_killed = true;
}

static int send_signal(struct engine_exec *exec, int signal)
{
        int sent = signal == SIGKILL ? process_tree_kill(&exec->tree) : process_tree_signal(&exec->tree, signal);

        return sent == 0 ? -ESRCH : sent;
}

static void deliver_signals(struct engine_exec *exec)
{
        for (int signal = 1; signal < SIGNALS; signal++)
                if (exec->pending_signals >> signal & 1)
                        (void)send_signal(exec, signal);
        exec->pending_signals = 0;
}

static void die(struct engine_exec *exec, double patience_s);

/* An engine that began anew meanwhile does not know the execs it had; no event will tell of its end either. */
static void on_forgotten(struct engine_exec *exec)
{
        if (exec->call != NULL || exec->is_dying)
                return;
        exec->has_broken = true;
        fault_set(&exec->broken, FAULT_ENGINE_UNAVAILABLE, ENOENT,
                  "the engine has forgotten the program: how it ended is not known");
        die(exec, exec->base.execs->timing.grace_s);
}

static void on_inquired(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct engine_exec *exec = arg;

        exec->inquiry = NULL;
        exec->is_seen_running = why == NULL && reply->exec->is_running;
        if (exec->seen & SAW_EXIT)
                return;
        if (why != NULL) {
                if (why->kind == FAULT_NOT_FOUND)
                        on_forgotten(exec);
                return;
        }
        if (!reply->exec->is_running) {
                exec_run_exited(exec, reply->exec->exit_code);
                return;
        }
        if (exec->tree.root == 0 && exec->base.has_cgroup && reply->exec->pid != 0)
                exec->is_rootless = process_tree_adopt(&exec->tree, reply->exec->pid) != 0;
        if (exec->tree.root != 0 || exec->is_rootless)
                deliver_signals(exec);
        if (exec->is_dying)
                kill_tree(exec);
}

void exec_run_inquire(struct engine_exec *exec)
{
        struct engine *engine = exec->all->engine;

        if (exec->inquiry != NULL || !(exec->seen & SAW_START) || (exec->seen & SAW_EXIT))
                return;
        if (engine->ops->exec_inspect(engine, exec->engine_id, on_inquired, exec, &exec->inquiry) != 0)
                exec->inquiry = NULL;
}

/* Kills and asks, again and again: a fork may have slipped through, the engine may start the program only now, and
 * the event of its end may have been lost. */
static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct engine_exec *exec = timer->data;
        const struct exec_timing *timing = &exec->base.execs->timing;

        (void)events;
        if (!exec->is_dying && exec->pending_signals == 0 && !(exec->seen & SAW_END_OF_OUTPUT)) {
                ev_timer_stop(loop, timer);
                return;
        }
        timer->repeat = timer->repeat * 2 < timing->retry_max_s ? timer->repeat * 2 : timing->retry_max_s;
        ev_timer_again(loop, timer);
        if (exec->is_outlived) {
                exec_end_finish(exec);
                return;
        }
        if (exec->is_dying)
                kill_tree(exec);
        exec_run_inquire(exec);
}

static void start_retry(struct engine_exec *exec, double first_s)
{
        exec->retry.repeat = first_s;
        ev_timer_again(exec->base.execs->loop, &exec->retry);
}

static void die(struct engine_exec *exec, double patience_s)
{
        exec->grace.repeat = patience_s;
        ev_timer_again(exec->base.execs->loop, &exec->grace);
        if (exec->is_dying)
                return;
        exec->is_dying = true;
        kill_tree(exec);
        start_retry(exec, exec->base.execs->timing.retry_first_s);
        exec_run_inquire(exec);
}

/* Nobody has confirmed the end in time. The user is answered all the same; the killing goes on for a while. */
static void on_grace(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct engine_exec *exec = timer->data;

        (void)events;
        if (exec->base.is_silent || (exec->seen & SAW_EXIT)) {
                exec_end_give_up(exec);
                return;
        }
        timer->repeat = exec->base.execs->timing.linger_s;
        ev_timer_again(loop, timer);
        exec_end_report(exec);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct engine_exec *exec = timer->data;

        (void)events;
        ev_timer_stop(loop, timer);
        if (exec->seen & SAW_EXIT) {
                on_drained(loop, &exec->drain, events);
                return;
        }
        exec->is_timed_out = true;
        if (!exec->is_dying)
                die(exec, exec->base.execs->timing.grace_s);
}

/* ---- the engine ---- */

/* The event of the end may overtake the answer to the start: they come over two connections. */
static void claim_early_death(struct engine_exec *exec)
{
        struct unclaimed_death *deaths = exec->all->deaths;

        for (unsigned i = 0; i < DEATHS_KEPT; i++) {
                if (!str_equal(deaths[i].engine_id, exec->engine_id))
                        continue;
                deaths[i].engine_id[0] = '\0';
                exec->seen |= SAW_EXIT;
                exec->exit_code = deaths[i].exit_code;
                start_drain(exec);
                return;
        }
}

static void on_started(void *arg, const char *engine_exec_id)
{
        struct engine_exec *exec = arg;

        if ((exec->seen & SAW_START) || engine_exec_id[0] == '\0' ||
            str_copy(exec->engine_id, sizeof exec->engine_id, engine_exec_id) != 0)
                return;
        exec->seen |= SAW_START;
        claim_early_death(exec);
        if (exec->is_dying || exec->pending_signals != 0)
                exec_run_inquire(exec);
        if (!exec->base.is_silent && exec->base.is_streaming && exec->base.sink.on_start != NULL)
                exec->base.sink.on_start(exec->base.arg, exec->base.id);
}

static void on_output(void *arg, int stream, const void *bytes, size_t length)
{
        struct engine_exec *exec = arg;

        if (exec->base.is_silent || (stream != 1 && stream != 2))
                return;
        exec_take_output(&exec->base, stream, bytes, length);
}

/* Whether the engine may have carried the operation out although it did not say so (engine.h). */
static bool is_outcome_unknown(const struct fault *why)
{
        return why->kind == FAULT_DEADLINE || why->kind == FAULT_ENGINE_UNAVAILABLE;
}

/* Nothing is known to have been started. Where it may have been all the same, the killing goes on silently. */
static void on_broken_start(struct engine_exec *exec, const struct fault *why)
{
        if (!is_outcome_unknown(why)) {
                exec_end_fail(exec, why);
                return;
        }
        die(exec, exec->base.execs->timing.linger_s);
        if (exec->is_timed_out)
                exec_end_report(exec);
        else
                exec_report_fault(&exec->base, why);
}

static void on_broken(struct engine_exec *exec, const struct fault *why)
{
        if (exec->seen & SAW_EXIT) {
                exec_end_finish(exec);
        } else if (!(exec->seen & SAW_START)) {
                on_broken_start(exec, why);
        } else if (why->kind == FAULT_NOT_FOUND) {
                exec_end_lost(exec, false);
        } else {
                exec->has_broken = true;
                exec->broken = *why;
                if (!exec->is_dying)
                        die(exec, exec->base.execs->timing.grace_s);
        }
}

static void on_call_done(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct engine_exec *exec = arg;

        exec->call = NULL;
        if (why != NULL) {
                on_broken(exec, why);
                return;
        }
        exec->seen |= SAW_END_OF_OUTPUT;
        if (exec->seen & SAW_EXIT)
                exec_end_finish(exec);
        else if (!reply->exec->is_running)
                exec_run_exited(exec, reply->exec->exit_code);
        else if (!exec->is_dying)
                /* It closed its output and runs on. Its end comes as an event, and events are only a hint. */
                start_retry(exec, exec->base.execs->timing.retry_max_s);
}

/* ---- the beginning ---- */

static const struct exec_backend BACKEND;

static struct engine_exec *of_exec(struct exec *exec)
{
        return (struct engine_exec *)exec;
}

/* NULL: another backend's. */
static struct engine_exec *of_node(struct list *node)
{
        struct exec *exec = LIST_ENTRY(node, struct exec, node);

        return exec->backend == &BACKEND ? of_exec(exec) : NULL;
}

static void note_neighbours(struct engine_exec *exec)
{
        LIST_EACH (&exec->base.execs->running, at) {
                struct engine_exec *other = of_node(at);

                if (other != NULL && str_equal(other->base.container_id, exec->base.container_id))
                        other->tree.is_alone = exec->tree.is_alone = false;
        }
}

static void init_timers(struct engine_exec *exec, double timeout_s)
{
        ev_init(&exec->deadline, on_deadline);
        ev_init(&exec->drain, on_drained);
        ev_init(&exec->retry, on_retry);
        ev_init(&exec->grace, on_grace);
        exec->deadline.repeat = timeout_s;
        exec->drain.repeat = exec->base.drain_s;
        exec->deadline.data = exec->drain.data = exec;
        exec->retry.data = exec->grace.data = exec;
}

static void look_at_tree(struct engine_exec *exec, int container_pid)
{
        exec->tree = (struct process_tree){
                .cgroup = &exec->base.cgroup,
                .container_id = exec->base.container_id,
                .init = container_pid,
                .since_ms = exec->base.since_ms,
                .is_alone = true,
        };
}

static int ask_engine(struct engine_exec *exec, const struct exec_request *request)
{
        static const struct exec_events EVENTS = { on_started, on_output };
        struct engine *engine = exec->all->engine;
        struct exec_command command = {
                .argv = request->argv,
                .environment = request->environment,
                .working_dir = request->working_dir != NULL ? request->working_dir : PROFILE_WORKSPACE,
                .input = request->input,
                .input_length = request->input_length,
        };

        return engine->ops->exec(engine, exec->base.container_id, &command, &EVENTS, on_call_done, exec, &exec->call);
}

static int start_run(void *self, const char *container_id, int container_pid, const struct exec_request *request,
                     const struct exec_sink *sink, void *arg, struct exec **ret_exec)
{
        struct engine_execs *all = self;
        struct execs *execs = all->execs;
        const struct exec_place place = { container_id, container_pid, NULL };
        struct engine_exec *exec;
        int r;

        if (request->is_tty || request->is_input_open)
                return -EOPNOTSUPP;
        if (execs_count(execs, container_id) >= execs->limits.per_carrel)
                return -EAGAIN;
        exec = calloc(1, sizeof *exec);
        if (exec == NULL)
                return -ENOMEM;
        exec->all = all;
        r = exec_init(&exec->base, &BACKEND, execs, &place, request, sink, arg);
        if (r == 0) {
                look_at_tree(exec, container_pid);
                init_timers(exec, request->timeout_s);
                exec_note_launch(&exec->base);
                r = ask_engine(exec, request);
        }
        if (r != 0) {
                exec_end_dispose(exec);
                return r;
        }
        note_neighbours(exec);
        list_append(&execs->running, &exec->base.node);
        if (request->timeout_s > 0)
                ev_timer_again(execs->loop, &exec->deadline);
        *ret_exec = &exec->base;
        return 0;
}

/* ---- the user's handle ---- */

static void pause_run(struct exec *base, bool is_paused);

static void cancel_run(struct exec *base)
{
        struct engine_exec *exec = of_exec(base);

        exec->base.is_silent = true;
        pause_run(base, false);
        ev_timer_stop(exec->base.execs->loop, &exec->deadline);
        /* Never freed here, as our caller may be its callback; one that has exited ends with its drain. */
        if (!(exec->seen & SAW_EXIT))
                die(exec, exec->base.execs->timing.linger_s);
}

static void pause_run(struct exec *base, bool is_paused)
{
        struct engine_exec *exec = of_exec(base);
        struct ev_loop *loop = exec->base.execs->loop;

        if (exec->base.is_paused == is_paused)
                return;
        exec->base.is_paused = is_paused;
        if (exec->call != NULL)
                engine_pause_output(exec->call, is_paused);
        if (!is_draining(exec))
                return;
        ev_timer_stop(loop, &exec->drain);
        start_drain(exec);
}

static int signal_run(struct exec *base, int signal)
{
        struct engine_exec *exec = of_exec(base);
        int sent;

        if (signal < 1 || signal >= SIGNALS)
                return -EINVAL;
        if (!exec->base.has_cgroup || exec->is_rootless || (exec->seen & SAW_EXIT))
                return -ESRCH;
        if (exec->tree.root != 0) {
                sent = send_signal(exec, signal);
                return sent < 0 ? sent : 0;
        }
        exec->pending_signals |= (uint64_t)1 << signal;
        start_retry(exec, exec->base.execs->timing.retry_first_s);
        exec_run_inquire(exec);
        return 0;
}

static void lose_run(struct exec *base, bool is_oom)
{
        exec_end_lost(of_exec(base), is_oom);
}

static void free_run(struct exec *base)
{
        struct engine_exec *exec = of_exec(base);

        kill_tree(exec);
        base->is_silent = true;
        exec_end_now(exec);
}

/* ---- the engine's events ---- */

static struct engine_exec *find_engine_id(struct execs *execs, const char *engine_id)
{
        LIST_EACH (&execs->running, at) {
                struct engine_exec *exec = of_node(at);

                if (exec != NULL && (exec->seen & SAW_START) && str_equal(exec->engine_id, engine_id))
                        return exec;
        }
        return NULL;
}

static void keep_death(struct engine_execs *all, const struct engine_event *event)
{
        struct unclaimed_death *death = &all->deaths[all->n_deaths++ % DEATHS_KEPT];

        death->exit_code = event->exit_code;
        if (str_copy(death->engine_id, sizeof death->engine_id, event->exec_id) != 0)
                death->engine_id[0] = '\0';
}

static void on_exec_died(struct engine_execs *all, const struct engine_event *event)
{
        struct engine_exec *exec;

        if (event->exec_id == NULL || event->exec_id[0] == '\0')
                return;
        exec = find_engine_id(all->execs, event->exec_id);
        if (exec != NULL)
                exec_run_exited(exec, event->exit_code);
        else
                keep_death(all, event);
}

static void on_event(void *self, const struct engine_event *event)
{
        struct engine_execs *all = self;

        if (event->kind == ENGINE_EXEC_DIED)
                on_exec_died(all, event);
        if (event->kind != ENGINE_RESYNC)
                return;
        /* Events were missed, ends of execs perhaps among them. */
        LIST_EACH (&all->execs->running, at) {
                struct engine_exec *exec = of_node(at);

                if (exec != NULL)
                        exec_run_inquire(exec);
        }
}

/* ---- the backend ---- */

static bool serves(const void *self, const char *container_id)
{
        (void)self, (void)container_id;
        return true;
}

static const struct exec_backend BACKEND = {
        .serves = serves,
        .start = start_run,
        .on_event = on_event,
        .free_self = free,
        .cancel = cancel_run,
        .pause = pause_run,
        .signal = signal_run,
        .lost = lose_run,
        .free = free_run,
};

int engine_execs_register(struct execs *execs, struct engine *engine)
{
        struct engine_execs *all = calloc(1, sizeof *all);

        if (all == NULL)
                return -ENOMEM;
        all->execs = execs;
        all->engine = engine;
        if (execs_register(execs, &BACKEND, all) == 0)
                return 0;
        free(all);
        return -ENOMEM;
}
