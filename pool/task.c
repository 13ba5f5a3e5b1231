#include "task.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "clock.h"
#include "disk.h"
#include "pool-inside.h"
#include "remount.h"

struct task *task_new(struct carrel *carrel)
{
        struct task *task = calloc(1, sizeof *task);

        if (task == NULL)
                return NULL;
        task->carrel = carrel;
        task->disk_fd = -1;
        task->began_s = clock_boottime_s();
        list_init(&task->queued);
        ev_init(&task->look, NULL);
        task->look.data = task;
        carrel->task = task;
        return task;
}

struct task *task_free(struct task *task)
{
        if (task == NULL)
                return NULL;
        task_abandon(task);
        flow_free(task->flow);
        list_remove(&task->queued);
        task->carrel->task = NULL;
        task_drop_disk(task);
        free(task->killed);
        free(task);
        return NULL;
}

void task_abandon(void *subject)
{
        struct task *task = subject;

        task->call = engine_cancel(task->call);
        task->net_call = netpolicy_cancel(task->net_call);
        task->remount = remount_cancel(task->remount);
        task->attach_call = attach_cancel(task->attach_call);
        task->disk_call = disk_cancel(task->disk_call);
        agent_listener_leave(task->carrel->listener);
        if (ev_is_active(&task->patience))
                ev_timer_stop(task->carrel->pool->loop, &task->patience);
        ev_timer_stop(task->carrel->pool->loop, &task->look);
}

void task_drop_disk(struct task *task)
{
        if (task->disk_fd >= 0)
                close(task->disk_fd);
        task->disk_fd = -1;
}

const char *task_step(const struct task *task)
{
        if (task == NULL)
                return "";
        return task->flow != NULL ? flow_step_name(task->flow) : "queued";
}

bool task_is_open(const struct task *task)
{
        return task->flow == NULL || !flow_is_unwinding(task->flow);
}

enum flow_verdict task_asked(struct task *task, int err)
{
        if (err == 0)
                return FLOW_WAIT;
        (void)fault_set(flow_why(task->flow), FAULT_RESOURCE_EXHAUSTED, -err, "cannot run step %s: %s",
                        flow_step_name(task->flow), strerrordesc_np(-err));
        return FLOW_FAIL;
}

void task_resume(struct task *task, const struct fault *why)
{
        if (why != NULL)
                flow_fail(task->flow, why);
        else
                flow_next(task->flow);
}
