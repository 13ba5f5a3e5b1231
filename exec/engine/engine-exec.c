#include "engine-exec.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "engine-execs.h"
#include "exec-id.h"
#include "inside.h"

enum { SIGNALS = 64 }; /* 1 to 63, one bit each */

/* May free the exec, except with ON_EARLY_EXIT. */
static void note_exit(struct engine_exec *exec, int exit_code, enum engine_exec_event event)
{
        if (exec->seen & SAW_EXIT)
                return;
        exec->seen |= SAW_EXIT;
        exec->exit_code = exit_code;
        engine_exec_handle(exec, event);
}

/* ---- signals and questions ---- */

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

static void on_inquired(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct engine_exec *exec = arg;

        exec->inquiry = NULL;
        exec->is_seen_running = why == NULL && reply->exec->is_running;
        if (exec->seen & SAW_EXIT)
                return;
        if (why != NULL) {
                if (why->kind == FAULT_NOT_FOUND)
                        engine_exec_handle(exec, ON_FORGOTTEN);
                return;
        }
        if (!reply->exec->is_running) {
                note_exit(exec, reply->exec->exit_code, ON_EXITED);
                return;
        }
        if (exec->tree.root == 0 && exec->base.has_cgroup && reply->exec->pid != 0)
                exec->is_rootless = process_tree_adopt(&exec->tree, reply->exec->pid) != 0;
        if (exec->tree.root != 0 || exec->is_rootless)
                deliver_signals(exec);
        engine_exec_handle(exec, ON_SEEN);
}

void engine_exec_inquire(struct engine_exec *exec)
{
        struct engine *engine = exec->all->engine;

        if (exec->inquiry != NULL || !(exec->seen & SAW_START) || (exec->seen & SAW_EXIT))
                return;
        if (engine->ops->exec_inspect(engine, exec->engine_id, on_inquired, exec, &exec->inquiry) != 0)
                exec->inquiry = NULL;
}

/* ---- the engine ---- */

/* The event of the exit may overtake the answer to the start, as they come over two connections. */
static void claim_early_death(struct engine_exec *exec)
{
        struct unclaimed_death *deaths = exec->all->deaths;

        for (unsigned i = 0; i < DEATHS_KEPT; i++) {
                if (!str_equal(deaths[i].engine_id, exec->engine_id))
                        continue;
                deaths[i].engine_id[0] = '\0';
                note_exit(exec, deaths[i].exit_code, ON_EARLY_EXIT);
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
        if (exec->state == STATE_DYING || exec->pending_signals != 0)
                engine_exec_inquire(exec);
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

static void on_call_done(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct engine_exec *exec = arg;

        exec->call = NULL;
        if (why != NULL) {
                exec->broken = *why;
                engine_exec_handle(exec, ON_BROKEN);
                return;
        }
        exec->seen |= SAW_END_OF_OUTPUT;
        if (!(exec->seen & SAW_EXIT) && !reply->exec->is_running)
                note_exit(exec, reply->exec->exit_code, ON_EXITED);
        else
                engine_exec_handle(exec, ON_OUTPUT_END);
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
        static const struct exec_events CALLBACKS = { on_started, on_output };
        struct engine *engine = exec->all->engine;
        struct exec_command command = {
                .argv = request->argv,
                .environment = request->environment,
                .working_dir = request->working_dir != NULL ? request->working_dir : INSIDE_WORKSPACE,
                .input = request->input,
                .input_length = request->input_length,
        };

        return engine->ops->exec(engine, exec->base.container_id, &command, &CALLBACKS, on_call_done, exec,
                                 &exec->call);
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
                engine_exec_init_timers(exec, request->timeout_s);
                exec_note_launch(&exec->base);
                r = ask_engine(exec, request);
        }
        if (r != 0) {
                engine_exec_dispose(exec);
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

static void pause_run(struct exec *base, bool is_paused)
{
        struct engine_exec *exec = of_exec(base);

        if (exec->base.is_paused == is_paused)
                return;
        exec->base.is_paused = is_paused;
        if (exec->call != NULL)
                engine_pause_output(exec->call, is_paused);
        engine_exec_handle(exec, is_paused ? ON_PAUSED : ON_RESUMED);
}

/* The exec is never freed in here, as our caller may be a callback of it. */
static void cancel_run(struct exec *base)
{
        struct engine_exec *exec = of_exec(base);

        exec->base.is_silent = true;
        pause_run(base, false);
        ev_timer_stop(exec->base.execs->loop, &exec->deadline);
        engine_exec_handle(exec, ON_CANCELLED);
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
        engine_exec_start_retry(exec);
        engine_exec_inquire(exec);
        return 0;
}

static void lose_run(struct exec *base, bool is_oom)
{
        of_exec(base)->is_container_oom = is_oom;
        engine_exec_handle(of_exec(base), ON_LOST);
}

static void free_run(struct exec *base)
{
        engine_exec_end_now(of_exec(base));
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
                note_exit(exec, event->exit_code, ON_EXITED);
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
        /* Events were missed, perhaps exits of execs among them. */
        LIST_EACH (&all->execs->running, at) {
                struct engine_exec *exec = of_node(at);

                if (exec != NULL)
                        engine_exec_inquire(exec);
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
