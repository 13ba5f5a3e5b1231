/* Remove, pause and unpause. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci-engine.h"
#include "scope.h"

#define RETRY_S 0.003
enum { TRIES_UNLOOKED = 16 };
/* Longer than other calls: hundreds of processes must die on the one CPU of their container, on a busy host. The pool
 * waits 20 s. */
#define PATIENCE_S 18.0

/* ---- remove: first the processes, then the cgroup, then the files, the record last ---- */

static void clear(struct oci_call *call);

static void finish(struct oci_call *call, struct oci_container *container)
{
        call->container = NULL;
        oci_call_enter(call);
        oci_life_tell(container, ENGINE_CONTAINER_REMOVED);
        list_remove(&container->node);
        oci_container_free(container);
        if (oci_call_leave(call))
                oci_call_answer_now(call);
}

/* Without the lock, the name stays a link that leads nowhere, which takes no name. */
static void release_name(const struct oci_container *container)
{
        if (oci_store_lock(container->oci) < 0)
                return;
        oci_names_drop(container->oci, container->info.name, container->info.id);
        oci_store_unlock(container->oci);
}

/* A runtime that starts it, or an exec in it, ends soon. */
static void clear_later(struct oci_call *call, const char *what)
{
        if (ev_now(call->oci->loop) < call->deadline_at) {
                oci_call_later(call, clear, RETRY_S);
                return;
        }
        (void)fault_set(&call->why, FAULT_DEADLINE, ETIMEDOUT, "cannot remove a container: its %s does not end", what);
        oci_call_answer_now(call);
}

/* A pass through the cgroups costs a hundred system calls. The first one kills and thaws. While process 1 still dies
 * after that, a pass is made only now and then, for processes that it waits for. */
static bool is_due(struct oci_call *call, const struct oci_container *container)
{
        return container->pidfd < 0 || call->n_tries++ % TRIES_UNLOOKED == 0;
}

static void clear(struct oci_call *call)
{
        struct oci_container *container = oci_store_find(call->oci, call->id);
        int r;

        if (container == NULL) { /* another remove has removed it */
                oci_call_answer_now(call);
                return;
        }
        if (container->pidfd >= 0)
                (void)syscall(SYS_pidfd_send_signal, container->pidfd, SIGKILL, NULL, 0);
        r = container->n_calls > 0 || !is_due(call, container) ? -EAGAIN : oci_cgroup_clear(container->cgroup);
        if (r == -EAGAIN || container->pidfd >= 0) {
                clear_later(call, r == -EAGAIN ? "cgroup" : "process 1");
                return;
        }
        if (r == 0)
                r = oci_store_remove(call->oci, container->info.id);
        if (r == 0) {
                release_name(container);
                if (container->image_hold_fd >= 0)
                        image_store_unpin(container->image_hold_fd, container->info.id);
                finish(call, container);
                return;
        }
        (void)fault_set(&call->why, FAULT_INTERNAL, -r, "cannot remove a container: %s", strerrordesc_np(-r));
        oci_call_answer_now(call);
}

/* A runtime with a virtual machine around the container (Kata, gVisor) must end that machine itself. Leftovers are
 * cleared as usual, also if it does not know the container. */
static void on_deleted(void *arg, const struct child_result *result)
{
        struct oci_call *call = arg;

        call->child = NULL;
        clear(call);
}

static int begin(struct oci_call *call)
{
        const char *const words[] = { "delete", "--force", call->id, NULL };
        const struct oci_command command = {
                .words = words,
                .stdin_fd = -1,
                .deadline_s = ENGINE_DEADLINE_S,
                .done = on_deleted,
        };

        if (call->oci->runtime.has_machines)
                return oci_runtime_run(call, &command);
        oci_call_later(call, clear, 0.0);
        return 0;
}

int oci_remove(struct engine *engine, const char *id, engine_done done, void *arg, struct engine_call **ret_call)
{
        struct oci *oci = (struct oci *)engine;
        struct oci_container *container = oci_store_find(oci, id);
        struct oci_call *call;
        int r = oci_call_new(&call, oci, "remove a container", done, arg);

        if (r < 0)
                return r;
        *ret_call = &call->base;
        if (container == NULL) {
                oci_call_answer(call);
                return 0;
        }
        memcpy(call->id, container->info.id, sizeof call->id);
        call->deadline_at = ev_now(oci->loop) + PATIENCE_S;
        r = begin(call);
        if (r < 0)
                oci_call_free(call);
        return r;
}

/* ---- pause ---- */

static void pause_by_freezer(struct oci_call *call, struct oci_container *container, bool is_paused)
{
        int r = oci_cgroup_pause(container->cgroup, is_paused);

        if (r == 0)
                container->info.status = is_paused ? CONTAINER_PAUSED : CONTAINER_RUNNING;
        else
                (void)fault_set(&call->why, FAULT_ENGINE_REFUSED, -r, "cannot %s: the freezer cgroup: %s", call->what,
                                strerrordesc_np(-r));
}

static void on_paused(void *arg, const struct child_result *result)
{
        struct oci_call *call = arg;

        call->child = NULL;
        if (!WIFEXITED(result->wait_status) || WEXITSTATUS(result->wait_status) != 0)
                oci_runtime_blame(call, result, &call->why);
        else if (call->container->info.status != CONTAINER_DEAD)
                call->container->info.status = call->wanted;
        oci_call_answer_now(call);
}

int oci_pause(struct engine *engine, const char *id, bool is_paused, engine_done done, void *arg,
              struct engine_call **ret_call)
{
        struct oci *oci = (struct oci *)engine;
        struct oci_container *container = oci_store_find(oci, id);
        enum container_status wanted = is_paused ? CONTAINER_PAUSED : CONTAINER_RUNNING;
        struct oci_call *call;
        int r = oci_call_new(&call, oci, is_paused ? "pause a container" : "unpause a container", done, arg);

        if (r < 0)
                return r;
        *ret_call = &call->base;
        if (container == NULL) {
                (void)fault_set(&call->why, FAULT_NOT_FOUND, ENOENT, "there is no container %s", id);
        } else if (container->pidfd < 0) {
                (void)fault_set(&call->why, FAULT_ENGINE_REFUSED, ESRCH, "the container is not running");
        } else if (oci->makes_cgroups) {
                pause_by_freezer(call, container, is_paused);
        } else if (container->info.status != wanted) {
                const char *const words[] = { is_paused ? "pause" : "resume", container->info.id, NULL };
                const struct oci_command command = {
                        .words = words,
                        .dies_with_us = true,
                        .stdin_fd = -1,
                        .deadline_s = ENGINE_DEADLINE_S,
                        .done = on_paused,
                };

                oci_call_hold(call, container);
                call->wanted = wanted;
                r = oci_runtime_run(call, &command);
        }
        oci_runtime_begun(call, oci->runtime.path, r);
        return 0;
}
