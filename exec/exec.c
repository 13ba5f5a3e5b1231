#include "exec.h"

#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "exec-end.h"
#include "exec-run.h"

static const struct exec_timing TIMING = {
        .drain_quiet_s = 0.25,
        .drain_max_s = 2.0,
        .grace_s = 2.0,
        .linger_s = ENGINE_DEADLINE_S,
        .retry_first_s = 0.05,
        .retry_max_s = 1.0,
};

int execs_new(struct execs **ret_execs, struct ev_loop *loop, struct engine *engine)
{
        struct execs *execs = calloc(1, sizeof(*execs));

        if (execs == NULL)
                return -ENOMEM;
        execs->loop = loop;
        execs->engine = engine;
        execs->timing = TIMING;
        list_init(&execs->running);
        /* Without cgroups nothing can be proved to be the container's, so nothing is killed or counted; the engine's
         * own word is then all there is. */
        (void)cgroup_read_mounts(&execs->mounts);
        *ret_execs = execs;
        return 0;
}

struct execs *execs_free(struct execs *execs)
{
        if (execs == NULL)
                return NULL;
        while (!list_is_empty(&execs->running))
                exec_run_free(LIST_ENTRY(execs->running.next, struct exec, node));
        free(execs);
        return NULL;
}

void execs_on_left_behind(struct execs *execs, void (*on_left_behind)(void *arg, const char *container_id), void *arg)
{
        execs->on_left_behind = on_left_behind;
        execs->left_behind_arg = arg;
}

/* Among those whose users wait still. */
struct exec *execs_find(const struct execs *execs, const char *exec_id)
{
        LIST_EACH ((struct list *)&execs->running, at) {
                struct exec *exec = LIST_ENTRY(at, struct exec, node);

                if (!exec->is_silent && str_equal(exec->id, exec_id))
                        return exec;
        }
        return NULL;
}

int exec_start(struct execs *execs, const char *container_id, int container_pid, const struct exec_request *request,
               const struct exec_sink *sink, void *arg, struct exec **ret_exec)
{
        if (request->exec_id != NULL && execs_find(execs, request->exec_id) != NULL)
                return -EEXIST;
        if (request->is_tty || request->is_input_open)
                return -EOPNOTSUPP;
        return exec_run_start(execs, container_id, container_pid, request, sink, arg, ret_exec);
}

struct exec *exec_cancel(struct exec *exec)
{
        if (exec != NULL)
                exec_run_cancel(exec);
        return NULL;
}

void exec_pause(struct exec *exec, bool is_paused)
{
        if (!exec->is_silent)
                exec_run_pause(exec, is_paused);
}

const char *exec_id(const struct exec *exec)
{
        return exec->id;
}

ssize_t exec_write(struct exec *exec, const void *bytes, size_t length)
{
        (void)exec, (void)bytes, (void)length;
        return -EOPNOTSUPP;
}

int exec_close_input(struct exec *exec)
{
        (void)exec;
        return -EOPNOTSUPP;
}

int exec_resize(struct exec *exec, uint16_t rows, uint16_t cols)
{
        (void)exec;
        return rows == 0 || cols == 0 ? -EINVAL : -EOPNOTSUPP;
}

int execs_signal(struct execs *execs, const char *exec_id, int signal)
{
        struct exec *exec = execs_find(execs, exec_id);

        return exec != NULL ? exec_run_signal(exec, signal) : -ENOENT;
}

static struct exec *find_engine_id(struct execs *execs, const char *engine_id)
{
        LIST_EACH (&execs->running, at) {
                struct exec *exec = LIST_ENTRY(at, struct exec, node);

                if ((exec->seen & SAW_START) && str_equal(exec->engine_id, engine_id))
                        return exec;
        }
        return NULL;
}

static void keep_death(struct execs *execs, const struct engine_event *event)
{
        struct unclaimed_death *death = &execs->deaths[execs->n_deaths++ % DEATHS_KEPT];

        death->exit_code = event->exit_code;
        if (str_copy(death->engine_id, sizeof(death->engine_id), event->exec_id) != 0)
                death->engine_id[0] = '\0';
}

static void on_exec_died(struct execs *execs, const struct engine_event *event)
{
        struct exec *exec;

        if (event->exec_id == NULL || event->exec_id[0] == '\0')
                return;
        exec = find_engine_id(execs, event->exec_id);
        if (exec != NULL)
                exec_run_exited(exec, event->exit_code);
        else
                keep_death(execs, event);
}

void execs_on_event(struct execs *execs, const struct engine_event *event)
{
        if (event->kind == ENGINE_EXEC_DIED)
                on_exec_died(execs, event);
        if (event->kind != ENGINE_RESYNC)
                return;
        /* Events were missed, ends of execs perhaps among them. */
        LIST_EACH (&execs->running, at)
                exec_run_inquire(LIST_ENTRY(at, struct exec, node));
}

void execs_container_lost(struct execs *execs, const char *container_id, bool is_oom)
{
        struct list lost;

        list_init(&lost);
        LIST_EACH (&execs->running, at) {
                if (!str_equal(LIST_ENTRY(at, struct exec, node)->container_id, container_id))
                        continue;
                list_remove(at);
                list_append(&lost, at);
        }
        /* From a list of their own, as each answer may start, cancel or end others. */
        while (!list_is_empty(&lost))
                exec_end_lost(LIST_ENTRY(lost.next, struct exec, node), is_oom);
}

void execs_each(const struct execs *execs, const char *container_id,
                void (*visit)(void *arg, const struct exec_view *view), void *arg)
{
        LIST_EACH ((struct list *)&execs->running, at) {
                const struct exec *exec = LIST_ENTRY(at, struct exec, node);
                struct exec_view view = {
                        .container_id = exec->container_id,
                        .program = exec->program,
                        .running_s = (double)(clock_boottime_ms() - exec->tree.since_ms) / 1000.0,
                };

                if (exec->is_silent || (container_id != NULL && !str_equal(container_id, exec->container_id)))
                        continue;
                if (str_copy(view.exec_id, sizeof(view.exec_id), exec->id) == 0)
                        visit(arg, &view);
        }
}
