#include "exec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "exec-cgroup.h"
#include "exec-environment.h"
#include "exec-id.h"
#include "exec-inside.h"
#include "scope.h"

static const struct exec_timing TIMING = {
        .arrive_s = 0.25,
        .drain_s = EXEC_DRAIN_S,
        .grace_s = 2.0,
        .linger_s = ENGINE_DEADLINE_S,
        .stall_s = 60.0, /* as long as an HTTP answer waits for a slow client (docs/api.md) */
        .retry_first_s = 0.05,
        .retry_max_s = 1.0,
};
static const struct exec_limits LIMITS = { .per_carrel = 64, .queued_per_carrel = 256, .wait_s = 300 };

int execs_new(struct execs **ret_execs, struct ev_loop *loop)
{
        struct execs *execs = calloc(1, sizeof *execs);

        if (execs == NULL)
                return -ENOMEM;
        execs->loop = loop;
        execs->timing = TIMING;
        execs->limits = LIMITS;
        list_init(&execs->running);
        /* Without cgroups no process can be proved to be the container's. Then nothing is killed or counted, and only
         * the engine's reports are left. */
        (void)cgroup_read_mounts(&execs->mounts);
        freezer_pin(&execs->mounts);
        *ret_execs = execs;
        return 0;
}

static struct exec *of_node(struct list *node)
{
        return LIST_ENTRY(node, struct exec, node);
}

struct execs *execs_free(struct execs *execs)
{
        if (execs == NULL)
                return NULL;
        while (!list_is_empty(&execs->running)) {
                struct exec *exec = of_node(execs->running.next);

                exec->backend->free(exec);
        }
        for (unsigned i = 0; i < execs->n_providers; i++)
                execs->providers[i].backend->free_self(execs->providers[i].self);
        freezer_unpin(&execs->mounts);
        free(execs);
        return NULL;
}

int execs_register(struct execs *execs, const struct exec_backend *backend, void *self)
{
        if (execs->n_providers == EXEC_PROVIDERS_MAX)
                return -ENOSPC;
        execs->providers[execs->n_providers++] = (struct exec_provider){ backend, self };
        return 0;
}

void *execs_provider_of(const struct execs *execs, const struct exec_backend *backend)
{
        for (unsigned i = 0; i < execs->n_providers; i++)
                if (execs->providers[i].backend == backend)
                        return execs->providers[i].self;
        return NULL;
}

static const struct exec_provider *find_provider(const struct execs *execs, const char *container_id)
{
        for (unsigned i = 0; i < execs->n_providers; i++)
                if (execs->providers[i].backend->serves(execs->providers[i].self, container_id))
                        return &execs->providers[i];
        return NULL;
}

void execs_on_left_behind(struct execs *execs,
                          void (*on_left_behind)(void *arg, const char *container_id, enum exec_left_behind why),
                          void *arg)
{
        execs->on_left_behind = on_left_behind;
        execs->left_behind_arg = arg;
}

void execs_limit(struct execs *execs, const struct exec_limits *limits)
{
        execs->limits = *limits;
}

void execs_bound_outputs(struct execs *execs, uint64_t bytes)
{
        execs->outputs = (struct share){ .bound = bytes };
}

const struct freezer *execs_freezer(const struct execs *execs, const char *container_id)
{
        const struct exec_provider *provider = find_provider(execs, container_id);
        const struct freezer *freezer = NULL;

        if (provider != NULL && provider->backend->freezer != NULL)
                freezer = provider->backend->freezer(provider->self, container_id);
        return freezer != NULL && freezer->kind != FREEZER_NONE ? freezer : NULL;
}

bool execs_is_frozen(const struct execs *execs, const char *container_id)
{
        const struct freezer *freezer = execs_freezer(execs, container_id);

        return freezer != NULL && freezer_is_frozen(freezer);
}

bool execs_thaw(const struct execs *execs, const char *container_id, int container_pid)
{
        struct freezer freezer;
        bool is_frozen;

        freezer_open(&freezer, &execs->mounts, container_pid, container_id);
        is_frozen = freezer_is_frozen(&freezer);
        if (is_frozen)
                (void)freezer_set(&freezer, false);
        freezer_close(&freezer);
        return is_frozen;
}

/* Only execs whose users still wait. */
struct exec *execs_find(const struct execs *execs, const char *exec_id)
{
        LIST_EACH ((struct list *)&execs->running, at) {
                struct exec *exec = of_node(at);

                if (!exec->is_silent && str_equal(exec->id, exec_id))
                        return exec;
        }
        return NULL;
}

unsigned execs_count(const struct execs *execs, const char *container_id)
{
        unsigned count = 0;

        LIST_EACH ((struct list *)&execs->running, at)
                count += str_equal(of_node(at)->container_id, container_id);
        return count;
}

int exec_start(struct execs *execs, const char *container_id, int container_pid, const struct exec_request *request,
               const struct exec_sink *sink, void *arg, struct exec **ret_exec)
{
        static const char VARIABLE[] = "CARREL_EXEC_ID=";
        const struct exec_provider *provider = find_provider(execs, container_id);
        struct exec_request complete = *request;
        char variable[sizeof VARIABLE + EXEC_ID_BYTES];
        char *id = variable + sizeof VARIABLE - 1;
        AUTO(auto_free) const char **environment = NULL;
        int r;

        if (request->exec_id != NULL && execs_find(execs, request->exec_id) != NULL)
                return -EEXIST;
        if (provider == NULL)
                return -EOPNOTSUPP;
        if (execs_is_frozen(execs, container_id))
                return -EBUSY;
        memcpy(variable, VARIABLE, sizeof VARIABLE);
        r = exec_id_choose(request->exec_id, id);
        if (r < 0)
                return r;
        environment = exec_environment(request->defaults, variable, request->environment);
        if (environment == NULL)
                return -ENOMEM;
        complete.exec_id = id;
        complete.environment = environment;
        return provider->backend->start(provider->self, container_id, container_pid, &complete, sink, arg, ret_exec);
}

/* ---- the user's handle ---- */

struct exec *exec_cancel(struct exec *exec)
{
        if (exec != NULL && !exec->is_silent)
                exec->backend->cancel(exec);
        return NULL;
}

void exec_pause(struct exec *exec, bool is_paused)
{
        if (!exec->is_silent)
                exec->backend->pause(exec, is_paused);
}

const char *exec_id(const struct exec *exec)
{
        return exec->id;
}

ssize_t exec_read(struct exec *exec, int *ret_stream, void *bytes, size_t size)
{
        if (exec->is_silent || !exec->is_pulled || exec->backend->read == NULL)
                return 0;
        return exec->backend->read(exec, ret_stream, bytes, size);
}

ssize_t exec_write(struct exec *exec, const void *bytes, size_t length)
{
        if (exec->is_silent)
                return -EPIPE;
        return exec->backend->write != NULL ? exec->backend->write(exec, bytes, length) : -EOPNOTSUPP;
}

int exec_close_input(struct exec *exec)
{
        if (exec->is_silent)
                return 0;
        return exec->backend->close_input != NULL ? exec->backend->close_input(exec) : -EOPNOTSUPP;
}

int exec_resize(struct exec *exec, uint16_t rows, uint16_t cols)
{
        if (rows == 0 || cols == 0)
                return -EINVAL;
        if (exec->is_silent)
                return 0;
        return exec->backend->resize != NULL ? exec->backend->resize(exec, rows, cols) : -EOPNOTSUPP;
}

int execs_signal(struct execs *execs, const char *exec_id, int signal)
{
        struct exec *exec = execs_find(execs, exec_id);

        return exec != NULL ? exec->backend->signal(exec, signal) : -ENOENT;
}

/* ---- what happens to containers ---- */

void execs_on_event(struct execs *execs, const struct engine_event *event)
{
        for (unsigned i = 0; i < execs->n_providers; i++)
                if (execs->providers[i].backend->on_event != NULL)
                        execs->providers[i].backend->on_event(execs->providers[i].self, event);
}

void execs_container_lost(struct execs *execs, const char *container_id, bool is_oom)
{
        struct list lost;

        list_init(&lost);
        for (unsigned i = 0; i < execs->n_providers; i++)
                if (execs->providers[i].backend->on_container_lost != NULL)
                        execs->providers[i].backend->on_container_lost(execs->providers[i].self, container_id);
        LIST_EACH (&execs->running, at) {
                if (!str_equal(of_node(at)->container_id, container_id))
                        continue;
                exec_leave(of_node(at));
                list_append(&lost, at);
        }
        /* They are moved to a list of their own first, as each answer may start, cancel or end others. */
        while (!list_is_empty(&lost)) {
                struct exec *exec = of_node(list_pop(&lost));

                exec->backend->lost(exec, is_oom);
        }
}

static bool view_exec(const struct exec *exec, struct exec_view *ret_view)
{
        *ret_view = (struct exec_view){
                .container_id = exec->container_id,
                .program = exec->program,
                .command = exec->command,
                .running_s = (double)(clock_boottime_ms() - exec->since_ms) / 1000.0,
        };
        return !exec->is_silent && str_copy(ret_view->exec_id, sizeof ret_view->exec_id, exec->id) == 0;
}

void execs_each(const struct execs *execs, const char *container_id,
                void (*visit)(void *arg, const struct exec_view *view), void *arg)
{
        LIST_EACH ((struct list *)&execs->running, at) {
                const struct exec *exec = of_node(at);
                struct exec_view view;

                if (container_id != NULL && !str_equal(container_id, exec->container_id))
                        continue;
                if (view_exec(exec, &view))
                        visit(arg, &view);
        }
}

void execs_walk_begin(struct execs *execs, struct execs_walk *walk)
{
        *walk = (struct execs_walk){ execs->walks, execs, execs->running.next, clock_boottime_ms() };
        execs->walks = walk;
}

bool execs_walk_next(struct execs_walk *walk, struct exec_view *ret_view)
{
        struct list *end = &walk->execs->running;

        while (walk->at != end) {
                const struct exec *exec = of_node(walk->at);

                /* The newest are last. Without this test a walk might never end. */
                walk->at = exec->since_ms > walk->began_ms ? end : walk->at->next;
                if (exec->since_ms <= walk->began_ms && view_exec(exec, ret_view))
                        return true;
        }
        return false;
}

void execs_walk_end(struct execs_walk *walk)
{
        struct execs_walk **link = &walk->execs->walks;

        while (*link != walk)
                link = &(*link)->next;
        *link = walk->next;
}
