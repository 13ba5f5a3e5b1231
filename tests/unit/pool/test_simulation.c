/* A random schedule of everything at once, over a few users, in virtual time: ensures, leavers, retirements, execs,
 * kills, removals, an engine and a policy that come and go, slow, lost and refused answers, sweeps and reaping; with
 * warm carrels also reloads, loaded images, and a helper that fails, hangs and comes back. Invariants are held after
 * every move. The seed is printed; POOL_TEST_SEED repeats a run, POOL_TEST_MOVES lengthens it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attach.h"
#include "images.h"
#include "rig.h"
#include "virtual-time.h"

enum { USERS = 6, REQUESTS = 40, EXECS = 12, MOVES = 30000 };

struct request {
        bool is_open; /* was asked, and has not been answered or left */
        double asked_s;
        struct answer answer;
};

struct running {
        struct exec *exec;
        int user;
};

struct world {
        struct rig rig;
        struct attach *attach; /* NULL: a run without warm carrels */
        struct image_work *load;
        bool can_relabel; /* the engine, as claims do */
        uint64_t random;
        struct request requests[REQUESTS];
        struct running running[EXECS];
        bool is_surveying;
        unsigned answered, succeeded, execs_ended, reaped;
};

static const struct carrel_spec SPECS[] = {
        { .image = "" },        { .memory_bytes = 67108864 },       { .policy = POLICY_NONE },
        { .profile = "small" }, { .profile = "small", .pids = 16 }, { .profile = "large" }
};
enum { N_SPECS = sizeof SPECS / sizeof *SPECS };

/* The settings' profiles at a time. In none of them has a small carrel more than SMALL_BYTES, or a network. */
enum { SMALL_BYTES = 100 << 20, PROFILES_MAX = 2 };
static const struct profile_set {
        struct pool_profile profiles[PROFILES_MAX];
        size_t n;
        const char *usual;
} PROFILE_SETS[] = {
        { .usual = "" },
        { { { .name = "small", .spec = { .memory_bytes = SMALL_BYTES, .policy = POLICY_NONE } },
            { .name = "large", .spec = { .memory_bytes = UINT64_C(8) << 30 } } },
          2,
          "" },
        { { { .name = "small", .spec = { .memory_bytes = SMALL_BYTES / 2, .policy = POLICY_NONE, .pids = 32 } } },
          1,
          "small" },
        { { { .name = "small", .spec = { .memory_bytes = SMALL_BYTES, .policy = POLICY_NONE }, .warm = 1 } }, 1, "" },
};
static const char *const NAMES[USERS] = { "a", "b", "c", "d", "e", "f" };

/* xorshift64*: the same numbers everywhere. */
static unsigned pick(struct world *world, unsigned below)
{
        world->random ^= world->random >> 12;
        world->random ^= world->random << 25;
        world->random ^= world->random >> 27;
        return (unsigned)((world->random * 2685821657736338717u) >> 33) % below;
}

static struct request *free_request(struct world *world)
{
        for (size_t i = 0; i < REQUESTS; i++)
                if (!world->requests[i].is_open)
                        return &world->requests[i];
        return NULL;
}

static void ask(struct world *world, bool is_retirement)
{
        struct request *request = free_request(world);
        const char *user = NAMES[pick(world, USERS)];

        if (request == NULL)
                return;
        *request = (struct request){ .is_open = true, .asked_s = virtual_time_s() };
        if (is_retirement)
                rig_retire(&world->rig, user, &request->answer);
        else
                rig_ensure_spec(&world->rig, user, &SPECS[pick(world, N_SPECS)],
                                pick(world, 2) == 0 ? CONFLICT_FAIL : CONFLICT_REPLACE, &request->answer);
}

static void ensure(struct world *world)
{
        ask(world, false);
}

static void retire(struct world *world)
{
        ask(world, true);
}

static void leave(struct world *world)
{
        struct request *request = &world->requests[pick(world, REQUESTS)];

        if (!request->is_open || request->answer.count > 0)
                return;
        rig_leave(&request->answer);
        request->is_open = false;
}

static void container_name(struct world *world, char name[static 32])
{
        (void)snprintf(name, 32, "%s%s", RIG_PREFIX, NAMES[pick(world, USERS)]);
}

static void kill_one(struct world *world)
{
        char name[32];

        container_name(world, name);
        fake_kill(world->rig.engine, name, pick(world, 2) == 0);
}

static void vanish_one(struct world *world)
{
        char name[32];

        container_name(world, name);
        fake_vanish(world->rig.engine, name, pick(world, 2) == 0);
}

static void misbehave(struct world *world)
{
        fake_set(world->rig.engine, (enum fake_op)pick(world, FAKE_OPS),
                 (enum fake_behaviour)pick(world, FAKE_HANG + 1), 1 + pick(world, 3));
}

static void change_latency(struct world *world)
{
        static const double LATENCIES_S[] = { 0, 0, 0, 0.05, 0.3, 2, 12, 25 };

        fake_set_latency(world->rig.engine, LATENCIES_S[pick(world, 8)]);
}

static void change_policy(struct world *world)
{
        netpolicy_fake_set(world->rig.netpolicy, pick(world, 4) != 0);
}

static void change_engine(struct world *world)
{
        fake_set_available(world->rig.engine, pick(world, 4) != 0);
}

/* ---- warm carrels ---- */

static void change_helper(struct world *world)
{
        if (world->attach != NULL)
                attach_fake_set(world->attach, (enum attach_fake)pick(world, ATTACH_FAKE_IS_DOWN + 1));
}

static void set_warm(struct world *world, const char *warm, unsigned max_carrels)
{
        struct pool_options options = world->rig.options;

        options.warm = warm;
        options.max_carrels = max_carrels;
        options.max_concurrent_starts = 2;
        options.max_queued_starts = 3;
        assert_int_equal(pool_reconfigure(world->rig.pool, &options, NULL), 0);
}

static void reload(struct world *world)
{
        static const char *const WARM[] = { "", "1", "2", "4" };

        if (world->attach != NULL)
                set_warm(world, WARM[pick(world, 4)], USERS - 1);
}

static void use_profiles(struct world *world, const struct profile_set *set)
{
        world->rig.options.profiles = set->profiles;
        world->rig.options.n_profiles = set->n;
        world->rig.options.profile = set->usual;
}

static void change_profiles(struct world *world)
{
        use_profiles(world, &PROFILE_SETS[pick(world, sizeof PROFILE_SETS / sizeof *PROFILE_SETS)]);
        set_warm(world, world->attach != NULL ? "1" : "", USERS - 1);
}

static bool end_warm(void *arg, const struct carrel_view *view)
{
        struct world *world = arg;

        if (!view->is_warm)
                return true;
        if (pick(world, 2) == 0)
                fake_kill(world->rig.engine, view->container, pick(world, 2) == 0);
        else
                fake_vanish(world->rig.engine, view->container, pick(world, 2) == 0);
        return false;
}

static void end_one_warm(struct world *world)
{
        pool_each(world->rig.pool, "", SIZE_MAX, end_warm, world);
}

static void on_loaded(void *arg, const struct pool_image *images, size_t count, const struct fault *why)
{
        (void)images, (void)count, (void)why;
        ((struct world *)arg)->load = NULL;
}

static void load_image(struct world *world)
{
        int fd = world->attach != NULL && world->load == NULL ? memfd_create("image", MFD_CLOEXEC) : -1;

        if (fd < 0)
                return;
        if (pool_images_load(world->rig.pool, fd, RIG_IMAGE, "auto", on_loaded, world, &world->load, NULL) < 0)
                world->load = NULL;
        close(fd);
}

/* ---- execs ---- */

struct exec_context {
        struct world *world;
        size_t slot;
};

static void on_exec_done(void *arg, const struct exec_result *result, const struct fault *why)
{
        struct exec_context *context = arg;

        assert_true((result == NULL) != (why == NULL));
        assert_non_null(context->world->running[context->slot].exec);
        context->world->running[context->slot].exec = NULL;
        context->world->execs_ended++;
        free(context);
}

static void *context_of[EXECS];

static void run_program(struct world *world)
{
        static const char *const ARGV[] = { "true", NULL };
        static const struct exec_request REQUEST = { .argv = ARGV, .timeout_s = 20, .max_output_bytes = 64 };
        static const struct exec_sink SINK = { .on_done = on_exec_done };
        struct exec_context *context;
        int user = (int)pick(world, USERS);
        size_t slot = pick(world, EXECS);

        if (world->running[slot].exec != NULL)
                return;
        context = malloc(sizeof *context);
        assert_non_null(context);
        *context = (struct exec_context){ world, slot };
        context_of[slot] = context;
        world->running[slot].user = user;
        if (pool_exec(world->rig.pool, NAMES[user], &REQUEST, &SINK, context, &world->running[slot].exec, NULL) < 0)
                free(context);
}

static void cancel_program(struct world *world)
{
        size_t slot = pick(world, EXECS);

        if (world->running[slot].exec == NULL)
                return;
        pool_exec_cancel(world->rig.pool, world->running[slot].exec);
        world->running[slot].exec = NULL;
        free(context_of[slot]);
}

/* ---- the reaper's part ---- */

static void on_survey(void *arg, const struct survey *survey, const struct fault *why)
{
        struct world *world = arg;

        world->is_surveying = false;
        if (why != NULL)
                return;
        for (size_t i = 0; i < survey->n_containers; i++)
                if (survey->containers[i].claim == CLAIM_ORPHAN || survey->containers[i].claim == CLAIM_ADOPTABLE)
                        (void)pool_discard(world->rig.pool, survey->containers[i].id, NULL, NULL);
        for (size_t i = 0; survey->missing[i] != NULL; i++)
                pool_mark_lost(world->rig.pool, survey->missing[i], "not listed");
}

static void sweep(struct world *world)
{
        if (!world->is_surveying && pool_survey(world->rig.pool, on_survey, world) == 0)
                world->is_surveying = true;
}

static unsigned programs_of(const struct world *world, const char *user)
{
        unsigned count = 0;

        for (size_t i = 0; i < EXECS; i++)
                count += world->running[i].exec != NULL && strcmp(NAMES[world->running[i].user], user) == 0;
        return count;
}

static bool reap_one(void *arg, const struct carrel_view *view)
{
        struct world *world = arg;

        if (view->state != CARREL_READY || view->idle_ms < 1000 || view->lease_left_ms > 0)
                return true;
        assert_int_equal(programs_of(world, view->user), 0); /* I3: what looks idle runs nothing */
        world->reaped++;
        pool_retire(world->rig.pool, view->user, "idle", NULL, NULL, NULL);
        return true;
}

static void reap(struct world *world)
{
        pool_each(world->rig.pool, "", SIZE_MAX, reap_one, world);
}

static void touch(struct world *world)
{
        (void)pool_touch(world->rig.pool, NAMES[pick(world, USERS)], pick(world, 3), NULL);
}

static void pass_time(struct world *world)
{
        static const double SPANS_S[] = { 0, 0, 0.001, 0.02, 0.5, 3, 30 };

        rig_run_for(&world->rig, SPANS_S[pick(world, 7)]);
}

static const struct move {
        void (*make)(struct world *world);
        unsigned weight;
} TABLE[] = {
        { ensure, 30 },        { pass_time, 40 },      { run_program, 12 },   { leave, 6 },        { retire, 4 },
        { kill_one, 3 },       { vanish_one, 3 },      { misbehave, 6 },      { touch, 3 },        { reap, 4 },
        { change_latency, 2 }, { change_policy, 2 },   { cancel_program, 3 }, { sweep, 3 },        { change_engine, 2 },
        { change_helper, 3 },  { change_profiles, 1 }, { reload, 1 },         { end_one_warm, 2 }, { load_image, 1 },
};

static void make_move(struct world *world)
{
        unsigned total = 0;
        unsigned chosen;

        for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++)
                total += TABLE[i].weight;
        chosen = pick(world, total);
        for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
                if (chosen < TABLE[i].weight) {
                        TABLE[i].make(world);
                        return;
                }
                chosen -= TABLE[i].weight;
        }
}

/* ---- invariants ---- */

static void settle_requests(struct world *world)
{
        double timeout_s = world->rig.options.ensure_timeout_s;

        for (size_t i = 0; i < REQUESTS; i++) {
                struct request *request = &world->requests[i];

                if (!request->is_open)
                        continue;
                assert_true(request->answer.count <= 1); /* I4 */
                if (request->answer.count == 0) {
                        assert_true(virtual_time_s() - request->asked_s <= timeout_s + 0.1);
                        continue;
                }
                assert_true(request->answer.at_s - request->asked_s <= timeout_s + 0.1);
                request->is_open = false;
                world->answered++;
                world->succeeded += request->answer.is_success;
        }
}

static bool check_carrel(void *arg, const struct carrel_view *view)
{
        const struct world *world = arg;
        const struct container_info *info = fake_find(world->rig.engine, view->container);

        assert_int_equal(view->execs, programs_of(world, view->user));
        assert_true(view->execs == 0 || view->state == CARREL_READY || view->state == CARREL_QUEUED ||
                    view->state == CARREL_RETIRING || view->state == CARREL_STARTING);
        assert_true(view->state != CARREL_READY || view->container_id[0] != '\0');
        assert_true(strcmp(view->spec->profile, "small") != 0 ||
                    (view->spec->memory_bytes <= SMALL_BYTES && view->spec->policy == POLICY_NONE));
        /* The container a READY carrel names is the one of its name, unless it vanished without an event. */
        if (view->state == CARREL_READY && info != NULL) {
                assert_string_equal(info->id, view->container_id);
                /* Without the label it was claimed on an engine that changes the name only. */
                if (world->can_relabel || container_label(info, "io.carrel.user") != NULL)
                        assert_string_equal(container_label(info, "io.carrel.user"), view->user);
        }
        return true;
}

/* I1 by names: a user's containers all have one name, and a name is the engine's to keep unique; so one count does. */
static void check(struct world *world)
{
        struct pool_stats stats;

        settle_requests(world);
        pool_each(world->rig.pool, "", SIZE_MAX, check_carrel, world);
        pool_stats(world->rig.pool, &stats);
        assert_true(stats.starts_in_flight <= world->rig.options.max_concurrent_starts);
        /* A failed start of a warm carrel may leave a container, of a name of its own, for the next sweep. */
        assert_true(world->attach != NULL || fake_containers(world->rig.engine) <= USERS + 1);
        assert_non_null(fake_find(world->rig.engine, "decoy")); /* I6 */
}

/* Everything is well again: the pool converges, each user gets his carrel, and nothing is left when all are retired. */
static void check_end(struct world *world)
{
        struct rig *rig = &world->rig;
        struct pool_stats stats;
        struct answer answer;

        for (int op = 0; op < FAKE_OPS; op++)
                fake_set(rig->engine, (enum fake_op)op, FAKE_OK, 0);
        fake_set_latency(rig->engine, 0);
        fake_set_available(rig->engine, true);
        netpolicy_fake_set(rig->netpolicy, true);
        (void)fake_release(rig->engine, FAKE_LIST); /* a survey has no deadline of its own */
        rig_run(rig);
        sweep(world);
        rig_run(rig);
        settle_requests(world);
        for (size_t i = 0; i < REQUESTS; i++)
                assert_false(world->requests[i].is_open);
        for (size_t i = 0; i < USERS; i++) {
                rig_must_ensure(rig, NAMES[i], &answer);
                assert_string_equal(rig_container(rig, NAMES[i])->id, answer.container_id);
        }
        assert_int_equal(fake_containers(rig->engine), USERS + 1);
        for (size_t i = 0; i < USERS; i++) {
                rig_retire(rig, NAMES[i], &answer);
                rig_run(rig);
                assert_true(answer.is_success);
        }
        assert_int_equal(fake_containers(rig->engine), 1);
        pool_stats(rig->pool, &stats);
        assert_int_equal(stats.waiters + stats.starts_in_flight + stats.starts_queued + stats.execs, 0);
        for (size_t i = 0; i < CARREL_STATES; i++)
                assert_int_equal(stats.by_state[i], 0);
}

/* And claims are possible again, for longer than they may pause. */
static void check_claim(struct world *world)
{
        struct rig *rig = &world->rig;
        struct answer answer;

        if (world->attach == NULL)
                return;
        attach_fake_set(world->attach, ATTACH_FAKE_WORKS);
        set_warm(world, "1", USERS);
        rig_run(rig);
        rig_must_ensure(rig, NAMES[0], &answer);
        assert_int_equal(answer.outcome, OUTCOME_CLAIMED);
}

static uint64_t number_from_environment(const char *name, uint64_t fallback)
{
        const char *text = getenv(name);

        return text != NULL ? strtoull(text, NULL, 0) : fallback;
}

static void simulate(uint64_t seed, uint64_t moves, bool has_warm)
{
        struct pool_options options = rig_options();
        struct world world = { .random = seed * 2 + 1 };

        print_message("# POOL_TEST_SEED=%llu%s\n", (unsigned long long)seed, has_warm ? ", warm" : "");
        options.max_concurrent_starts = 2;
        options.max_queued_starts = 3;
        options.max_carrels = USERS - 1;
        rig_open(&world.rig, &options);
        rig_plant(&world.rig, "decoy", "other", RIG_POOL, "a", CONTAINER_RUNNING);
        if (has_warm) {
                assert_int_equal(attach_new_fake(&world.attach, world.rig.loop), 0);
                pool_use_attach(world.rig.pool, world.attach);
                set_warm(&world, "2", USERS - 1);
        }
        world.can_relabel = seed % 4 != 0;
        fake_set_can_relabel(world.rig.engine, world.can_relabel);
        for (uint64_t i = 0; i < moves; i++) {
                make_move(&world);
                check(&world);
        }
        use_profiles(&world, &PROFILE_SETS[0]);
        set_warm(&world, "", USERS);
        check_end(&world);
        check_claim(&world);
        print_message("# %u answers, %u of them successes; %u execs, %u reaped\n", world.answered, world.succeeded,
                      world.execs_ended, world.reaped);
        assert_true(world.succeeded > 0 && world.succeeded < world.answered && world.execs_ended > 0 &&
                    world.reaped > 0);
        world.load = pool_images_leave(world.load);
        rig_close(&world.rig);
        attach_free(world.attach);
}

static void test_random_schedules(void **state)
{
        enum { SEEDS = 6 };
        uint64_t moves = number_from_environment("POOL_TEST_MOVES", MOVES / SEEDS);

        rig_need_root();
        if (getenv("POOL_TEST_SEED") != NULL) {
                simulate(number_from_environment("POOL_TEST_SEED", 0), moves, false);
                simulate(number_from_environment("POOL_TEST_SEED", 0), moves, true);
                return;
        }
        for (uint64_t seed = 1; seed <= SEEDS; seed++)
                simulate(seed, moves, seed % 2 == 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_random_schedules),
        };

        return cmocka_run_group_tests_name("pool_simulation", tests, NULL, NULL);
}
