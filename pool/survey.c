#include "survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent-slot.h"
#include "orphan-call.h"
#include "scope.h"
#include "spec.h"
#include "str.h"
#include "template.h"
#include "user-id.h"
#include "userdir.h"

enum template_version survey_adoptable(const struct pool *pool, const struct container_info *info,
                                       struct carrel_spec *ret_spec)
{
        const char *json = container_label(info, LABEL_SPEC);
        const char *claimed = container_label(info, LABEL_SPEC_HASH);
        const char *user = template_user(info, pool->options.prefix);
        struct pool_owner owner;
        enum template_version version;

        if ((info->status != CONTAINER_RUNNING && info->status != CONTAINER_PAUSED) || json == NULL ||
            claimed == NULL || template_generation(info) == 0 || !user_id_is_valid(user) ||
            !template_is_ours(info, &pool->options, NULL) || spec_decode(json, ret_spec) < 0 ||
            userdir_owner(pool->users_fd, user, &pool->options.owner, &owner, NULL) < 0 ||
            (ret_spec->policy != POLICY_NONE && !netpolicy_can_connect(pool->netpolicy)))
                return TEMPLATE_NONE;
        version = spec_version_of(ret_spec, &pool->options, &owner, claimed);
        return agent_slot_of(info) != NULL ? version : TEMPLATE_NONE;
}

static bool is_alive(const struct container_info *info)
{
        return info->status == CONTAINER_RUNNING || info->status == CONTAINER_PAUSED;
}

/* By its id, as a claim changes the name; or by its name, while the id is not known. */
static const struct carrel *find_carrel(const struct pool *pool, const struct container_info *info)
{
        const char *user = template_user(info, pool->options.prefix);
        const struct carrel *carrel = table_find_id(&pool->table, info->id);

        return carrel != NULL || user == NULL ? carrel : table_find(&pool->table, user);
}

static enum survey_claim claim_of(const struct pool *pool, const struct container_info *info)
{
        const struct carrel *carrel = find_carrel(pool, info);
        bool is_held = carrel != NULL && (carrel_is_live(carrel) || carrel->state == CARREL_WARM);
        struct carrel_spec spec;

        if (carrel != NULL && carrel->task != NULL)
                return CLAIM_IN_FLOW;
        if (is_held && strcmp(carrel->id, info->id) == 0)
                return CLAIM_OURS;
        if (carrel != NULL)
                return CLAIM_ORPHAN;
        return survey_adoptable(pool, info, &spec) != TEMPLATE_NONE ? CLAIM_ADOPTABLE : CLAIM_ORPHAN;
}

/* Keeps the containers of this pool. The pool's label alone is not enough: another product may use it. */
static size_t judge_list(const struct pool *pool, const struct engine_reply *reply, struct survey_container *ret_found)
{
        size_t count = 0;

        for (size_t i = 0; i < reply->n_containers; i++) {
                const struct container_info *info = &reply->containers[i];
                const char *user = template_user(info, pool->options.prefix);
                struct survey_container *found = &ret_found[count];

                if (!template_is_ours(info, &pool->options, NULL) ||
                    str_copy(found->id, sizeof found->id, info->id) < 0 ||
                    str_copy(found->user, sizeof found->user, user_id_is_valid(user) ? user : "") < 0)
                        continue;
                found->claim = claim_of(pool, info);
                found->is_running = is_alive(info);
                count++;
        }
        return count;
}

static int compare_ids(const void *a, const void *b)
{
        return strcmp(((const struct survey_container *)a)->id, ((const struct survey_container *)b)->id);
}

static bool is_listed(const struct carrel *carrel, const struct survey_container *sorted, size_t count, bool must_run)
{
        struct survey_container key = { 0 };
        const struct survey_container *found;

        memcpy(key.id, carrel->id, sizeof key.id);
        found = bsearch(&key, sorted, count, sizeof *sorted, compare_ids);
        return found != NULL && (found->is_running || !must_run);
}

/* Finds the READY carrels that the list does not show as running, for ret_missing, and forgets LOST carrels whose
 * container does not exist any more. */
static size_t find_missing(struct pool *pool, const struct survey_container *sorted, size_t count,
                           const char **ret_missing)
{
        struct carrel *carrel;
        struct carrel *next;
        size_t n_missing = 0;

        HASH_ITER(by_user, pool->table.users, carrel, next)
        {
                if (carrel->task != NULL || carrel->ready_number > pool->survey.asked_at_ready_number)
                        continue;
                if (carrel_is_live(carrel) && !is_listed(carrel, sorted, count, true))
                        ret_missing[n_missing++] = carrel->user;
                else if (carrel->state == CARREL_WARM && !is_listed(carrel, sorted, count, true))
                        pool_carrel_lost(carrel, "the engine does not list its container", false);
                else if (carrel->state == CARREL_LOST && !is_listed(carrel, sorted, count, false))
                        pool_forget_carrel(pool, carrel);
        }
        return n_missing;
}

/* Ends the survey, then calls back. */
static void finish(struct pool *pool, const struct survey *survey, const struct fault *why)
{
        pool_on_survey on_survey = pool->survey.on_survey;
        void *arg = pool->survey.arg;

        pool->survey = (struct survey_task){ 0 };
        on_survey(arg, survey, why);
}

static void on_listed(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct pool *pool = arg;
        AUTO(auto_free) struct survey_container *found = NULL;
        AUTO(auto_free) const char **missing = NULL;
        struct survey survey = { 0 };
        struct fault own = { 0 };

        pool->survey.call = NULL;
        if (why == NULL) {
                found = calloc(reply->n_containers + 1, sizeof *found);
                missing = calloc(HASH_CNT(by_user, pool->table.users) + 1, sizeof *missing);
        }
        if (why == NULL && (found == NULL || missing == NULL)) {
                (void)fault_set(&own, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
                why = &own;
        }
        if (why != NULL) {
                finish(pool, NULL, why);
                return;
        }
        survey.n_containers = judge_list(pool, reply, found);
        qsort(found, survey.n_containers, sizeof *found, compare_ids);
        (void)find_missing(pool, found, survey.n_containers, missing);
        survey.containers = found;
        survey.missing = missing;
        finish(pool, &survey, NULL);
}

int pool_survey(struct pool *pool, pool_on_survey on_survey, void *arg)
{
        struct engine *engine = pool->engine;
        int r;

        if (pool->survey.on_survey != NULL)
                return -EBUSY;
        pool->survey = (struct survey_task){ .on_survey = on_survey, .arg = arg };
        pool->survey.asked_at_ready_number = pool->last_ready_number;
        r = engine->ops->list(engine, LABEL_POOL, pool->options.pool, on_listed, pool, &pool->survey.call);
        if (r < 0)
                pool->survey = (struct survey_task){ 0 };
        return r;
}

void survey_cancel(struct pool *pool)
{
        engine_cancel(pool->survey.call);
        pool->survey = (struct survey_task){ 0 };
}

static void on_discarded(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct orphan_call *orphan_call = arg;
        struct pool *pool = orphan_call->pool;
        struct carrel *lost = table_find_id(&pool->table, orphan_call->container_id);
        const struct pool_event event = { .kind = POOL_ORPHAN_REMOVED, .container_id = orphan_call->container_id };

        orphan_call->call = NULL;
        if (why == NULL && lost != NULL && lost->state == CARREL_LOST)
                pool_forget_carrel(pool, lost);
        if (why == NULL)
                listeners_tell(&pool->listeners, &event);
        orphan_call_done(orphan_call, why);
}

static int ask_removal(struct orphan_call *orphan_call)
{
        struct engine *engine = orphan_call->pool->engine;

        return engine->ops->remove(engine, orphan_call->container_id, on_discarded, orphan_call, &orphan_call->call);
}

/* An earlier carreld may have frozen it, which the engine does not know: on cgroup v1 its processes would not die. */
static void on_inspected(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct orphan_call *orphan_call = arg;
        struct fault no_memory = { 0 };
        int r;

        orphan_call->call = NULL;
        if (why == NULL && reply->n_containers == 1)
                (void)execs_thaw(orphan_call->pool->execs, reply->containers[0].id, reply->containers[0].pid);
        r = ask_removal(orphan_call);
        if (r == 0)
                return;
        (void)fault_set(&no_memory, FAULT_RESOURCE_EXHAUSTED, -r, "cannot remove a container: %s", strerrordesc_np(-r));
        orphan_call_done(orphan_call, &no_memory);
}

int pool_discard(struct pool *pool, const char *container_id, pool_on_done on_done, void *arg)
{
        const struct carrel *carrel = table_find_id(&pool->table, container_id);
        struct orphan_call *orphan_call;
        int r;

        if (carrel != NULL && carrel->state != CARREL_LOST)
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
