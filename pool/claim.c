#include "claim.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ensure-steps.h"
#include "pool-inside.h"
#include "scope.h"
#include "task.h"
#include "template.h"
#include "user-mount.h"
#include "warm.h"

/* ---- take ---- */

/* Moves everything that belongs to the container, and forgets the warm carrel. Without memory that is retired. */
static int take_over(struct carrel *carrel, struct carrel *warm)
{
        struct table *table = &carrel->pool->table;
        char id[CONTAINER_ID_BYTES];
        char slot[AGENT_SLOT_BYTES];
        int r;

        pool_drop_agent_slot(carrel);
        memcpy(id, warm->id, sizeof id);
        memcpy(slot, warm->agent_slot, sizeof slot);
        (void)table_set_id(table, warm, "");
        (void)table_set_slot(table, warm, "");
        r = table_set_id(table, carrel, id);
        if (r == 0)
                r = table_set_slot(table, carrel, slot);
        carrel_take_process(carrel, warm);
        pool_forget_carrel(carrel->pool, warm);
        return r;
}

static enum flow_verdict take(struct flow *flow, void *subject)
{
        struct task *task = subject;
        struct carrel *carrel = task->carrel;
        struct carrel *warm = warm_find(&carrel->pool->warm, carrel->spec_hash);
        int r = warm != NULL && !carrel_has_ended(warm) ? take_over(carrel, warm) : -ENOENT;

        if (r < 0) {
                (void)fault_set(flow_why(flow), FAULT_NOT_FOUND, -r, "there is no warm carrel to take: %s",
                                strerrordesc_np(-r));
                return FLOW_FAIL;
        }
        task->has_taken = true;
        warm_kick(&carrel->pool->warm);
        return FLOW_NEXT;
}

/* ---- attach: both helpers work at the same time ---- */

static void on_opened(void *arg, const struct netpolicy_link *link, const struct fault *why)
{
        struct task *task = arg;

        (void)link;
        task->net_call = NULL;
        if (task->is_open_awaited)
                task_resume(task, why);
        else if (why != NULL)
                task->open_why = *why;
}

/* A carrel that step_plug has not plugged needs no opening. */
static int ask_open(struct task *task)
{
        const struct carrel *carrel = task->carrel;

        if (carrel->spec.policy == POLICY_NONE || carrel->pid == 0)
                return 0;
        return netpolicy_open(carrel->pool->netpolicy, carrel->pid, carrel->link.interface, on_opened, task,
                              &task->net_call);
}

static enum flow_verdict forget_open(struct flow *flow, void *subject)
{
        struct task *task = subject;

        (void)flow;
        task->net_call = netpolicy_cancel(task->net_call);
        return FLOW_NEXT;
}

static enum flow_verdict attach(struct flow *flow, void *subject)
{
        struct task *task = subject;
        int r = ask_open(task);

        if (r < 0)
                return task_asked(task, r);
        return user_mount_attach(task, flow_why(flow)) < 0 ? FLOW_FAIL : FLOW_WAIT;
}

/* ---- prove ---- */

static enum flow_verdict prove(struct flow *flow, void *subject)
{
        return user_mount_prove(subject, flow_why(flow));
}

/* ---- name ---- */

static void on_named(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct task *task = arg;
        struct fault own = { 0 };

        (void)reply;
        task->call = NULL;
        if (why == NULL && (task->has_died || carrel_has_ended(task->carrel))) {
                (void)fault_set(&own, FAULT_CARREL_LOST, ESRCH, "the container ended during the claim");
                why = &own;
        }
        task_resume(task, why);
}

static enum flow_verdict name(struct flow *flow, void *subject)
{
        struct task *task = subject;
        const struct carrel *carrel = task->carrel;
        struct engine *engine = carrel->pool->engine;
        struct template template;
        int r = carrel_template(carrel, &template, flow_why(flow));

        if (r < 0)
                return FLOW_FAIL;
        r = engine->ops->claim(engine, carrel->id, carrel->name, template.spec.labels, template.spec.n_labels, on_named,
                               task, &task->call);
        template_release(&template);
        return task_asked(task, r);
}

/* ---- open ---- */

/* The answer may have come before this step. */
static enum flow_verdict await_open(struct flow *flow, void *subject)
{
        struct task *task = subject;

        task->is_open_awaited = task->net_call != NULL;
        if (task->is_open_awaited)
                return FLOW_WAIT;
        if (task->open_why.kind == FAULT_NONE)
                return FLOW_NEXT;
        (void)fault_pass(flow_why(flow), &task->open_why);
        return FLOW_FAIL;
}

const struct step CLAIM_STEPS[] = {
        { "clear", step_clear, NULL, 15.0 },
        { "directory", step_directory, NULL, 0 },
        { "disk", step_disk, step_drop_disk, 35.0 },
        { "take", take, step_remove_container, 20.0 },
        { "attach", attach, forget_open, 2.0 },
        { "prove", prove, NULL, 0 },
        { "name", name, NULL, 5.0 },
        { "open", await_open, NULL, 2.0 },
        { 0 },
};
