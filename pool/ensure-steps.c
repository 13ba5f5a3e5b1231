#include "ensure-steps.h"

#include <errno.h>
#include <string.h>

#include "carrel-execs.h"
#include "names.h"
#include "pool-inside.h"
#include "steps.h"
#include "task.h"
#include "template.h"
#include "user-mount.h"
#include "userdir.h"

enum { CREATES_MAX = 3 };

/* ---- clear: removes the previous container; its execs end ---- */

static void on_cleared(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct task *task = arg;

        task->call = NULL;
        if (why == NULL)
                task->stale_id[0] = '\0';
        task_resume(task, why);
}

enum flow_verdict step_clear(struct flow *flow, void *subject)
{
        struct task *task = subject;
        struct engine *engine = task->carrel->pool->engine;

        if (task->stale_id[0] == '\0')
                return FLOW_NEXT;
        if (task->killed == NULL) /* else a claim that failed afterwards has done so */
                task->killed = carrel_execs_ids(task->carrel);
        execs_container_lost(task->carrel->pool->execs, task->stale_id, false);
        return task_asked(task, engine->ops->remove(engine, task->stale_id, on_cleared, task, &task->call));
}

enum flow_verdict step_directory(struct flow *flow, void *subject)
{
        const struct task *task = subject;
        struct carrel *carrel = task->carrel;
        const struct pool_options *options = &carrel->pool->options;
        int r;

        carrel->has_image = userdir_has_image(carrel->pool->users_fd, carrel->user, options->has_images);
        if (carrel->has_image ? userdir_owner(carrel->pool->users_fd, carrel->user, &options->owner, &carrel->owner,
                                              flow_why(flow)) < 0
                              : userdir_prepare(carrel->pool->users_fd, carrel->user, &options->owner, &carrel->owner,
                                                flow_why(flow)) < 0)
                return FLOW_FAIL;
        r = spec_hash(&carrel->spec, options, &carrel->owner, carrel->template_version, carrel->spec_hash);
        if (r == 0)
                return FLOW_NEXT;
        if (r == -ENOMEM)
                (void)fault_set(flow_why(flow), FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        else
                (void)fault_set(flow_why(flow), FAULT_REQUEST_INVALID, -r, "the settings have changed: ask again");
        return FLOW_FAIL;
}

/* ---- create: if the name is taken, look at the container that has it; remove ours and try again ---- */

static int ask_create(struct task *task, struct fault *why);

static void on_taken_removed(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct task *task = arg;
        struct fault own = { 0 };

        task->call = NULL;
        if (why == NULL && ask_create(task, &own) < 0)
                why = &own;
        if (why != NULL)
                flow_fail(task->flow, why);
}

/* Removes the container that has our name, if it is ours. 0: the removal is under way. */
static int settle_taken(struct task *task, const struct engine_reply *reply, struct fault *why)
{
        const struct carrel *carrel = task->carrel;
        struct engine *engine = carrel->pool->engine;

        if (reply->n_containers != 1 || !template_is_ours(reply->containers, &carrel->pool->options, carrel->user))
                return fault_set(why, FAULT_NAME_TAKEN, EEXIST,
                                 "a container of another owner has the name %s: remove or rename it, "
                                 "or set another prefix",
                                 carrel->name);
        task->outcome = OUTCOME_REPLACED;
        if (engine->ops->remove(engine, reply->containers->id, on_taken_removed, task, &task->call) < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        return 0;
}

static void on_taken_found(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct task *task = arg;
        struct fault own = { 0 };
        int r;

        task->call = NULL;
        if (why != NULL && why->kind != FAULT_NOT_FOUND) {
                flow_fail(task->flow, why);
                return;
        }
        r = why == NULL ? settle_taken(task, reply, &own) : ask_create(task, &own);
        if (r < 0)
                flow_fail(task->flow, &own);
}

static int look_who_has_name(struct task *task, struct fault *why)
{
        struct engine *engine = task->carrel->pool->engine;

        if (task->creates >= CREATES_MAX)
                return fault_set(why, FAULT_NAME_TAKEN, EEXIST, "the name %s was taken again after each removal",
                                 task->carrel->name);
        if (engine->ops->inspect(engine, task->carrel->name, on_taken_found, task, &task->call) < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        return 0;
}

static int take_id(struct carrel *carrel, const char *id, struct fault *why)
{
        if (id == NULL || id[0] == '\0' || table_set_id(&carrel->pool->table, carrel, id) < 0)
                return fault_set(why, FAULT_ENGINE_REFUSED, EBADMSG, "the engine gave no usable container id");
        return 0;
}

static void on_created(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct task *task = arg;
        struct fault own = { 0 };
        bool is_taken = why != NULL && why->kind == FAULT_NAME_TAKEN;

        task->call = NULL;
        if (is_taken && look_who_has_name(task, &own) == 0)
                return;
        if (is_taken || (why == NULL && take_id(task->carrel, reply->id, &own) < 0))
                why = &own;
        task_resume(task, why);
}

static int ask_create(struct task *task, struct fault *why)
{
        const struct carrel *carrel = task->carrel;
        struct pool *pool = carrel->pool;
        struct template template;
        int r = carrel_template(carrel, &template, why);

        if (r < 0)
                return r;
        task->creates++;
        r = pool->engine->ops->create(pool->engine, &template.spec, on_created, task, &task->call);
        template_release(&template);
        if (r < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot create a container: %s",
                                 strerrordesc_np(-r));
        return 0;
}

/* The slot that the previous container had is free only now that it has gone. */
static enum flow_verdict listen_in_new_slot(struct flow *flow, void *subject)
{
        const struct task *task = subject;
        int r = pool_renew_agent_slot(task->carrel);

        if (r == 0)
                return step_listen(flow, subject);
        (void)fault_set(flow_why(flow), FAULT_RESOURCE_EXHAUSTED, -r, "cannot name the agent's directory: %s",
                        strerrordesc_np(-r));
        return FLOW_FAIL;
}

static enum flow_verdict create_container(struct flow *flow, void *subject)
{
        const struct task *task = subject;

        return names_write(task->carrel, flow_why(flow)) < 0 || ask_create(subject, flow_why(flow)) < 0 ? FLOW_FAIL
                                                                                                        : FLOW_WAIT;
}

/* ---- undo of create: whatever the answer was, a container may exist. It is removed by its id if that is known, else
 * looked up by name and removed only if its labels say that this flow made it ---- */

static void on_create_undone(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct task *task = arg;

        task->call = NULL;
        task->is_undo_unclean = why != NULL;
        if (why == NULL)
                (void)table_set_id(&task->carrel->pool->table, task->carrel, "");
        task_resume(task, why);
}

static int ask_remove(struct task *task, const char *id)
{
        struct engine *engine = task->carrel->pool->engine;

        return engine->ops->remove(engine, id, on_create_undone, task, &task->call);
}

static void on_left_found(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct task *task = arg;
        const struct carrel *carrel = task->carrel;
        bool is_this_flows = why == NULL && reply->n_containers == 1 &&
                             template_is_ours(reply->containers, &carrel->pool->options, carrel->user) &&
                             template_generation(reply->containers) == carrel->generation;
        struct fault own = { 0 };

        task->call = NULL;
        if (is_this_flows && ask_remove(task, reply->containers->id) == 0)
                return;
        if (is_this_flows) {
                (void)fault_set(&own, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
                why = &own;
        }
        if (why != NULL && why->kind == FAULT_NOT_FOUND)
                why = NULL;
        task->is_undo_unclean = why != NULL;
        task_resume(task, why);
}

enum flow_verdict step_remove_container(struct flow *flow, void *subject)
{
        struct task *task = subject;
        struct carrel *carrel = task->carrel;
        struct engine *engine = carrel->pool->engine;

        if (task->creates == 0 && carrel->id[0] == '\0')
                return FLOW_NEXT;
        task->is_undo_unclean = true; /* until the engine confirms the removal */
        carrel_drop_process(carrel);
        if (carrel->id[0] != '\0')
                return task_asked(task, ask_remove(task, carrel->id));
        return task_asked(task, engine->ops->inspect(engine, carrel->name, on_left_found, task, &task->call));
}

/* ---- start ---- */

static void on_started(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct task *task = arg;

        task->call = NULL;
        task_resume(task, why);
}

/* The undo of create also undoes a start: removing a container kills it. */
static enum flow_verdict start_container(struct flow *flow, void *subject)
{
        struct task *task = subject;
        struct engine *engine = task->carrel->pool->engine;

        return task_asked(task, engine->ops->start(engine, task->carrel->id, on_started, task, &task->call));
}

const struct step ENSURE_STEPS[] = {
        /* WARM_STEPS leaves these out. */
        { "clear", step_clear, NULL, 15.0 },
        { "directory", step_directory, NULL, 0 },
        { "disk", step_disk, step_drop_disk, 35.0 },
        { "mounts", step_mounts, NULL, 0 },
        { "listen", listen_in_new_slot, step_hang_up, 0 },
        { "create", create_container, step_remove_container, 20.0 },
        { "confine", step_confine, NULL, 10.0 },
        { "start", start_container, NULL, 15.0 },
        { "identify", step_identify, NULL, 10.0 },
        { "verify", step_verify, NULL, 15.0 },
        { "seal", step_remount, NULL, 15.0 },
        { "attach", step_attach_disk, NULL, 2.0 },
        { "prove", step_prove_disk, NULL, 0 },
        { "plug", step_plug, NULL, 15.0 },
        { "greet", step_greet, NULL, 15.0 },
        { "confirm", step_confirm, NULL, 10.0 },
        { 0 },
};
