/* The reaper on a double of the pool: who is retired, in what pieces, and what sweeps do with each container. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "pool-double.h"
#include "reaper.h"
#include "scan.h"

struct world {
        struct ev_loop *loop;
        struct pool pool;
        struct reaper *reaper;
        unsigned n_ready, n_waits, n_swept, n_faults;
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

static void world_open(struct world *world, bool is_adopting)
{
        struct reaper_options options = {
                .idle_ttl_s = 1.0, .interval_s = 0.001, .sweep_interval_s = 3600.0, .is_adopting = is_adopting
        };

        *world = (struct world){ .loop = ev_loop_new(EVFLAG_AUTO) };
        assert_non_null(world->loop);
        pool_double_init(&world->pool, world->loop);
        assert_int_equal(reaper_new(&world->reaper, world->loop, &world->pool, &options), 0);
        ev_timer_init(&world->watchdog, on_bark, 30.0, 0.0);
        world->watchdog.data = world;
        ev_timer_start(world->loop, &world->watchdog);
}

static void world_close(struct world *world)
{
        world->reaper = reaper_free(world->reaper);
        assert_null(world->pool.on_event);
        pool_double_close(&world->pool);
        ev_timer_stop(world->loop, &world->watchdog);
        ev_loop_destroy(world->loop);
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
        world->n_ready++;
        world->report = *report;
}

static void on_wait(void *arg, const struct fault *why)
{
        assert_non_null(why);
        ((struct world *)arg)->n_waits++;
}

static void on_swept(void *arg, const struct sweep_report *report, const struct fault *why)
{
        struct world *world = arg;

        assert_true((report == NULL) != (why == NULL));
        world->n_swept++;
        if (report != NULL)
                world->report = *report;
        else
                world->n_faults++;
}

static void reconcile(struct world *world)
{
        assert_int_equal(reaper_reconcile(world->reaper, on_ready, on_wait, world), 0);
        await(world, &world->n_ready, 1);
        assert_true(world->pool.is_reconciled);
}

/* ---- idle carrels ---- */

static const struct user_case {
        const char *name;
        enum carrel_state state;
        unsigned execs;
        int64_t idle_ms, lease_left_ms, age_ms;
        const char *reason; /* it is retired for; "": it stays */
} USERS[] = {
        { "a-idle", CARREL_READY, 0, 1000, 0, 1000, "idle" }, { "b-used", CARREL_READY, 0, 999, 0, 999, "" },
        { "c-busy", CARREL_READY, 1, 0, 0, 90000, "" },       { "d-leased", CARREL_READY, 0, 5000, 1, 90000, "" },
        { "e-starting", CARREL_STARTING, 0, 5000, 0, 0, "" }, { "f-queued", CARREL_QUEUED, 0, 5000, 0, 0, "" },
        { "g-lost", CARREL_LOST, 0, 5000, 0, 90000, "" },     { "h-retiring", CARREL_RETIRING, 0, 5000, 0, 90000, "" },
        { "i-old", CARREL_READY, 0, 0, 0, 60000, "too_old" }, { "j-idle", CARREL_READY, 0, 5000, 0, 5000, "idle" },
};
enum { N_USERS = sizeof USERS / sizeof USERS[0] };

static void add_users(struct pool *pool)
{
        for (size_t i = 0; i < N_USERS; i++) {
                struct double_user *user = pool_double_add(pool, USERS[i].name, USERS[i].idle_ms);

                user->state = USERS[i].state;
                user->execs = USERS[i].execs;
                user->lease_left_ms = USERS[i].lease_left_ms;
                user->age_ms = USERS[i].age_ms;
        }
}

static void who_is_reaped(void **state)
{
        struct world world;
        struct reaper_options options = {
                .idle_ttl_s = 1.0, .interval_s = 0.001, .max_lifetime_s = 60.0, .sweep_interval_s = 3600.0
        };

        (void)state;
        world_open(&world, false);
        add_users(&world.pool);
        reaper_reconfigure(world.reaper, &options);
        reconcile(&world);
        await(&world, &world.pool.n_visits, 5 * N_USERS);
        for (size_t i = 0; i < N_USERS; i++)
                assert_string_equal(world.pool.users[i].retired_for, USERS[i].reason);
        world_close(&world);
}

/* More than its memory, whatever runs in it. */
static void who_takes_the_hosts_memory(void **state)
{
        struct world world;
        struct double_user *users[3];

        (void)state;
        world_open(&world, false);
        for (size_t i = 0; i < 3; i++)
                users[i] = pool_double_add(&world.pool, (const char *const[]){ "ada", "bob", "cyd" }[i], 0);
        for (size_t i = 0; i < 3; i++)
                users[i]->execs = 1;
        snprintf(users[0]->sockets, sizeof users[0]->sockets, "%u", 128u << 20);
        snprintf(users[1]->sockets, sizeof users[1]->sockets, "%u", (128u << 20) + 1);
        reconcile(&world);
        await(&world, &world.pool.n_visits, 9);
        assert_string_equal(users[0]->retired_for, "");
        assert_string_equal(users[1]->retired_for, "sockets");
        assert_string_equal(users[2]->retired_for, "");
        world_close(&world);
}

/* Background programs count as use if the setting says so, and the last use is when they were last seen. */
static void the_background(void **state)
{
        static const struct {
                const char *background;
                bool counts, is_kept;
                const char *sentence;
        } CASES[] = {
                { "2", true, true, "It is in use: 2 tasks run in the background." },
                { "1", true, true, "It is in use: 1 task runs in the background." },
                { "0", true, false, "It has been idle for 5 s, its TTL is 1 s: it is stopped." },
                { "", true, false, "It has been idle for 5 s, its TTL is 1 s: it is stopped." },
                { "2", false, false,
                  "It has been idle for 5 s, its TTL is 1 s: it is stopped. Background programs do not count." },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                struct reaper_options options = { .idle_ttl_s = 1.0,
                                                  .interval_s = 3600.0,
                                                  .sweep_interval_s = 3600.0,
                                                  .counts_background = CASES[i].counts };
                struct carrel_view view = { .step = "", .state = CARREL_READY, .idle_ms = 5000 };
                struct world world;
                struct double_user *user;
                char text[256];

                world_open(&world, false);
                reaper_reconfigure(world.reaper, &options);
                user = pool_double_add(&world.pool, "a", 5000);
                snprintf(user->background, sizeof user->background, "%s", CASES[i].background);
                view.tasks_file = user->background;
                reaper_explain(world.reaper, &view, text, sizeof text);
                assert_string_equal(text, CASES[i].sentence);
                assert_int_equal(reaper_reap(world.reaper, 1.0), CASES[i].is_kept ? 0 : 1);
                assert_int_equal(user->idle_ms, CASES[i].is_kept ? 0 : 5000);
                world_close(&world);
        }
}

static void nobody_before_the_start_is_over(void **state)
{
        struct world world;

        (void)state;
        world_open(&world, false);
        pool_double_add(&world.pool, "idle", 5000);
        world.pool.survey_faults = 2;
        assert_int_equal(reaper_sweep(world.reaper, on_swept, &world), -EBUSY);
        assert_int_equal(reaper_reconcile(world.reaper, on_ready, on_wait, &world), 0);
        assert_int_equal(reaper_reconcile(world.reaper, on_ready, on_wait, &world), -EBUSY);
        await(&world, &world.n_waits, 2);
        assert_int_equal(world.pool.n_visits, 0);
        assert_false(world.pool.is_reconciled);
        await(&world, &world.n_ready, 1);
        await(&world, &world.pool.n_visits, 1);
        assert_string_equal(world.pool.users[0].retired_for, "idle");
        world_close(&world);
}

static void a_listener_uses_the_next_one(void **state)
{
        struct world world;

        (void)state;
        world_open(&world, false);
        pool_double_add(&world.pool, "a", 5000);
        pool_double_add(&world.pool, "b", 5000);
        snprintf(world.pool.used_meanwhile, sizeof world.pool.used_meanwhile, "b");
        assert_int_equal(reaper_reap(world.reaper, 1.0), 1);
        assert_string_equal(world.pool.users[0].retired_for, "idle");
        assert_string_equal(world.pool.users[1].retired_for, "");
        world_close(&world);
}

static void add_many(struct pool *pool, unsigned count)
{
        for (unsigned i = 0; i < count; i++) {
                char name[16];

                snprintf(name, sizeof name, "u%04u", i);
                pool_double_add(pool, name, 5000);
        }
}

static void reaping_by_hand_takes_all(void **state)
{
        struct world world;

        (void)state;
        world_open(&world, false);
        add_many(&world.pool, 400);
        world.pool.users[7].execs = 1;
        world.pool.users[8].lease_left_ms = 1;
        world.pool.users[9].idle_ms = 1999;
        assert_int_equal(reaper_reap(world.reaper, 2.0), 397);
        assert_int_equal(reaper_reap(world.reaper, 2.0), 0);
        assert_int_equal(reaper_reap(world.reaper, 0.0), 1);
        world_close(&world);
}

static unsigned count_retired(const struct pool *pool)
{
        unsigned retired = 0;

        for (unsigned i = 0; i < pool->n_users; i++)
                retired += pool->users[i].state == CARREL_RETIRING;
        return retired;
}

/* ---- frozen ones ---- */

static void the_ladder_is_climbed(void **state)
{
        struct scan_rules rules = { .judge = {
                                            .idle_ttl_ms = 3000, .freeze_after_ms = 1000, .reclaim_after_ms = 2000 } };
        struct scan scan = { 0 };
        struct double_user *user, *busy, *stubborn;
        struct world world;

        (void)state;
        world_open(&world, false);
        user = pool_double_add(&world.pool, "ada", 500);
        busy = pool_double_add(&world.pool, "bob", 2500);
        stubborn = pool_double_add(&world.pool, "eve", 2500);
        busy->execs = 1;
        stubborn->has_refused_freeze = true;
        (void)scan_next(&scan, &world.pool, &rules, 32);
        assert_int_equal(user->state, CARREL_READY);
        user->idle_ms = 1500;
        (void)scan_next(&scan, &world.pool, &rules, 32);
        assert_int_equal(user->state, CARREL_FROZEN);
        assert_string_equal(user->frozen_for, "idle");
        assert_false(user->is_reclaimed);
        user->idle_ms = 2000;
        (void)scan_next(&scan, &world.pool, &rules, 32);
        assert_true(user->is_reclaimed);
        assert_int_equal(busy->state, CARREL_READY);
        assert_int_equal(stubborn->state, CARREL_READY);
        user->idle_ms = 3000;
        (void)scan_next(&scan, &world.pool, &rules, 32);
        assert_string_equal(user->retired_for, "idle");
        world_close(&world);
}

static void a_background_program_that_counts_is_not_frozen(void **state)
{
        struct scan_rules rules = { .judge = {
                                            .idle_ttl_ms = 3000, .freeze_after_ms = 1000, .counts_background = true } };
        struct scan scan = { 0 };
        struct double_user *user;
        struct fault why;
        struct world world;

        (void)state;
        world_open(&world, false);
        user = pool_double_add(&world.pool, "ada", 1500);
        (void)snprintf(user->background, sizeof user->background, "1");
        (void)scan_next(&scan, &world.pool, &rules, 32);
        assert_int_equal(user->state, CARREL_READY);
        assert_int_equal(user->idle_ms, 0); /* it counts as use */
        assert_int_equal(reaper_may_freeze(world.reaper, "ada", &why), 0);
        reaper_reconfigure(world.reaper, &(struct reaper_options){ .idle_ttl_s = 1, .counts_background = true });
        assert_true(reaper_may_freeze(world.reaper, "ada", &why) < 0);
        assert_int_equal(why.kind, FAULT_CARREL_BUSY);
        assert_int_equal(reaper_may_freeze(world.reaper, "nobody", &why), 0);
        world_close(&world);
}

/* The longest idle first, a bounded number in each pass; those that are frozen already give their memory back. */
static void pressure_takes_the_eldest(void **state)
{
        struct scan_rules rules = { .judge = { .idle_ttl_ms = 1000000 } };
        struct scan scan = { 0 };
        unsigned frozen = 0, reclaimed = 0;
        struct scan_piece piece;
        struct world world;

        (void)state;
        world_open(&world, false);
        for (int i = 0; i < 200; i++) {
                char name[16];

                (void)snprintf(name, sizeof name, "u%03d", i);
                (void)pool_double_add(&world.pool, name, 100 + i * 7919 % 200);
        }
        do
                piece = scan_next(&scan, &world.pool, &rules, 32);
        while (!piece.is_last);
        rules.pressed = rules.judge;
        rules.pressed.freeze_after_ms = rules.pressed.reclaim_after_ms = 100;
        for (int pass = 0; pass < 2; pass++)
                do
                        piece = scan_next(&scan, &world.pool, &rules, 32);
                while (!piece.is_last);
        for (unsigned i = 0; i < world.pool.n_users; i++) {
                const struct double_user *user = &world.pool.users[i];

                frozen += user->state == CARREL_FROZEN;
                reclaimed += user->is_reclaimed;
                if (user->state == CARREL_FROZEN) {
                        assert_string_equal(user->frozen_for, "pressure");
                        assert_true(user->idle_ms >= 300 - SCAN_ELDEST);
                }
        }
        assert_int_equal(frozen, SCAN_ELDEST);
        assert_int_equal(reclaimed, SCAN_ELDEST);
        world_close(&world);
}

/* Those that an earlier piece has chosen are left alone: nothing is due without pressure. */
static void pressure_may_end_within_a_pass(void **state)
{
        struct scan_rules rules = { .judge = { .idle_ttl_ms = 1000000 } };
        struct scan scan = { 0 };
        struct world world;

        (void)state;
        world_open(&world, false);
        for (int i = 0; i < 200; i++) {
                char name[16];

                (void)snprintf(name, sizeof name, "u%03d", i);
                (void)pool_double_add(&world.pool, name, 200);
        }
        rules.pressed = rules.judge;
        rules.pressed.freeze_after_ms = 100;
        assert_false(scan_next(&scan, &world.pool, &rules, 32).is_last);
        assert_int_equal(scan.n_eldest, SCAN_ELDEST); /* the control */
        rules.pressed = (struct judge_rules){ 0 };
        assert_true(scan_next(&scan, &world.pool, &rules, 32).is_last);
        assert_int_equal(scan.n_eldest, 0);
        for (unsigned i = 0; i < world.pool.n_users; i++)
                assert_int_equal(world.pool.users[i].state, CARREL_READY);
        world_close(&world);
}

/* The file of the kernel is read at each pass. */
static void pressure_is_read(void **state)
{
        static const struct {
                const char *text;
                unsigned percent;
                int64_t idle_ms;
                bool is_frozen;
        } ROWS[] = {
                { "some avg10=40.00 avg60=0.00\n", 40, 20000, true },
                { "some avg10=39.99 avg60=0.00\n", 40, 20000, false },
                { "some avg10=90.00 avg60=0.00\n", 0, 20000, false }, /* off */
                { "some avg10=90.00 avg60=0.00\n", 40, 9000, false }, /* just used */
                { "", 40, 20000, false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                int fd = memfd_create("pressure", MFD_CLOEXEC);
                struct reaper_options options = {
                        .idle_ttl_s = 600.0,
                        .interval_s = 0.001,
                        .sweep_interval_s = 3600.0,
                        .freeze_pressure = ROWS[i].percent,
                };
                struct double_user *user;
                char path[64];
                struct world world;

                assert_int_equal(write(fd, ROWS[i].text, strlen(ROWS[i].text)), strlen(ROWS[i].text));
                (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
                options.pressure_file = path;
                world_open(&world, false);
                user = pool_double_add(&world.pool, "ada", ROWS[i].idle_ms);
                reaper_reconfigure(world.reaper, &options);
                reconcile(&world);
                await(&world, &world.pool.n_visits, ROWS[i].is_frozen ? 1 : 3);
                assert_int_equal(user->state == CARREL_FROZEN, ROWS[i].is_frozen);
                world_close(&world);
                close(fd);
        }
}

static void pieces_are_bounded(void **state)
{
        struct scan_rules rules = { .judge = { .idle_ttl_ms = 1000 } };
        struct scan scan = { 0 };
        struct scan_piece piece;
        struct world world;

        (void)state;
        world_open(&world, false);
        add_many(&world.pool, 300);
        piece = scan_next(&scan, &world.pool, &rules, 32);
        assert_int_equal(piece.retired, 32);
        assert_true(piece.is_throttled);
        assert_int_equal(world.pool.n_visits, 33);
        piece = scan_next(&scan, &world.pool, &rules, 0);
        assert_int_equal(piece.retired, 0);
        assert_true(piece.is_throttled);
        piece = scan_next(&scan, &world.pool, &rules, UINT32_MAX);
        assert_int_equal(piece.retired, 128);
        assert_false(piece.is_throttled || piece.is_last);
        piece = scan_next(&scan, &world.pool, &rules, UINT32_MAX);
        assert_false(piece.is_last);
        piece = scan_next(&scan, &world.pool, &rules, UINT32_MAX);
        assert_true(piece.is_last);
        assert_int_equal(count_retired(&world.pool), 300);
        assert_string_equal(scan.after, "");
        world_close(&world);
}

static void retirements_in_flight_are_bounded(void **state)
{
        struct world world;

        (void)state;
        world_open(&world, false);
        add_many(&world.pool, 300);
        reconcile(&world);
        await(&world, &world.pool.n_visits, 33);
        assert_int_equal(count_retired(&world.pool), 32);
        /* They end, and the next ones go. */
        for (unsigned i = 0; i < 32; i++)
                world.pool.users[i].state = CARREL_LOST;
        await(&world, &world.pool.n_visits, 34 + 32);
        assert_int_equal(count_retired(&world.pool), 32);
        world_close(&world);
}

/* ---- sweeps ---- */

static const struct sweep_case {
        const char *name;
        bool is_adopting, is_start;
        struct {
                enum survey_claim claim;
                enum double_answer on_discard, on_adopt;
        } containers[4];
        size_t n_containers;
        struct sweep_report report;
        unsigned surveys;
} SWEEPS[] = {
        { "an empty engine", false, true, { { 0 } }, 0, { 0 }, 1 },
        { "clear",
          false,
          true,
          { { CLAIM_ADOPTABLE, ANSWER_OK, ANSWER_OK }, { CLAIM_ORPHAN, ANSWER_OK, ANSWER_OK } },
          2,
          { .removed = 2 },
          1 },
        { "adopt",
          true,
          true,
          { { CLAIM_ADOPTABLE, ANSWER_OK, ANSWER_OK }, { CLAIM_ORPHAN, ANSWER_OK, ANSWER_OK } },
          2,
          { .adopted = 1, .removed = 1 },
          1 },
        { "adoption fails",
          true,
          true,
          { { CLAIM_ADOPTABLE, ANSWER_OK, ANSWER_FAULT }, { CLAIM_ADOPTABLE, ANSWER_OK, ANSWER_NO_MEMORY_NOW } },
          2,
          { .removed = 2 },
          1 },
        { "removal fails, again and again",
          false,
          true,
          { { CLAIM_ORPHAN, ANSWER_FAULT, ANSWER_OK }, { CLAIM_OURS, ANSWER_OK, ANSWER_OK } },
          2,
          { .failed = 1, .kept = 1 },
          5 },
        { "serving",
          true,
          false,
          { { CLAIM_OURS, ANSWER_OK, ANSWER_OK },
            { CLAIM_IN_FLOW, ANSWER_OK, ANSWER_OK },
            { CLAIM_ADOPTABLE, ANSWER_OK, ANSWER_OK },
            { CLAIM_ORPHAN, ANSWER_OK, ANSWER_OK } },
          4,
          { .kept = 2, .removed = 2 },
          1 },
        { "held by now", false, false, { { CLAIM_ORPHAN, ANSWER_BUSY_NOW, ANSWER_OK } }, 1, { .kept = 1 }, 1 },
        { "answers from inside",
          true,
          true,
          { { CLAIM_ADOPTABLE, ANSWER_OK, ANSWER_AT_ONCE }, { CLAIM_ORPHAN, ANSWER_AT_ONCE, ANSWER_OK } },
          2,
          { .adopted = 1, .removed = 1 },
          1 },
        { "no memory",
          false,
          false,
          { { CLAIM_ORPHAN, ANSWER_NO_MEMORY_NOW, ANSWER_OK }, { CLAIM_ORPHAN, ANSWER_FAULT, ANSWER_OK } },
          2,
          { .failed = 2 },
          1 },
};

static void run_sweep_case(const struct sweep_case *sweep)
{
        struct world world;
        unsigned surveys_before;

        world_open(&world, sweep->is_adopting);
        if (!sweep->is_start)
                reconcile(&world);
        for (size_t i = 0; i < sweep->n_containers; i++) {
                char id[16];
                struct double_container *container;

                snprintf(id, sizeof id, "container-%zu", i);
                container = pool_double_plant(&world.pool, id, sweep->containers[i].claim);
                container->on_discard = sweep->containers[i].on_discard;
                container->on_adopt = sweep->containers[i].on_adopt;
        }
        surveys_before = world.pool.n_surveys;
        if (sweep->is_start) {
                reconcile(&world);
        } else {
                assert_int_equal(reaper_sweep(world.reaper, on_swept, &world), 0);
                assert_int_equal(reaper_sweep(world.reaper, on_swept, &world), -EBUSY);
                await(&world, &world.n_swept, 1);
        }
        if (memcmp(&world.report, &sweep->report, sizeof world.report) != 0)
                fail_msg("%s: kept %u, adopted %u, removed %u, lost %u, failed %u", sweep->name, world.report.kept,
                         world.report.adopted, world.report.removed, world.report.lost, world.report.failed);
        assert_int_equal(world.pool.n_surveys - surveys_before, sweep->surveys);
        assert_int_equal(world.n_waits, sweep->surveys - 1);
        world_close(&world);
}

static void sweeps(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof SWEEPS / sizeof SWEEPS[0]; i++)
                run_sweep_case(&SWEEPS[i]);
}

static void removals_in_flight_are_bounded(void **state)
{
        struct world world;

        (void)state;
        world_open(&world, false);
        for (unsigned i = 0; i < DOUBLE_CONTAINERS; i++) {
                char id[16];

                snprintf(id, sizeof id, "container-%u", i);
                pool_double_plant(&world.pool, id, CLAIM_ORPHAN);
        }
        reconcile(&world);
        assert_int_equal(world.report.removed, DOUBLE_CONTAINERS);
        assert_int_equal(world.pool.in_flight_most, 8);
        world_close(&world);
}

static void the_missing_are_lost(void **state)
{
        struct world world;

        (void)state;
        world_open(&world, false);
        reconcile(&world);
        world.pool.missing[0] = "alice";
        world.pool.missing[1] = "bob";
        assert_int_equal(reaper_sweep(world.reaper, on_swept, &world), 0);
        await(&world, &world.n_swept, 1);
        assert_int_equal(world.report.lost, 2);
        assert_int_equal(world.pool.n_lost, 2);
        world.pool.survey_faults = 1;
        assert_int_equal(reaper_sweep(world.reaper, on_swept, &world), 0);
        await(&world, &world.n_swept, 2);
        assert_int_equal(world.n_faults, 1);
        world_close(&world);
}

static void the_engine_comes_back(void **state)
{
        static const struct pool_event BACK = { .kind = POOL_ENGINE_BACK }, OTHER = { .kind = POOL_RETIRED };
        struct world world;

        (void)state;
        world_open(&world, false);
        reconcile(&world);
        assert_int_equal(world.pool.n_surveys, 1);
        world.pool.on_event(world.pool.listener, &OTHER);
        world.pool.on_event(world.pool.listener, &BACK);
        assert_int_equal(world.pool.n_surveys, 1); /* never from inside the announcement */
        await(&world, &world.pool.n_surveys, 2);
        world.pool.on_event(world.pool.listener, &BACK); /* and once more after the running one */
        await(&world, &world.pool.n_surveys, 3);
        world_close(&world);
}

static void the_asker_leaves(void **state)
{
        struct world world;

        (void)state;
        world_open(&world, false);
        reconcile(&world);
        assert_int_equal(reaper_sweep(world.reaper, on_swept, &world), 0);
        reaper_sweep_forget(world.reaper, &world.pool); /* somebody else */
        await(&world, &world.n_swept, 1);
        assert_int_equal(reaper_sweep(world.reaper, on_swept, &world), 0);
        reaper_sweep_forget(world.reaper, &world);
        while (reaper_sweep(world.reaper, on_swept, &world) == -EBUSY && !world.has_barked)
                ev_run(world.loop, EVRUN_ONCE);
        assert_int_equal(world.n_swept, 1);
        await(&world, &world.n_swept, 2);
        world_close(&world);
}

/* The daemon ends while a survey, an adoption and a removal are open: nothing leaks. */
static void freed_with_open_questions(void **state)
{
        (void)state;
        for (unsigned turns = 0; turns < 6; turns++) {
                struct world world;

                world_open(&world, true);
                pool_double_plant(&world.pool, "one", CLAIM_ADOPTABLE)->on_adopt = ANSWER_NEVER;
                pool_double_plant(&world.pool, "two", CLAIM_ORPHAN)->on_discard = ANSWER_NEVER;
                assert_int_equal(reaper_reconcile(world.reaper, on_ready, on_wait, &world), 0);
                for (unsigned i = 0; i < turns; i++)
                        ev_run(world.loop, EVRUN_NOWAIT);
                world_close(&world);
                assert_int_equal(world.n_ready, 0);
        }
        assert_null(reaper_free(NULL));
}

static void explaining(void **state)
{
        struct carrel_view view = { .user = "alice", .step = "", .state = CARREL_READY, .idle_ms = 400 };
        struct world world;
        char text[128];

        (void)state;
        world_open(&world, false);
        reaper_explain(world.reaper, &view, text, sizeof text);
        assert_string_equal(text, "It is stopped in 1 s unless it is used before.");
        reaper_explain(world.reaper, &view, text, 6);
        assert_string_equal(text, "It is");
        world_close(&world);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(who_is_reaped),
                cmocka_unit_test(who_takes_the_hosts_memory),
                cmocka_unit_test(the_background),
                cmocka_unit_test(nobody_before_the_start_is_over),
                cmocka_unit_test(a_listener_uses_the_next_one),
                cmocka_unit_test(reaping_by_hand_takes_all),
                cmocka_unit_test(the_ladder_is_climbed),
                cmocka_unit_test(a_background_program_that_counts_is_not_frozen),
                cmocka_unit_test(pressure_takes_the_eldest),
                cmocka_unit_test(pressure_may_end_within_a_pass),
                cmocka_unit_test(pressure_is_read),
                cmocka_unit_test(pieces_are_bounded),
                cmocka_unit_test(retirements_in_flight_are_bounded),
                cmocka_unit_test(sweeps),
                cmocka_unit_test(removals_in_flight_are_bounded),
                cmocka_unit_test(the_missing_are_lost),
                cmocka_unit_test(the_engine_comes_back),
                cmocka_unit_test(the_asker_leaves),
                cmocka_unit_test(freed_with_open_questions),
                cmocka_unit_test(explaining),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
