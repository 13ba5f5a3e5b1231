/* Start runs the runtime once, for its create and its start: each run costs some milliseconds. Until the network is
 * plugged in, only carrel-init runs inside. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image-store.h"
#include "oci-engine.h"
#include "scope.h"

enum { PATH_BYTES = 512, READY_FD = 4, STATUS_BYTES = 8192 };

#define RETRY_S 0.001

/* The runtime ends before its last child has become the container's program, which has no filter until then. A pipe
 * shows when that happened: the exec closes its other end, and so does the death of the child. */
struct start_run {
        struct oci_call *call;
        int fd; /* our end; -1: the other end is closed */
        ev_io on_closed;
        bool has_ended; /* the runtime ended without an error */
};

static void close_pipe(struct start_run *run)
{
        if (run->fd < 0)
                return;
        ev_io_stop(run->call->oci->loop, &run->on_closed);
        close(TAKE_FD(run->fd));
}

static void run_free(struct oci_call *call)
{
        struct start_run *run = call->extra;

        close_pipe(run);
        free(run);
}

/* ---- the end ---- */

/* runc does not pass the pipe on; there, the filter is what it sets last. A container that has ended counts as ready,
 * too: it is reported as dead. */
static bool is_filtered(const struct oci_container *container)
{
        char path[64];
        char text[STATUS_BYTES];
        ssize_t n;
        int fd;

        (void)snprintf(path, sizeof path, "/proc/%d/status", container->info.pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return true;
        n = read(fd, text, sizeof text - 1);
        close(fd);
        text[n > 0 ? n : 0] = '\0';
        return strstr(text, "\nSeccomp:\t2\n") != NULL;
}

static void settle(struct oci_call *call)
{
        struct oci_container *container = call->container;
        bool is_late = ev_now(call->oci->loop) >= call->deadline_at;

        /* A container that has ended at once is DEAD, as on other engines. One without a pid was never started: crun
         * 1.8 exits with 0 when it cannot fork its last process. */
        if (container->pidfd < 0 && oci_life_attach(container) == -ENOENT) {
                oci_runtime_blame(call, &(const struct child_result){ 0 }, &call->why);
                oci_call_answer_now(call);
                return;
        }
        if (container->pidfd >= 0 && !call->oci->runtime.is_crun && !call->oci->runtime.has_machines && !is_late &&
            !is_filtered(container)) {
                oci_call_later(call, settle, RETRY_S);
                return;
        }
        oci_call_enter(call);
        oci_life_tell(container, ENGINE_CONTAINER_STARTED);
        if (oci_call_leave(call))
                oci_call_answer_now(call);
}

static void give_up(struct oci_call *call)
{
        (void)fault_set(&call->why, FAULT_DEADLINE, ETIMEDOUT,
                        "cannot start a container: its program did not start in time");
        oci_call_answer_now(call);
}

static void on_closed_event(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct start_run *run = watcher->data;

        close_pipe(run);
        if (run->has_ended)
                settle(run->call);
}

static void on_ended(void *arg, const struct child_result *result)
{
        struct oci_call *call = arg;
        struct start_run *run = call->extra;

        call->child = NULL;
        if (result->is_late || !WIFEXITED(result->wait_status) || WEXITSTATUS(result->wait_status) != 0) {
                oci_runtime_blame(call, result, &call->why);
                oci_call_answer_now(call);
                return;
        }
        run->has_ended = true;
        if (run->fd < 0)
                settle(call);
        else
                oci_call_later(call, give_up, ENGINE_DEADLINE_S);
}

/* ---- start ---- */

static int run_new(struct oci_call *call, int *ret_writer)
{
        struct start_run *run = calloc(1, sizeof *run);
        int ends[2];

        if (run == NULL)
                return -ENOMEM;
        run->call = call;
        run->fd = -1;
        call->extra = run;
        call->free_extra = run_free;
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        run->fd = ends[0];
        *ret_writer = ends[1];
        ev_io_init(&run->on_closed, on_closed_event, run->fd, EV_READ);
        run->on_closed.data = run;
        ev_io_start(call->oci->loop, &run->on_closed);
        return 0;
}

/* config.json names the image's directory; the runtime finds it covered. A runtime with a kernel of its own for each
 * container shares no inode. */
static int find_trees(struct oci_call *call, struct stored_image *image, struct oci_root *root)
{
        int r = image_store_find(call->oci->images, call->container->image_id, image, &call->why);

        if (r == 0 && image->n_binds >= OCI_TREES_MAX)
                r = fault_set(&call->why, FAULT_INTERNAL, E2BIG, "the image %s has too many binds",
                              call->container->image_id);
        if (r < 0)
                return r;
        root->trees[root->n++] = image->rootfs;
        for (size_t i = 0; i < image->n_binds; i++)
                root->trees[root->n++] = image->binds[i].source;
        return 0;
}

static int run(struct oci_call *call)
{
        AUTO(stored_image_release) struct stored_image image = STORED_IMAGE_NONE;
        struct oci_root root = { .points = call->container->points };
        const char *id = call->container->info.id;
        AUTO(auto_close) int userns = -1;
        AUTO(auto_close) int writer = -1;
        char bundle[PATH_BYTES];
        char pid_file[PATH_BYTES];
        const char *const words[] = { "run", "--detach", "--bundle", bundle, "--pid-file", pid_file, id, NULL };
        int r;

        if (call->container->userns_base > 0) {
                userns = oci_userns_new(call->container->userns_base);
                if (userns == -ENOSPC) /* user_namespaces(7), "Limits" */
                        (void)fault_set(
                                &call->why, FAULT_RESOURCE_EXHAUSTED, ENOSPC,
                                "cannot start a container: the host is out of user namespaces: raise the sysctl "
                                "user.max_user_namespaces");
                if (userns < 0)
                        return userns == -ENOSPC ? 0 : userns;
        }
        r = run_new(call, &writer);
        if (r < 0)
                return r;
        if (!call->oci->runtime.has_machines && find_trees(call, &image, &root) < 0)
                return 0; /* call->why is set */
        if (oci_store_path(call->oci, id, "", bundle, sizeof bundle) < 0 ||
            oci_store_path(call->oci, id, "pid", pid_file, sizeof pid_file) < 0)
                return -ENAMETOOLONG;
        const struct child_fd fds[] = { { writer, READY_FD }, { userns, OCI_USERNS_FD } };
        /* It dies with carreld: a carreld that starts again must not meet a runtime that still runs. */
        const struct oci_command command = {
                .words = words,
                .root = root.n > 0 ? &root : NULL,
                .cgroup = call->container->cgroup,
                .dies_with_us = true,
                .stdin_fd = -1,
                .fds = fds,
                .n_fds = userns >= 0 ? 2 : 1,
                .deadline_s = ENGINE_DEADLINE_S,
                .done = on_ended,
        };

        return oci_runtime_run(call, &command);
}

/* A child that enters a frozen group stops before it is the runtime. So a frozen group is searched for first, and the
 * child is taken out of a group that was frozen since. */
static int run_unless_frozen(struct oci_call *call)
{
        char frozen[PATH_BYTES];
        int r = -EBUSY;

        oci_cgroup_find_frozen(call->container->cgroup, frozen, sizeof frozen);
        if (frozen[0] == '\0')
                r = run(call);
        if (r != -EBUSY)
                return r;
        (void)fault_set(&call->why, FAULT_CARREL_FROZEN, EBUSY,
                        "cannot start a container: the cgroup %s is frozen from outside: thaw it (write THAWED to its "
                        "freezer.state, or 0 to its cgroup.freeze)",
                        frozen[0] != '\0' ? frozen : call->container->cgroup);
        return 0;
}

static void look_at(const struct oci *oci, const struct oci_container *container, const char *id, struct fault *why)
{
        if (oci->unavailable.kind != FAULT_NONE)
                *why = oci->unavailable;
        else if (container == NULL)
                (void)fault_set(why, FAULT_NOT_FOUND, ENOENT, "there is no container %s", id);
        else if (container->info.status == CONTAINER_DEAD || container->n_calls > 0)
                (void)fault_set(why, FAULT_ENGINE_REFUSED, EBUSY,
                                "the embedded engine starts a container only once: remove it and create another");
}

int oci_start(struct engine *engine, const char *id, engine_done done, void *arg, struct engine_call **ret_call)
{
        struct oci *oci = (struct oci *)engine;
        struct oci_container *container = oci_store_find(oci, id);
        struct oci_call *call;
        int r = oci_call_new(&call, oci, "start a container", done, arg);

        if (r < 0)
                return r;
        *ret_call = &call->base;
        look_at(oci, container, id, &call->why);
        if (call->why.kind == FAULT_NONE && container->info.status == CONTAINER_CREATED) {
                oci_call_hold(call, container);
                r = run_unless_frozen(call);
        }
        oci_runtime_begun(call, oci->runtime.path, r);
        return 0;
}
