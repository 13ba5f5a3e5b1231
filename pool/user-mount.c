#include "user-mount.h"

#include <errno.h>
#include <string.h>

#include "attach.h"
#include "disk.h"
#include "isolation.h"
#include "pool-inside.h"
#include "scope.h"
#include "task.h"
#include "userdir.h"

/* ---- disk ---- */

static void on_mounted(void *arg, int mount_fd, const struct fault *why)
{
        struct task *task = arg;

        task->disk_call = NULL;
        task->disk_fd = mount_fd;
        task_resume(task, why);
}

enum flow_verdict step_disk(struct flow *flow, void *subject)
{
        struct task *task = subject;
        const struct carrel *carrel = task->carrel;
        const struct pool *pool = carrel->pool;
        const struct disk_request request = {
                .users_fd = pool->users_fd,
                .user = carrel->user,
                .owner_uid = carrel->owner.uid,
                .owner_gid = carrel->owner.gid,
                .size_bytes = pool->options.disk_bytes,
                .files = pool->options.disk_files,
        };

        if (!carrel->has_image)
                return FLOW_NEXT;
        if (pool->disk == NULL || pool->warm.attach == NULL) {
                (void)fault_set(flow_why(flow), FAULT_SETTING_INVALID, ENOTSUP,
                                "the files of %s are in an image, which this carreld cannot mount: restart it",
                                carrel->user);
                return FLOW_FAIL;
        }
        return task_asked(task, disk_mount(pool->disk, &request, on_mounted, task, &task->disk_call));
}

enum flow_verdict step_drop_disk(struct flow *flow, void *subject)
{
        (void)flow;
        task_drop_disk(subject);
        return FLOW_NEXT;
}

/* ---- attach ---- */

/* The container has the mount now, or the flow fails: it is not ours any more. */
static void on_attached(void *arg, const struct fault *why)
{
        struct task *task = arg;

        task->attach_call = NULL;
        task_drop_disk(task);
        task_resume(task, why);
}

int user_mount_attach(struct task *task, struct fault *why)
{
        const struct carrel *carrel = task->carrel;
        struct pool_owner inside = carrel_inside(carrel);
        AUTO(auto_close)
        int directory_fd = task->disk_fd < 0 ? userdir_open_user(carrel->pool->users_fd, carrel->user) : -1;
        const struct attach_request request = {
                .pidfd = carrel->pidfd,
                .directory_fd = task->disk_fd < 0 ? directory_fd : task->disk_fd,
                .owner_uid = carrel->owner.uid,
                .owner_gid = carrel->owner.gid,
                .uid = carrel->host_base + inside.uid,
                .gid = carrel->host_base + inside.gid,
                .is_detached = task->disk_fd >= 0,
        };
        int r;

        if (request.directory_fd < 0)
                return fault_set(why, FAULT_INTERNAL, -directory_fd, "cannot open the directory of %s: %s",
                                 carrel->user, strerrordesc_np(-directory_fd));
        r = attach_start(carrel->pool->warm.attach, &request, on_attached, task, &task->attach_call);
        return r < 0 ? fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot attach the files of %s: %s", carrel->user,
                                 strerrordesc_np(-r))
                     : 0;
}

enum flow_verdict step_attach_disk(struct flow *flow, void *subject)
{
        struct task *task = subject;

        if (task->disk_fd < 0)
                return FLOW_NEXT;
        return user_mount_attach(task, flow_why(flow)) < 0 ? FLOW_FAIL : FLOW_WAIT;
}

/* ---- prove ---- */

enum flow_verdict user_mount_prove(const struct task *task, struct fault *why)
{
        const struct carrel *carrel = task->carrel;
        struct pool_owner inside = carrel_inside(carrel);

        if (carrel->pool->options.hardening == POOL_HARDENING_TRUSTED)
                return FLOW_NEXT;
        return isolation_check_workspace(carrel->pid, carrel->pidfd, carrel->pool->users_fd, carrel->user,
                                         carrel->host_base + inside.uid, why) < 0
                       ? FLOW_FAIL
                       : FLOW_NEXT;
}

enum flow_verdict step_prove_disk(struct flow *flow, void *subject)
{
        const struct task *task = subject;

        return task->carrel->has_image ? user_mount_prove(task, flow_why(flow)) : FLOW_NEXT;
}
