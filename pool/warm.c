#include "warm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "attach.h"
#include "clock.h"
#include "ensure-steps.h"
#include "lxcfs.h"
#include "pool-inside.h"
#include "retire.h"
#include "spec.h"
#include "task.h"
#include "user-id.h"

/* The pause between two starts, which leaves a core to the users; between two looks at the ages; and after failures. */
#define PAUSE_S 0.02
#define LOOK_S 5.0
/* How long a user has for another try, in which no new one takes what a warm carrel has given back. */
#define GIVE_WAY_S 10.0
#define BACKOFF_FIRST_S 1.0
#define BACKOFF_MOST_S 60.0

static void plan_look(struct warm *warm, double after_s)
{
        struct ev_loop *loop = warm->pool->loop;

        ev_timer_stop(loop, &warm->tick);
        ev_timer_set(&warm->tick, after_s, 0.0);
        ev_timer_start(loop, &warm->tick);
}

/* Whether the user's directory could be attached to a carrel. Where ids are mapped, mounts must be, too. */
static bool can_attach(const struct warm *warm)
{
        struct engine *engine = warm->pool->engine;
        struct engine_about about = { 0 };

        if (warm->attach == NULL || !attach_is_available(warm->attach))
                return false;
        engine->ops->about(engine, &about);
        return !about.has_user_namespaces || attach_can_map(warm->attach);
}

static const char *explain_attach(const struct warm *warm)
{
        return warm->attach != NULL ? attach_obstacle(warm->attach) : "this runtime takes no mount after the start";
}

/* ---- making one ---- */

static double next_backoff_s(double last_s)
{
        double next_s = last_s > 0 ? last_s * 2 : BACKOFF_FIRST_S;

        return next_s < BACKOFF_MOST_S ? next_s : BACKOFF_MOST_S;
}

static void tell(const struct warm *warm, enum pool_event_kind kind, const char *user, const char *detail)
{
        const struct pool_event event = { .kind = kind, .user = user, .container_id = "", .detail = detail };

        listeners_tell(&warm->pool->listeners, &event);
}

static bool is_of(const struct warm_target *target, const char *image, const char *profile)
{
        return strcmp(target->image, image) == 0 && strcmp(target->profile, profile) == 0;
}

/* NULL: the settings do not name the image with this profile any more. */
static struct warm_try *find_try(struct warm *warm, const char *image, const char *profile)
{
        for (size_t i = 0; i < warm->targets.n; i++)
                if (is_of(&warm->targets.at[i], image, profile))
                        return &warm->tries[i];
        return NULL;
}

static void note_success(struct warm *warm, const struct carrel *carrel)
{
        struct warm_try *try = find_try(warm, carrel->spec.image, carrel->spec.profile);

        if (try != NULL)
                *try = (struct warm_try){ 0 };
}

static void note_failure(struct warm *warm, const char *user, const char *image, const char *profile,
                         const struct fault *why)
{
        struct warm_try *try = find_try(warm, image, profile);
        bool is_missing = why->kind == FAULT_IMAGE_MISSING;
        struct fault told = *why;

        if (is_missing)
                (void)fault_set(&told, why->kind, why->err,
                                "the setting warm names the image %s, which is not there: get it with carrel image "
                                "load, pull or build, or correct warm",
                                image);
        warm->failures++;
        if (try != NULL) {
                try->backoff_s = next_backoff_s(try->backoff_s);
                try->retry_at_s = clock_boottime_s() + try->backoff_s;
                (void)snprintf(try->failure, sizeof try->failure, "%s", told.message);
                warm->has_failed = true;
        }
        tell(warm, is_missing ? POOL_WARM_IMAGE_MISSING : POOL_WARM_FAILED, user, told.message);
}

static void on_warm_done(void *subject, const struct fault *why)
{
        struct task *task = subject;
        struct carrel *carrel = task->carrel;
        struct pool *pool = carrel->pool;
        struct warm *warm = &pool->warm;

        task->flow = NULL; /* it frees itself */
        task_free(task);
        warm->n_starting--;
        if (why == NULL) {
                note_success(warm, carrel);
                pool_carrel_ready(carrel, CARREL_WARM, 0, 0);
        } else {
                note_failure(warm, carrel->user, carrel->spec.image, carrel->spec.profile, why);
        }
        retire_after_start(carrel, why != NULL);
        warm_kick(warm);
}

static const struct flow_plan WARM = { "warm", WARM_STEPS, task_abandon, on_warm_done };

/* A name that no user, and no earlier carreld, has given. */
static int name_one(char ret_user[static USER_ID_MAX + 1])
{
        uint64_t number;

        if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
                return -EIO;
        (void)snprintf(ret_user, USER_ID_MAX + 1, WARM_USER_PREFIX "%016" PRIx64, number);
        return 0;
}

static int begin(struct warm *warm, struct carrel *carrel, const struct carrel_spec *spec, struct fault *why)
{
        struct pool *pool = warm->pool;
        struct task *task = task_new(carrel);
        int r = task == NULL ? -ENOMEM : 0;

        carrel->spec = *spec;
        carrel->owner = pool->options.owner;
        carrel->template_version = TEMPLATE_CURRENT;
        carrel->generation = ++pool->generation_floor;
        if (r == 0)
                r = spec_hash(spec, &pool->options, &carrel->owner, TEMPLATE_CURRENT, carrel->spec_hash);
        if (r == 0)
                r = flow_start(&task->flow, pool->loop, &WARM, task, pool->observer);
        if (r < 0) {
                task_free(task);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot make a warm carrel: %s",
                                 strerrordesc_np(-r));
        }
        task->spec = *spec;
        list_append(&warm->carrels, &carrel->warm);
        warm->n_starting++;
        carrel_set_reason(carrel, "is being made, for a user to come");
        return 0;
}

static int start_one(struct warm *warm, const struct warm_target *target, struct fault *why)
{
        char user[USER_ID_MAX + 1];
        struct carrel_spec spec;
        struct carrel *carrel = NULL;
        int r = warm_target_spec(&warm->pool->options, target, &spec, why);

        if (r < 0)
                return r;
        if (name_one(user) == 0)
                carrel = pool_add_carrel(warm->pool, user, CARREL_STARTING);
        if (carrel == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        r = begin(warm, carrel, &spec, why);
        if (r < 0)
                pool_forget_carrel(warm->pool, carrel);
        return r;
}

/* ---- looking ---- */

/* state CARREL_STATES: those that are ready or being made. */
static unsigned count_of(const struct warm *warm, const struct warm_target *target, enum carrel_state state)
{
        unsigned count = 0;

        LIST_EACH (&warm->carrels, node) {
                const struct carrel *carrel = LIST_ENTRY(node, struct carrel, warm);
                bool is_counted = state == CARREL_STATES
                                          ? carrel->state == CARREL_WARM || carrel->state == CARREL_STARTING
                                          : carrel->state == state;

                count += is_counted && is_of(target, carrel->spec.image, carrel->spec.profile);
        }
        return count;
}

static bool is_short(const struct warm *warm, size_t i)
{
        return count_of(warm, &warm->targets.at[i], CARREL_STATES) < warm->targets.at[i].count;
}

/* The next image of which one is missing, and may be made now; NULL: none. */
static const struct warm_target *find_missing(const struct warm *warm, double now_s)
{
        for (size_t i = 0; i < warm->targets.n; i++)
                if (warm->tries[i].retry_at_s <= now_s && is_short(warm, i))
                        return &warm->targets.at[i];
        return NULL;
}

static bool is_any_short(const struct warm *warm)
{
        for (size_t i = 0; i < warm->targets.n; i++)
                if (is_short(warm, i))
                        return true;
        return false;
}

/* In how many seconds the next image may be tried again; at most LOOK_S. */
static double find_pause(const struct warm *warm, double now_s)
{
        double pause_s = LOOK_S;

        for (size_t i = 0; i < warm->targets.n; i++) {
                double left_s = warm->tries[i].retry_at_s - now_s;

                if (left_s > 0 && left_s < pause_s)
                        pause_s = left_s;
        }
        return pause_s;
}

/* Why none can be made whatever its image; NULL: it can. about: the engine's, and holds the sentence. */
static const char *find_obstacle(const struct warm *warm, struct engine_about *about)
{
        const struct pool *pool = warm->pool;

        pool->engine->ops->about(pool->engine, about);
        if (!about->is_available)
                return about->detail[0] != '\0' ? about->detail : "the engine does not answer";
        if (!pool->has_reconciled)
                return pool->waits_for.kind != FAULT_NONE ? pool->waits_for.message
                                                          : "the containers of the last run are not reconciled yet";
        if (!netpolicy_is_in_force(pool->netpolicy))
                return "the egress policy is not in force";
        return can_attach(warm) ? NULL : explain_attach(warm);
}

static bool is_at_max(const struct pool *pool)
{
        return table_held(&pool->table) >= pool->options.max_carrels;
}

/* Whether this moment is one for a start: nothing of a user's is kept waiting by it. */
static bool is_quiet(const struct warm *warm)
{
        const struct pool *pool = warm->pool;
        struct engine_about about = { 0 };

        return !pool->is_closing && clock_boottime_s() >= warm->quiet_from_s && warm->n_starting == 0 &&
               pool->admission.in_flight == 0 && pool->admission.n_queued == 0 && !is_at_max(pool) &&
               find_obstacle(warm, &about) == NULL;
}

/* Requirements for the warm carrels of one image. */
struct wanted {
        char spec_hash[SPEC_HASH_BYTES]; /* "": unknown, as memory has run out */
        bool has_lxcfs;
        unsigned surplus; /* more than the setting asks for */
};

static void describe_wanted(const struct warm *warm, size_t i, struct wanted *ret_wanted)
{
        const struct pool *pool = warm->pool;
        const struct warm_target *target = &warm->targets.at[i];
        unsigned count = count_of(warm, target, CARREL_STATES);
        struct carrel_spec spec;

        *ret_wanted = (struct wanted){ .has_lxcfs = lxcfs_is_used(&pool->options),
                                       .surplus = count > target->count ? count - target->count : 0 };
        if (warm_target_spec(&pool->options, target, &spec, NULL) < 0 ||
            spec_hash(&spec, &pool->options, &pool->options.owner, TEMPLATE_CURRENT, ret_wanted->spec_hash) < 0)
                ret_wanted->spec_hash[0] = '\0';
}

/* Why a warm carrel is of no use any more; NULL: it is. wanted NULL: the setting does not name its image. */
static const char *find_fault(const struct carrel *carrel, const struct wanted *wanted, double max_age_s,
                              int64_t now_ms)
{
        if (carrel->state == CARREL_LOST)
                return "lost";
        if (wanted == NULL || wanted->surplus > 0)
                return "surplus";
        if (strcmp(carrel->spec_hash, wanted->spec_hash) != 0 || carrel->has_lxcfs != wanted->has_lxcfs)
                return "outdated";
        return max_age_s > 0 && (double)(now_ms - carrel->ready_ms) / 1000.0 >= max_age_s ? "too_old" : NULL;
}

static void retire_unfit(struct warm *warm)
{
        struct wanted wanted[WARM_TARGETS_MAX];
        int64_t now_ms = clock_boottime_ms();

        for (size_t i = 0; i < warm->targets.n; i++)
                describe_wanted(warm, i, &wanted[i]);
        LIST_EACH (&warm->carrels, node) {
                struct carrel *carrel = LIST_ENTRY(node, struct carrel, warm);
                struct wanted *its = NULL;
                const char *fault;

                if (carrel->state != CARREL_WARM && carrel->state != CARREL_LOST)
                        continue;
                for (size_t i = 0; i < warm->targets.n && its == NULL; i++)
                        its = is_of(&warm->targets.at[i], carrel->spec.image, carrel->spec.profile) ? &wanted[i] : NULL;
                fault = find_fault(carrel, its, warm->pool->options.warm_max_age_s, now_ms);
                if (fault != NULL && its != NULL && its->surplus > 0 && carrel->state == CARREL_WARM)
                        its->surplus--;
                if (fault != NULL)
                        retire_carrel(carrel, fault);
        }
}

/* No other event reports it. A restart of the helper takes a moment. */
static void watch_attach(struct warm *warm, double now_s)
{
        if (warm->targets.n == 0 || can_attach(warm)) {
                warm->unattachable_since_s = 0;
                warm->is_unattachable_told = false;
        } else if (warm->unattachable_since_s <= 0) {
                warm->unattachable_since_s = now_s;
        } else if (!warm->is_unattachable_told && now_s - warm->unattachable_since_s >= LOOK_S) {
                warm->is_unattachable_told = true;
                warm->has_failed = true;
                tell(warm, POOL_WARM_FAILED, "", explain_attach(warm));
        }
}

/* Ends the alarm of a failure. */
static void watch_filling(struct warm *warm)
{
        struct pool_warm_stats stats;
        char detail[48];

        if (!warm->has_failed)
                return;
        warm_stats(warm, &stats);
        if (stats.ready < stats.wanted || (stats.wanted > 0 && !can_attach(warm)))
                return;
        warm->has_failed = false;
        (void)snprintf(detail, sizeof detail, "%u of %u warm carrels are ready", stats.ready, stats.wanted);
        tell(warm, POOL_WARM_FILLED, "", detail);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct warm *warm = timer->data;
        double now_s = clock_boottime_s();
        const struct warm_target *missing;
        struct fault why = { 0 };

        (void)loop, (void)events;
        retire_unfit(warm);
        watch_attach(warm, now_s);
        watch_filling(warm);
        missing = is_quiet(warm) ? find_missing(warm, now_s) : NULL;
        if (missing != NULL && start_one(warm, missing, &why) < 0)
                note_failure(warm, "", missing->image, missing->profile, &why);
        if (warm->targets.n > 0 || !list_is_empty(&warm->carrels))
                plan_look(warm, find_pause(warm, now_s));
}

/* ---- for the parts ---- */

void warm_init(struct warm *warm, struct pool *pool)
{
        *warm = (struct warm){ .pool = pool };
        list_init(&warm->carrels);
        ev_timer_init(&warm->tick, on_tick, 0.0, 0.0);
        warm->tick.data = warm;
}

void warm_release(struct warm *warm)
{
        ev_timer_stop(warm->pool->loop, &warm->tick);
}

void warm_configure(struct warm *warm)
{
        const struct pool_options *options = &warm->pool->options;

        /* options_check has accepted it. */
        (void)warm_targets_of(options, &warm->targets, NULL);
        memset(warm->tries, 0, sizeof warm->tries);
        warm->claim_pause_s = 0;
        warm->claims_from_ms = 0;
        plan_look(warm, 0.0);
}

void warm_kick(struct warm *warm)
{
        bool is_soon = ev_is_active(&warm->tick) && ev_timer_remaining(warm->pool->loop, &warm->tick) <= PAUSE_S;

        if (warm->targets.n > 0 && !is_soon)
                plan_look(warm, PAUSE_S);
}

void warm_note_loss(struct warm *warm, const struct carrel *carrel)
{
        struct warm_try *try = find_try(warm, carrel->spec.image, carrel->spec.profile);
        double retry_at_s = clock_boottime_s() + BACKOFF_FIRST_S;

        if (try != NULL && try->retry_at_s < retry_at_s)
                try->retry_at_s = retry_at_s;
        warm_kick(warm);
}

void warm_note_claim(struct warm *warm, const struct fault *why)
{
        int64_t now_ms = clock_boottime_ms();
        bool has_failed = why != NULL;

        if (has_failed && now_ms < warm->claims_from_ms) /* it ran beside the one that made the pause */
                return;
        warm->claim_pause_s = has_failed ? next_backoff_s(warm->claim_pause_s) : 0;
        warm->claims_from_ms = has_failed ? now_ms + (int64_t)(warm->claim_pause_s * 1000) : 0;
        (void)snprintf(warm->claim_failure, sizeof warm->claim_failure, "%s", has_failed ? why->message : "");
}

struct carrel *warm_find(const struct warm *warm, const char *spec_hash)
{
        if (!can_attach(warm) || clock_boottime_ms() < warm->claims_from_ms)
                return NULL;
        LIST_EACH (&warm->carrels, node) {
                struct carrel *carrel = LIST_ENTRY(node, struct carrel, warm);

                if (carrel->state == CARREL_WARM && strcmp(carrel->spec_hash, spec_hash) == 0)
                        return carrel;
        }
        return NULL;
}

static void retire_one(struct warm *warm)
{
        LIST_EACH (&warm->carrels, node) {
                struct carrel *carrel = LIST_ENTRY(node, struct carrel, warm);

                if (carrel->state == CARREL_WARM) {
                        retire_carrel(carrel, "surplus");
                        return;
                }
        }
}

void warm_make_room(struct warm *warm)
{
        if (table_held(&warm->pool->table) > warm->pool->options.max_carrels)
                retire_one(warm);
}

void warm_give_way(struct warm *warm)
{
        warm->quiet_from_s = clock_boottime_s() + GIVE_WAY_S;
        retire_one(warm);
}

static void outdate(struct carrel *carrel)
{
        if (carrel->state == CARREL_WARM)
                retire_carrel(carrel, "outdated");
        else if (carrel->state == CARREL_STARTING)
                carrel->spec_hash[0] = '\0'; /* no claim takes it, and the next look finds it outdated */
}

void warm_resolvers_changed(struct warm *warm)
{
        LIST_EACH (&warm->carrels, node)
                outdate(LIST_ENTRY(node, struct carrel, warm));
}

void warm_image_changed(struct warm *warm, const char *reference)
{
        char resolved[IMAGE_REFERENCE_BYTES];

        LIST_EACH (&warm->carrels, node) {
                struct carrel *carrel = LIST_ENTRY(node, struct carrel, warm);

                if (image_reference_resolve(carrel->spec.image, resolved, NULL) < 0 || strcmp(resolved, reference) != 0)
                        continue;
                outdate(carrel);
        }
        for (size_t i = 0; i < warm->targets.n; i++) /* it may have been missing */
                warm->tries[i].retry_at_s = 0;
        warm_kick(warm);
}

/* The last failure is no reason while max_carrels allows no try. */
static void explain_missing(const struct warm *warm, char *ret_detail, size_t size)
{
        struct engine_about about = { 0 };
        const char *reason = find_obstacle(warm, &about);

        if (reason == NULL && is_at_max(warm->pool) && is_any_short(warm)) {
                (void)snprintf(ret_detail, size, "max_carrels (%u) is reached", warm->pool->options.max_carrels);
                return;
        }
        for (size_t i = 0; i < warm->targets.n && reason == NULL; i++)
                if (warm->tries[i].failure[0] != '\0')
                        reason = warm->tries[i].failure;
        (void)snprintf(ret_detail, size, "%s", reason != NULL ? reason : "");
}

/* One failure alone may be an accident. */
static void explain_unclaimed(const struct warm *warm, char *ret_detail, size_t size)
{
        if (!can_attach(warm))
                (void)snprintf(ret_detail, size, "%s", explain_attach(warm));
        else if (warm->claim_pause_s > BACKOFF_FIRST_S)
                (void)snprintf(ret_detail, size, "claims fail, so ensures start cold: %.200s", warm->claim_failure);
}

void warm_stats(const struct warm *warm, struct pool_warm_stats *ret_stats)
{
        struct pool_warm_stats stats = { .wanted = warm->targets.total,
                                         .failures = warm->failures,
                                         .claim_failures = warm->pool->claim_failures };

        for (size_t i = 0; i < warm->targets.n; i++) {
                unsigned ready = count_of(warm, &warm->targets.at[i], CARREL_WARM);

                stats.ready += ready < warm->targets.at[i].count ? ready : warm->targets.at[i].count;
        }
        if (stats.ready < stats.wanted)
                explain_missing(warm, stats.detail, sizeof stats.detail);
        if (stats.wanted > 0 && stats.detail[0] == '\0')
                explain_unclaimed(warm, stats.detail, sizeof stats.detail);
        *ret_stats = stats;
}
