#include "ensure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "carrel-execs.h"
#include "claim.h"
#include "clock.h"
#include "ensure-steps.h"
#include "freeze.h"
#include "hold.h"
#include "host-mounts.h"
#include "judge-ensure.h"
#include "pool-inside.h"
#include "profiles.h"
#include "retire.h"
#include "scope.h"
#include "spec.h"
#include "task.h"
#include "user-id.h"
#include "userdir.h"

enum { RETRY_AFTER_S = 1 };

/* ---- judging ---- */

/* Why the engine cannot serve: the reason that start-up waits for, else the engine's own. */
static void ask_engine(const struct pool *pool, struct ensure_facts *facts, struct engine_about *about)
{
        pool->engine->ops->about(pool->engine, about);
        facts->is_engine_available = about->is_available;
        if (!pool->has_reconciled && pool->waits_for.kind != FAULT_NONE)
                facts->obstacle = pool->waits_for.message;
        else if (!about->is_available && about->detail[0] != '\0')
                facts->obstacle = about->detail;
}

static const struct carrel_spec *spec_of(const struct carrel *carrel)
{
        return carrel->task != NULL ? &carrel->task->spec : &carrel->spec;
}

/* Why this policy cannot be served. NULL: it can. */
static const char *find_unconnectable(const struct pool *pool, enum carrel_policy policy)
{
        if (policy == POLICY_NONE)
                return NULL;
        if (pool->options.agent == POOL_AGENT_OPTIONAL)
                return "a runtime with a kernel of its own sets its network up at the start, before carreld can plug "
                       "one: "
                       "only policy none is possible";
        return netpolicy_can_connect(pool->netpolicy) ? NULL : NETPOLICY_POWERLESS;
}

/* Fills what the carrel is to be: a live one keeps what the request leaves open, unless it gets another profile. */
static int resolve(const struct pool *pool, const struct carrel *carrel, const struct carrel_spec *asked,
                   struct carrel_spec *ret_spec, struct fault *why)
{
        const struct pool_options *options = &pool->options;
        const struct carrel_spec *live = carrel != NULL && carrel_is_live(carrel) ? &carrel->spec : NULL;
        const char *name = asked->profile[0] != '\0' ? asked->profile : live != NULL ? live->profile : options->profile;
        const struct pool_profile *profile = profiles_find(options, name);
        struct host_mounts mounts = { 0 };
        struct carrel_spec spec;
        int r;

        if (name[0] != '\0' && profile == NULL)
                return profiles_refuse(options, name, why);
        if (live != NULL && strcmp(live->profile, name) != 0)
                live = NULL;
        r = spec_resolve(asked, live, profile, &options->defaults, &spec, why);
        if (r == 0)
                r = host_mounts_find(options, spec.mounts, &mounts, why);
        if (r < 0)
                return r;
        host_mounts_release(&mounts);
        *ret_spec = spec;
        return 0;
}

/* The policy that the request is for, which a carrel that serves it has already. wanted NULL: it cannot be made. */
static enum carrel_policy find_policy(const struct carrel *carrel, const struct carrel_spec *asked,
                                      const struct carrel_spec *wanted)
{
        if (carrel != NULL && carrel->state != CARREL_LOST && spec_matches(asked, spec_of(carrel)))
                return spec_of(carrel)->policy;
        return wanted != NULL ? wanted->policy : POLICY_NONE;
}

/* Whether the profile that the request names has other values by now. */
static bool is_outdated(const struct pool *pool, const struct carrel *carrel, const struct carrel_spec *asked)
{
        const struct pool_profile *profile = profiles_find(&pool->options, asked->profile);

        return profile != NULL && !spec_matches_profile(asked, profile, &carrel->spec);
}

/* Whether a warm carrel is what a start of this spec would make. */
static bool can_claim(const struct pool *pool, const char *user, const struct carrel_spec *spec)
{
        struct pool_owner owner;
        char hash[SPEC_HASH_BYTES];

        return !list_is_empty(&pool->warm.carrels) &&
               userdir_owner(pool->users_fd, user, &pool->options.owner, &owner, NULL) == 0 &&
               spec_hash(spec, &pool->options, &owner, TEMPLATE_CURRENT, hash) == 0 &&
               warm_find(&pool->warm, hash) != NULL;
}

/* Admission's answer to a cold start; GRANTED for a claim that would be refused otherwise, as it needs no place. */
static enum admission_answer ask_admission(const struct pool *pool, const char *user, const struct carrel_spec *wanted)
{
        enum admission_answer answer = admission_peek(&pool->admission);

        if (answer == ADMISSION_REFUSED && wanted != NULL && can_claim(pool, user, wanted))
                return ADMISSION_GRANTED;
        return answer;
}

/* The spec that the request is for, if it has to be put together in *room. NULL with *why: it cannot be made. */
static const struct carrel_spec *find_wanted(const struct pool *pool, const struct carrel *carrel,
                                             const struct carrel_spec *asked, struct carrel_spec *room,
                                             struct fault *why)
{
        /* The most frequent case. */
        if (carrel != NULL && carrel_is_live(carrel) && asked->profile[0] == '\0' && spec_matches(asked, &carrel->spec))
                return &carrel->spec;
        return resolve(pool, carrel, asked, room, why) == 0 ? room : NULL;
}

static enum ensure_verdict judge(const struct pool *pool, const struct carrel *carrel, const struct pool_wait *asked,
                                 struct fault *why)
{
        struct engine_about about;
        char busy[sizeof why->message];
        struct carrel_spec room = { 0 };
        bool is_named = asked->spec.profile[0] != '\0';
        const struct carrel_spec *wanted = find_wanted(pool, carrel, &asked->spec, &room, is_named ? why : NULL);

        if (is_named && wanted == NULL) /* also where the carrel that runs has this profile */
                return ENSURE_REFUSE;
        struct ensure_facts facts = {
                .is_closing = pool->is_closing,
                .has_reconciled = pool->has_reconciled,
                .is_policy_in_force = netpolicy_is_in_force(pool->netpolicy),
                .unconnectable = find_unconnectable(pool, find_policy(carrel, &asked->spec, wanted)),
                .has_carrel = carrel != NULL,
                .on_conflict = asked->on_conflict,
                .n_held = table_held(&pool->table) - pool->table.n_warm,
                .max_carrels = pool->options.max_carrels,
                .admission = ask_admission(pool, asked->user, wanted),
                .queue_retry_after_s = admission_retry_after_s(&pool->admission),
        };

        if (carrel != NULL) {
                facts.state = carrel->state;
                facts.is_frozen = carrel->state == CARREL_READY && execs_is_frozen(pool->execs, carrel->id);
                facts.is_match = spec_matches(&asked->spec, spec_of(carrel));
                facts.is_outdated = carrel_is_live(carrel) && facts.is_match && is_outdated(pool, carrel, &asked->spec);
                if (carrel_is_live(carrel) && (!facts.is_match || facts.is_outdated))
                        facts.in_the_way = carrel_in_use(carrel, busy, sizeof busy);
                facts.has_task = carrel->task != NULL;
                facts.is_thawing = freeze_is_thawing(carrel);
                facts.is_task_open = carrel->task != NULL && task_is_open(carrel->task);
        }
        /* A reuse does not need the engine, and is too frequent to query it. */
        if (facts.has_reconciled && carrel != NULL && facts.is_match && !facts.is_outdated && carrel_is_live(carrel))
                facts.is_engine_available = true;
        else
                ask_engine(pool, &facts, &about);
        return judge_ensure(&facts, why);
}

/* ---- starting ---- */

static void on_ensure_done(void *subject, const struct fault *why);
static void on_claim_done(void *subject, const struct fault *why);

static const struct flow_plan ENSURE = { "ensure", ENSURE_STEPS, task_abandon, on_ensure_done };
static const struct flow_plan CLAIM = { "claim", CLAIM_STEPS, task_abandon, on_claim_done };

/* Starts a flow: a claim, or a cold start that admission has granted. On failure nothing has changed. */
static int begin(struct task *task, const struct flow_plan *plan, struct fault *why)
{
        struct carrel *carrel = task->carrel;
        struct pool *pool = carrel->pool;
        int r = flow_start(&task->flow, pool->loop, plan, task, pool->observer);

        if (r < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot start a carrel: out of memory");
        freeze_lift(carrel);
        if (carrel->id[0] != '\0') /* after a failed claim it is empty */
                memcpy(task->stale_id, carrel->id, sizeof task->stale_id);
        (void)table_set_id(&pool->table, carrel, "");
        carrel_drop_process(carrel);
        table_set_state(&pool->table, carrel, CARREL_STARTING);
        carrel_set_reason(carrel, task->stale_id[0] != '\0' ? "is being replaced" : "is being made");
        carrel->spec = task->spec;
        carrel->template_version = TEMPLATE_CURRENT;
        carrel->spec_hash[0] = '\0'; /* step "directory" sets it */
        carrel->link = (struct netpolicy_link){ 0 };
        carrel->started_wall_ms = 0;
        carrel->oom_ms = 0;
        pool_raise_generation(carrel, 0);
        if (plan == &ENSURE) /* a claim adds no container */
                warm_make_room(&pool->warm);
        return 0;
}

/* Restores the state before the start. */
static void drop_task(struct task *task)
{
        struct carrel *carrel = task->carrel;
        enum carrel_state from = task->from;

        task_free(task);
        if (from == CARREL_QUEUED)
                pool_forget_carrel(carrel->pool, carrel);
        else
                table_set_state(&carrel->pool->table, carrel, from);
}

void ensure_withdraw(struct carrel *carrel)
{
        admission_withdraw(&carrel->pool->admission, &carrel->task->queued);
        drop_task(carrel->task);
}

void ensure_unwanted(struct carrel *carrel)
{
        if (!carrel->is_free_deferred && carrel->task != NULL && carrel->state == CARREL_QUEUED &&
            list_is_empty(&carrel->waiters))
                ensure_withdraw(carrel);
}

/* Asks admission for a cold start, which begins or is queued. */
static int start_cold(struct task *task, struct fault *why)
{
        struct carrel *carrel = task->carrel;
        struct admission *admission = &carrel->pool->admission;
        enum admission_answer answer;
        int r = 0;

        table_set_state(&carrel->pool->table, carrel, CARREL_QUEUED);
        carrel_set_reason(carrel, "waits until fewer starts run");
        answer = admission_request(admission, &task->queued);
        if (answer == ADMISSION_GRANTED)
                r = begin(task, &ENSURE, why);
        if (r < 0)
                admission_release(admission);
        if (answer == ADMISSION_REFUSED)
                r = fault_set(why, FAULT_QUEUE_FULL, EAGAIN, "too many starts are queued");
        return r;
}

/* Gives the carrel a task, which starts or is queued. `from` QUEUED: the carrel was made for this task. */
static int enter(struct carrel *carrel, const struct carrel_spec *spec, enum carrel_state from, struct fault *why)
{
        struct task *task = task_new(carrel);
        int r;

        if (task == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        task->spec = *spec;
        task->from = from;
        task->outcome = from == CARREL_QUEUED ? OUTCOME_CREATED : OUTCOME_REPLACED;
        r = can_claim(carrel->pool, carrel->user, spec) ? begin(task, &CLAIM, why) : start_cold(task, why);
        if (r < 0)
                drop_task(task);
        return r;
}

static int start(struct pool *pool, struct carrel **carrel, const struct pool_wait *asked, struct fault *why)
{
        struct carrel_spec spec;
        int r = resolve(pool, *carrel, &asked->spec, &spec, why);

        if (r < 0)
                return r;
        if (*carrel != NULL)
                return enter(*carrel, &spec, (*carrel)->state, why);
        *carrel = pool_add_carrel(pool, asked->user, CARREL_QUEUED);
        if (*carrel == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        r = enter(*carrel, &spec, CARREL_QUEUED, why);
        if (r < 0 && !(*carrel)->is_free_deferred)
                pool_forget_carrel(pool, *carrel);
        return r;
}

/* Makes a request wait at a carrel. On failure the request is unchanged. */
static int place(struct carrel *carrel, struct pool_wait *wait, enum ensure_verdict verdict, struct fault *why)
{
        int r = 0;

        if (verdict == ENSURE_START)
                r = start(wait->pool, &carrel, wait, why);
        else if (verdict == ENSURE_THAW)
                r = freeze_resume(carrel, why);
        if (r < 0)
                return r;
        wait_at(wait, carrel, &carrel->waiters);
        wait->is_with_task = verdict != ENSURE_WAIT;
        return 0;
}

/* ---- answering ---- */

static void fill_ensured(struct carrel *carrel, enum ensure_outcome outcome, const struct exec_ids *killed,
                         struct pool_ensured *ret_ensured)
{
        carrel->pool->ensures[outcome]++;
        carrel_view(carrel, clock_boottime_ms(), &ret_ensured->carrel);
        ret_ensured->outcome = outcome;
        ret_ensured->killed = killed;
}

static void fill_reused(struct carrel *carrel, struct pool_ensured *ret_ensured)
{
        carrel_touch(carrel);
        fill_ensured(carrel, OUTCOME_REUSED, NULL, ret_ensured);
        pool_tell(carrel->pool, POOL_REUSED, carrel, "", 0);
}

static void refuse_wait(struct pool_wait *wait, const struct fault *why)
{
        struct fault told = *why;

        if (told.retry_after_s == 0 && fault_is_retryable(told.kind))
                told.retry_after_s = RETRY_AFTER_S;
        wait->pool->ensure_failures++;
        wait_answer(wait, NULL, &told);
}

static void reconsider(struct pool_wait *wait)
{
        struct pool *pool = wait->pool;
        struct carrel *carrel = table_find(&pool->table, wait->user);
        struct hold *hold = hold_find(pool, wait->user);
        struct fault why = { 0 };
        enum ensure_verdict verdict = judge(pool, carrel, wait, &why);
        struct pool_ensured ensured;

        if (hold != NULL && verdict != ENSURE_REFUSE) {
                list_append(&hold->waits, &wait->node);
                return;
        }

        if (verdict == ENSURE_REUSE) {
                fill_reused(carrel, &ensured);
                wait_answer(wait, &ensured, NULL);
                return;
        }
        if (verdict == ENSURE_REFUSE || place(carrel, wait, verdict, &why) < 0)
                refuse_wait(wait, &why);
}

void ensure_reconsider(struct list *waits)
{
        for (struct pool_wait *wait = wait_pop(waits); wait != NULL; wait = wait_pop(waits))
                reconsider(wait);
}

/* A callback may do anything to the carrel, so its state is checked again for each request. */
void ensure_hand_out(struct carrel *carrel, struct list *waits, enum ensure_outcome outcome,
                     const struct exec_ids *killed, const struct fault *why)
{
        uint64_t generation = carrel->generation;
        struct pool_ensured ensured;

        for (struct pool_wait *wait = wait_pop(waits); wait != NULL; wait = wait_pop(waits)) {
                bool is_answer = why != NULL || (!carrel->is_free_deferred && carrel->state == CARREL_READY &&
                                                 carrel->generation == generation);

                if (!wait->is_with_task || !is_answer) {
                        reconsider(wait);
                } else if (why != NULL) {
                        refuse_wait(wait, why);
                } else {
                        fill_ensured(carrel, outcome, killed, &ensured);
                        wait_answer(wait, &ensured, NULL);
                }
        }
}

/* After a failed start: if the old container was not cleared, the carrel is LOST with it. */
static void settle_failure(struct task *task, const struct fault *why)
{
        struct carrel *carrel = task->carrel;
        struct table *table = &carrel->pool->table;

        carrel_set_fault(carrel, why);
        if (task->stale_id[0] == '\0' || table_set_id(table, carrel, task->stale_id) < 0)
                return;
        table_set_state(table, carrel, CARREL_LOST);
        carrel_set_reason(carrel, "could not be replaced");
}

/* Settles the state before any callback: a callback may make any request. */
static void finish(struct task *task, const struct fault *why)
{
        static const enum pool_event_kind EVENTS[OUTCOMES] = {
                [OUTCOME_CREATED] = POOL_CREATED, [OUTCOME_REPLACED] = POOL_REPLACED, [OUTCOME_CLAIMED] = POOL_CLAIMED
        };
        struct carrel *carrel = task->carrel;
        struct pool *pool = carrel->pool;
        enum ensure_outcome outcome = task->outcome;
        double duration_s = clock_boottime_s() - task->began_s;
        bool is_unclean = task->is_undo_unclean;
        AUTO(auto_free) struct exec_ids *killed = TAKE(task->killed);
        char detail[48] = "";
        struct list waits;

        list_init(&waits);
        list_move_all(&carrel->waiters, &waits);
        if (why == NULL)
                pool_carrel_ready(carrel, CARREL_READY, 0, 0);
        else
                settle_failure(task, why);
        task_free(task);
        retire_after_start(carrel, is_unclean);
        if (killed != NULL)
                (void)snprintf(detail, sizeof detail, "programs killed: %zu", killed->n);
        if (why != NULL)
                pool_tell(pool, POOL_ENSURE_FAILED, carrel, why->message, duration_s);
        else
                pool_tell(pool, EVENTS[outcome], carrel, detail, duration_s);
        ensure_hand_out(carrel, &waits, outcome, killed, why);
}

static void on_ensure_done(void *subject, const struct fault *why)
{
        struct task *task = subject;
        struct pool *pool = task->carrel->pool;

        task->flow = NULL; /* it frees itself */
        admission_release(&pool->admission);
        ev_timer_start(pool->loop, &pool->grant);
        if (why != NULL && why->kind == FAULT_RESOURCE_EXHAUSTED)
                warm_give_way(&pool->warm);
        warm_kick(&pool->warm);
        finish(task, why);
}

/* The waiters of a failed claim get a cold start, unless the carrel is to be removed. Its container was removed, or is
 * an orphan for the next sweep. A container that was to be cleared first and could not be is cleared again by that
 * start. */
static void on_claim_done(void *subject, const struct fault *why)
{
        struct task *task = subject;
        struct carrel *carrel = task->carrel;
        bool is_wanted = list_is_empty(&carrel->retirers);
        struct fault own = { 0 };

        task->flow = NULL; /* it frees itself */
        if (task->has_taken && (why == NULL || (why->kind != FAULT_CANCELLED && why->kind != FAULT_CARREL_LOST)))
                warm_note_claim(&carrel->pool->warm, why);
        if (why == NULL && task->outcome == OUTCOME_CREATED)
                task->outcome = OUTCOME_CLAIMED;
        if (why != NULL && is_wanted && why->kind != FAULT_CANCELLED) {
                /* Another claim that came first took the last one: nothing is wrong. */
                bool has_failed = task->has_taken || why->kind != FAULT_NOT_FOUND;
                double duration_s = clock_boottime_s() - task->began_s;

                carrel->pool->claim_failures += has_failed;
                task->from = task->stale_id[0] != '\0' ? CARREL_LOST : CARREL_QUEUED;
                task->is_undo_unclean = false;
                task->has_died = false;
                if (start_cold(task, &own) == 0) {
                        if (has_failed)
                                pool_tell(carrel->pool, POOL_CLAIM_FAILED, carrel, why->message, duration_s);
                        return;
                }
                table_set_state(&carrel->pool->table, carrel, CARREL_STARTING);
                why = &own;
        }
        finish(task, why);
}

void ensure_grant(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct pool *pool = timer->data;

        for (struct list *node = admission_next(&pool->admission); node != NULL;
             node = admission_next(&pool->admission)) {
                struct task *task = LIST_ENTRY(node, struct task, queued);
                struct fault why = { 0 };
                struct list waits;

                if (begin(task, &ENSURE, &why) == 0)
                        continue;
                list_init(&waits);
                list_move_all(&task->carrel->waiters, &waits);
                admission_release(&pool->admission);
                drop_task(task);
                wait_answer_all(&waits, &why);
        }
}

/* ---- the main road ---- */

void pool_ensure(struct pool *pool, const char *user, const struct carrel_spec *spec, enum on_conflict on_conflict,
                 pool_on_ensured on_ensured, void *arg, struct pool_wait **ret_wait)
{
        struct pool_wait asked = { .pool = pool, .spec = *spec, .on_conflict = on_conflict };
        struct pool_ensured ensured;
        struct carrel *carrel = NULL;
        struct pool_wait *wait;
        struct hold *hold = NULL;
        struct fault why = { 0 };
        enum ensure_verdict verdict = ENSURE_REFUSE;

        *ret_wait = NULL;
        if (user_id_check(user, strnlen(user, USER_ID_MAX + 1), &why) == 0) {
                memcpy(asked.user, user, strlen(user) + 1);
                hold = hold_find(pool, user);
                carrel = table_find(&pool->table, user);
                verdict = judge(pool, carrel, &asked, &why);
        }
        if (verdict == ENSURE_REUSE) {
                fill_reused(carrel, &ensured);
                on_ensured(arg, &ensured, NULL);
                return;
        }
        asked.on_ensured = on_ensured;
        asked.arg = arg;
        wait = verdict != ENSURE_REFUSE ? wait_new(&asked) : NULL;
        if (wait != NULL && hold != NULL) {
                list_append(&hold->waits, &wait->node); /* it is judged again when the files were copied */
                *ret_wait = wait;
                return;
        }
        if (wait != NULL && place(carrel, wait, verdict, &why) == 0) {
                *ret_wait = wait;
                return;
        }
        pool_leave(wait);
        if (why.kind == FAULT_NONE)
                (void)fault_set(&why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        pool->ensure_failures++;
        on_ensured(arg, NULL, &why);
}
