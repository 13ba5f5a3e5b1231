/* The reaper over the real pool on the fake engine: start-up, idleness against use and leases, and sweeps. */
#include <ev.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent-listener.h"
#include "engine-execs.h"
#include "engine.h"
#include "fake-engine.h"
#include "netpolicy.h"
#include "pool.h"
#include "reaper.h"

#define POOL "reaper-unit"

struct world {
        struct ev_loop *loop;
        struct engine *engine;
        struct netpolicy *netpolicy;
        struct execs *execs;
        struct pool *pool;
        struct reaper *reaper;
        char directory[64], users_dir[96];
        unsigned n_ready, n_waits, n_swept, n_ensured, n_retired, n_lost;
        struct sweep_report report;
        ev_timer watchdog;
        bool has_barked;
};

static void on_bark(struct ev_loop *loop, ev_timer *timer, int events)
{
        (void)events;
        ((struct world *)timer->data)->has_barked = true;
        ev_break(loop, EVBREAK_ALL);
}

static void on_pool_event(void *arg, const struct pool_event *event)
{
        struct world *world = arg;

        world->n_retired += event->kind == POOL_RETIRED;
        world->n_lost += event->kind == POOL_LOST;
}

static void open_pool(struct world *world)
{
        struct pool_options options = {
                .pool = POOL,
                .prefix = "carrel-",
                .users_dir = world->users_dir,
                .runtime_dir = world->directory,
                .init_path = "/usr/libexec/carrel/carrel-init",
                .defaults = { .image = "sandbox:latest",
                              .policy = POLICY_NONE,
                              .memory_bytes = 1 << 30,
                              .cpu_millis = 1000,
                              .pids = 256 },
                .dns = "",
                .runtime = "",
                .cgroup_parent = "",
                .tmp_bytes = 1 << 20,
                .shm_bytes = 1 << 20,
                .owner = { 1000, 1000 },
                .nofile = 1024,
                .max_carrels = 100,
                .max_concurrent_starts = 8,
                .max_queued_starts = 100,
                .max_execs = 64,
                .ensure_timeout_s = 20,
        };
        struct fault why = { 0 };

        if (pool_new(&world->pool, world->loop, world->engine, world->netpolicy, world->execs, &options, NULL, &why) <
            0)
                fail_msg("pool_new: %s", why.message);
        assert_int_equal(pool_listen(world->pool, on_pool_event, world), 0);
}

static void world_open(struct world *world, const struct reaper_options *options)
{
        *world = (struct world){ .directory = "/run/carrel-reaper-XXXXXX" };
        if (geteuid() != 0) {
                assert_null(getenv("CARREL_MUST_RUN"));
                print_message("SKIP: users_dir must be root's\n");
                skip();
        }
        assert_non_null(mkdtemp(world->directory));
        snprintf(world->users_dir, sizeof world->users_dir, "%s/users", world->directory);
        world->loop = ev_loop_new(EVFLAG_AUTO);
        assert_non_null(world->loop);
        assert_int_equal(fake_new(&world->engine, world->loop), 0);
        assert_int_equal(netpolicy_new_fake(&world->netpolicy, world->loop), 0);
        assert_int_equal(execs_new(&world->execs, world->loop), 0);
        assert_int_equal(agents_register(world->execs), 0);
        assert_int_equal(engine_execs_register(world->execs, world->engine), 0);
        open_pool(world);
        assert_int_equal(reaper_new(&world->reaper, world->loop, world->pool, options), 0);
        ev_timer_init(&world->watchdog, on_bark, 60.0, 0.0);
        world->watchdog.data = world;
        ev_timer_start(world->loop, &world->watchdog);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
        (void)status, (void)kind, (void)where;
        return remove(path);
}

static void world_close(struct world *world)
{
        ev_timer_stop(world->loop, &world->watchdog);
        world->reaper = reaper_free(world->reaper);
        world->pool = pool_free(world->pool);
        world->execs = execs_free(world->execs);
        world->netpolicy = netpolicy_free(world->netpolicy);
        world->engine = world->engine->ops->free(world->engine);
        ev_loop_destroy(world->loop);
        (void)nftw(world->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void await(struct world *world, const unsigned *count, unsigned least)
{
        while (*count < least && !world->has_barked)
                ev_run(world->loop, EVRUN_ONCE);
        assert_false(world->has_barked);
}

static void on_ready(void *arg, const struct sweep_report *report, const struct fault *why)
{
        struct world *world = arg;

        assert_null(why);
        world->report = *report;
        world->n_ready++;
}

static void on_wait(void *arg, const struct fault *why)
{
        assert_int_equal(why->kind, FAULT_ENGINE_UNAVAILABLE);
        ((struct world *)arg)->n_waits++;
}

static void on_swept(void *arg, const struct sweep_report *report, const struct fault *why)
{
        struct world *world = arg;

        assert_null(why);
        world->report = *report;
        world->n_swept++;
}

static void on_ensured(void *arg, const struct pool_ensured *ensured, const struct fault *why)
{
        if (why != NULL)
                fail_msg("ensure: %s", why->message);
        assert_non_null(ensured);
        ((struct world *)arg)->n_ensured++;
}

static void ensure(struct world *world, const char *user)
{
        static const struct carrel_spec ANY = { 0 };
        struct pool_wait *wait;
        unsigned before = world->n_ensured;

        pool_ensure(world->pool, user, &ANY, CONFLICT_REPLACE, on_ensured, world, &wait);
        await(world, &world->n_ensured, before + 1);
}

static void plant(struct world *world, const char *name, const char *product, const char *pool, const char *user)
{
        struct label labels[] = { { "io.carrel.product", product },
                                  { "io.carrel.pool", pool },
                                  { "io.carrel.user", user } };
        struct container_info info = { .status = CONTAINER_RUNNING, .labels = labels, .n_labels = 3 };

        snprintf(info.name, sizeof info.name, "%s", name);
        snprintf(info.id, sizeof info.id, "id-of-%s", name);
        assert_int_equal(fake_plant(world->engine, &info), 0);
}

/* So long that nothing is reaped by itself, unless a test says so. */
static const struct reaper_options LAZY = { .idle_ttl_s = 3600, .interval_s = 3600, .sweep_interval_s = 3600 };

static void start_clears_ours_and_only_ours(void **state)
{
        struct world world;

        (void)state;
        world_open(&world, &LAZY);
        plant(&world, "carrel-alice", "carrel", POOL, "alice");
        plant(&world, "carrel-../x", "carrel", POOL, "../x");
        plant(&world, "neighbour", "carrel", "another-pool", "alice");
        plant(&world, "decoy", "another-product", POOL, "alice");
        fake_set(world.engine, FAKE_LIST, FAKE_UNAVAILABLE, 2);
        assert_int_equal(reaper_reconcile(world.reaper, on_ready, on_wait, &world), 0);
        await(&world, &world.n_ready, 1);
        assert_int_equal(world.n_waits, 2);
        assert_int_equal(world.report.removed, 2);
        assert_null(fake_find(world.engine, "carrel-alice"));
        assert_null(fake_find(world.engine, "carrel-../x"));
        assert_non_null(fake_find(world.engine, "neighbour"));
        assert_non_null(fake_find(world.engine, "decoy"));
        world_close(&world);
}

static void the_idle_go_and_the_leased_stay(void **state)
{
        struct world world;
        struct reaper_options eager = { .idle_ttl_s = 0.05, .interval_s = 0.01, .sweep_interval_s = 3600 };

        (void)state;
        world_open(&world, &LAZY);
        assert_int_equal(reaper_reconcile(world.reaper, on_ready, on_wait, &world), 0);
        await(&world, &world.n_ready, 1);
        ensure(&world, "idle");
        ensure(&world, "leased");
        assert_int_equal(fake_containers(world.engine), 2);
        assert_int_equal(pool_touch(world.pool, "leased", 60, NULL), 0);
        reaper_reconfigure(world.reaper, &eager);
        await(&world, &world.n_retired, 1);
        assert_null(fake_find(world.engine, "carrel-idle"));
        assert_non_null(fake_find(world.engine, "carrel-leased"));
        assert_int_equal(reaper_reap(world.reaper, 0.0), 0);
        world_close(&world);
}

static void on_exec_done(void *arg, const struct exec_result *result, const struct fault *why)
{
        (void)arg, (void)result, (void)why;
}

static void a_busy_one_stays(void **state)
{
        static const char *const ARGV[] = { "sleep", NULL };
        static const struct exec_sink SINK = { .on_done = on_exec_done };
        struct world world;
        struct exec *exec;

        (void)state;
        world_open(&world, &LAZY);
        assert_int_equal(reaper_reconcile(world.reaper, on_ready, on_wait, &world), 0);
        await(&world, &world.n_ready, 1);
        ensure(&world, "alice");
        fake_set(world.engine, FAKE_EXEC, FAKE_HANG, 0);
        assert_int_equal(
                pool_exec(world.pool, "alice", &(struct exec_request){ .argv = ARGV }, &SINK, NULL, &exec, NULL), 0);
        assert_int_equal(reaper_reap(world.reaper, 0.0), 0);
        pool_exec_cancel(world.pool, exec);
        assert_int_equal(reaper_reap(world.reaper, 0.0), 1);
        await(&world, &world.n_retired, 1);
        assert_int_equal(fake_containers(world.engine), 0);
        world_close(&world);
}

static void a_sweep_finds_what_happened_behind_our_back(void **state)
{
        struct world world;

        (void)state;
        world_open(&world, &LAZY);
        assert_int_equal(reaper_reconcile(world.reaper, on_ready, on_wait, &world), 0);
        await(&world, &world.n_ready, 1);
        ensure(&world, "alice");
        ensure(&world, "bob");
        plant(&world, "carrel-stray", "carrel", POOL, "stray");
        fake_vanish(world.engine, "carrel-bob", true);
        assert_int_equal(reaper_sweep(world.reaper, on_swept, &world), 0);
        await(&world, &world.n_swept, 1);
        assert_int_equal(world.report.kept, 1);
        assert_int_equal(world.report.removed, 1);
        assert_int_equal(world.report.lost, 1);
        assert_int_equal(world.n_lost, 1);
        assert_non_null(fake_find(world.engine, "carrel-alice"));
        assert_null(fake_find(world.engine, "carrel-stray"));
        ensure(&world, "bob");
        assert_non_null(fake_find(world.engine, "carrel-bob"));
        world_close(&world);
}

static void freed_in_the_middle(void **state)
{
        (void)state;
        for (unsigned turns = 0; turns < 8; turns++) {
                struct world world;

                world_open(&world, &LAZY);
                plant(&world, "carrel-alice", "carrel", POOL, "alice");
                assert_int_equal(reaper_reconcile(world.reaper, on_ready, on_wait, &world), 0);
                for (unsigned i = 0; i < turns; i++)
                        ev_run(world.loop, EVRUN_NOWAIT);
                world_close(&world);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(start_clears_ours_and_only_ours),
                cmocka_unit_test(the_idle_go_and_the_leased_stay),
                cmocka_unit_test(a_busy_one_stays),
                cmocka_unit_test(a_sweep_finds_what_happened_behind_our_back),
                cmocka_unit_test(freed_in_the_middle),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
