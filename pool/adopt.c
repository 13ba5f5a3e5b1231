/* pool_adopt: a running container of an earlier carreld becomes its user's carrel again, if it is what we would make
 * ourselves. It is inspected and then takes the later steps of a start. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "ensure.h"
#include "freeze.h"
#include "orphan-call.h"
#include "pool-inside.h"
#include "proc-file.h"
#include "reclaim.h"
#include "retire.h"
#include "spec.h"
#include "steps.h"
#include "survey.h"
#include "task.h"
#include "template.h"
#include "userdir.h"

static const char THAWED[] = "adopted from an earlier carreld, and thawed: its agent had to call home";

/* The agent of a frozen container cannot connect, and adoption would fail. The engine has resumed what it paused; this
 * thaws what the earlier carreld, or somebody else, froze by the cgroup. */
static enum flow_verdict step_thaw(struct flow *flow, void *subject)
{
        const struct task *task = subject;
        struct carrel *carrel = task->carrel;

        (void)flow;
        if (execs_thaw(carrel->pool->execs, carrel->id, carrel->pid) || task->is_paused)
                carrel_set_reason(carrel, THAWED);
        reclaim_repair(carrel);
        return FLOW_NEXT;
}

static const struct step STEPS[] = {
        { "listen", step_listen, step_hang_up, 0 },
        { "confine", step_confine, NULL, 10.0 },
        { "unpause", step_unpause, NULL, 10.0 },
        { "identify", step_identify, NULL, 10.0 },
        { "thaw", step_thaw, NULL, 0 },
        { "verify", step_verify, NULL, 0 },
        { "seal", step_remount, NULL, 15.0 },
        { "plug", step_plug, NULL, 15.0 },
        { "greet", step_greet, NULL, 15.0 },
        { "confirm", step_confirm, NULL, 10.0 },
        { 0 },
};

/* The carrel's age counts from the start of the container's process, so a restart of carreld does not reset it. 0:
 * there is no process. */
static int64_t process_began_ms(int pid)
{
        struct process process;
        long ticks_a_second = sysconf(_SC_CLK_TCK);

        if (pid <= 0 || ticks_a_second <= 0 || process_read(pid, &process) < 0)
                return 0;
        return (int64_t)(process.start_ticks * 1000 / (uint64_t)ticks_a_second);
}

static void on_adopt_done(void *subject, const struct fault *why)
{
        struct task *task = subject;
        struct carrel *carrel = task->carrel;
        struct pool *pool = carrel->pool;
        double duration_s = clock_boottime_s() - task->began_s;
        pool_on_done on_done = task->on_done;
        void *arg = task->arg;
        struct list waits;

        list_init(&waits);
        list_move_all(&carrel->waiters, &waits);
        task->flow = NULL;                                                 /* it frees itself */
        if (why == NULL && task->recalled_generation > carrel->generation) /* the label is of before a claim */
                pool_raise_generation(carrel, task->recalled_generation);
        if (why == NULL)
                pool_carrel_ready(carrel, CARREL_READY, process_began_ms(carrel->pid), carrel->last_use_ms);
        task_free(task);
        retire_after_start(carrel, why != NULL);
        if (why == NULL)
                pool_tell(pool, POOL_ADOPTED, carrel, "", duration_s);
        on_done(arg, why);
        if (why == NULL)
                ensure_hand_out(carrel, &waits, OUTCOME_REUSED, NULL, NULL);
        else
                ensure_reconsider(&waits);
}

static const struct flow_plan ADOPT = { "adopt", STEPS, task_abandon, on_adopt_done };

static int refuse(struct fault *why, const char *sentence)
{
        return fault_set(why, FAULT_ENGINE_REFUSED, EINVAL, "not adopted: %s", sentence);
}

static int check_container(const struct pool *pool, const struct container_info *info, const char *wanted_id,
                           struct carrel_spec *ret_spec, enum template_version *ret_version, struct fault *why)
{
        const char *user = template_user(info, pool->options.prefix);
        size_t prefix = strlen(pool->options.prefix);

        *ret_version = survey_adoptable(pool, info, ret_spec);
        if (strcmp(info->id, wanted_id) != 0 || *ret_version == TEMPLATE_NONE)
                return refuse(why, "it is not what this pool would make");
        if (strncmp(info->name, pool->options.prefix, prefix) != 0 || strcmp(info->name + prefix, user) != 0)
                return refuse(why, "its name is not that of its user's carrel");
        if (table_find(&pool->table, user) != NULL)
                return refuse(why, "its user has a carrel already");
        if (table_find_slot(&pool->table, agent_slot_of(info)) != NULL)
                return refuse(why, "another carrel has the directory of its agent");
        if (table_held(&pool->table) >= pool->options.max_carrels)
                return refuse(why, "max_carrels is reached");
        return 0;
}

/* Reads the earlier carreld's entry in the ledger. Must come before the slot is claimed. Returns the entry's
 * generation, or 0. */
static uint64_t recall(struct carrel *carrel)
{
        struct ledger_entry entry;

        if (!ledger_recall(carrel->pool->ledger, carrel->user, clock_boottime_ms(), &entry))
                return 0;
        carrel->last_use_ms = entry.last_use_ms;
        carrel->lease_until_ms = entry.lease_until_ms;
        return entry.generation;
}

/* On failure the caller forgets the carrel. */
static int enter(struct carrel *carrel, const struct container_info *info, const struct carrel_spec *spec,
                 enum template_version version, const struct orphan_call *orphan_call, struct fault *why)
{
        struct pool *pool = carrel->pool;
        struct task *task = task_new(carrel);

        carrel->spec = *spec;
        if (task == NULL || table_set_id(&pool->table, carrel, info->id) < 0 ||
            table_set_slot(&pool->table, carrel, agent_slot_of(info)) < 0 ||
            userdir_owner(pool->users_fd, carrel->user, &pool->options.owner, &carrel->owner, NULL) < 0 ||
            spec_hash(spec, &pool->options, &carrel->owner, version, carrel->spec_hash) < 0 ||
            (version >= TEMPLATE_4 && carrel_find_mounts(carrel, NULL) < 0) ||
            flow_start(&task->flow, pool->loop, &ADOPT, task, pool->observer) < 0) {
                task_free(task);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "cannot adopt a container: out of memory");
        }
        task->is_paused = info->status == CONTAINER_PAUSED;
        task->spec = *spec;
        carrel->template_version = version;
        task->on_done = orphan_call->on_done;
        task->arg = orphan_call->arg;
        carrel_set_reason(carrel, "adopted from an earlier carreld");
        task->recalled_generation = recall(carrel);
        pool_raise_generation(carrel, template_generation(info));
        return 0;
}

static void on_inspected(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct orphan_call *orphan_call = arg;
        struct pool *pool = orphan_call->pool;
        enum template_version version = TEMPLATE_NONE;
        struct carrel_spec spec;
        struct carrel *carrel = NULL;
        struct fault own = { 0 };
        int r = 0;

        orphan_call->call = NULL;
        if (why != NULL)
                r = fault_pass(&own, why);
        else if (reply->n_containers != 1)
                r = refuse(&own, "the engine's answer does not describe it");
        else
                r = check_container(pool, reply->containers, orphan_call->container_id, &spec, &version, &own);
        if (r == 0) {
                carrel = pool_add_carrel(pool, template_user(reply->containers, pool->options.prefix), CARREL_STARTING);
                r = carrel != NULL ? enter(carrel, reply->containers, &spec, version, orphan_call, &own)
                                   : fault_set(&own, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        }
        if (r == 0) {
                orphan_call_free(orphan_call); /* the flow answers its caller */
                return;
        }
        if (carrel != NULL)
                pool_forget_carrel(pool, carrel);
        orphan_call_done(orphan_call, &own);
}

int pool_adopt(struct pool *pool, const char *container_id, pool_on_done on_done, void *arg)
{
        struct orphan_call *orphan_call;
        int r;

        if (table_find_id(&pool->table, container_id) != NULL)
                return -EBUSY;
        orphan_call = orphan_call_new(pool, container_id, on_done, arg);
        if (orphan_call == NULL)
                return -ENOMEM;
        r = pool->engine->ops->inspect(pool->engine, orphan_call->container_id, on_inspected, orphan_call,
                                       &orphan_call->call);
        if (r < 0)
                orphan_call_free(orphan_call);
        return r;
}
