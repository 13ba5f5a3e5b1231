/* Deadlines, cancels and signals for real processes: exec with a double of the engine that answers truly, lies or
 * hangs, and a cell with real programs. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "world.h"

enum { GONE_MS = 60000 };
#define SOON 0.005
/* Longer than killed processes take to end on a busy machine; shorter than the world's watchdog. */
#define PATIENT_LINGER_S 60.0

struct fixture {
        struct world world;
        struct cell cell;
        bool has_cell;
        struct cell_exec program;
        ev_io end; /* of the program */
};

/* Does what a real engine's event stream does. */
static void on_end(struct ev_loop *loop, ev_io *io, int events)
{
        struct fixture *fixture = io->data;

        (void)events;
        if (!cell_exec_is_gone(&fixture->program, 0))
                return;
        ev_io_stop(loop, io);
        fixture->world.engine.status[0] = (struct exec_status){ .exit_code = 137 };
        world_event(&fixture->world, ENGINE_EXEC_DIED, 0, 137);
        double_ended(&fixture->world.engine, 0, false, 137);
}

static int setup(void **state)
{
        struct fixture *fixture = calloc(1, sizeof *fixture);

        if (fixture == NULL)
                return -1;
        *state = fixture;
        world_open(&fixture->world);
        fixture->has_cell = cell_make(&fixture->cell) == 0;
        return fixture->has_cell || getenv("CARREL_MUST_RUN") == NULL ? 0 : -1;
}

static int teardown(void **state)
{
        struct fixture *fixture = *state;

        world_close(&fixture->world);
        if (fixture->has_cell)
                cell_destroy(&fixture->cell);
        free(fixture);
        return 0;
}

static void begin(struct fixture *fixture, enum cell_shape shape, double timeout_s)
{
        struct world *world = &fixture->world;

        world->engine.n_execs = 0;
        assert_int_equal(world_start(world, &fixture->cell, &(struct exec_request){ .timeout_s = timeout_s }), 0);
        assert_int_equal(cell_run(&fixture->cell, shape, &fixture->program), 0);
        world->engine.status[0] = (struct exec_status){ .is_running = true, .pid = fixture->program.root };
        double_started(&world->engine, 0);
        ev_io_init(&fixture->end, on_end, fixture->program.alive_fd, EV_READ);
        fixture->end.data = fixture;
        ev_io_start(world->loop, &fixture->end);
}

static void end(struct fixture *fixture)
{
        ev_io_stop(fixture->world.loop, &fixture->end);
        cell_exec_end(&fixture->program);
}

static struct fixture *ready(void **state)
{
        struct fixture *fixture = *state;

        if (!fixture->has_cell) {
                print_message("SKIP: no pid namespace or no writable cgroup here\n");
                skip();
        }
        return fixture;
}

static void a_deadline_kills_every_shape(void **state)
{
        struct fixture *fixture = ready(state);
        struct world *world = &fixture->world;

        for (int mood = INSPECT_ANSWERS; mood <= INSPECT_FAILS; mood++) {
                for (int shape = 0; shape < SHAPES; shape++) {
                        world->engine.mood = (enum inspect_mood)mood;
                        world->n_answers = 0;
                        begin(fixture, (enum cell_shape)shape, SOON);
                        world_await_answers(world, 1);
                        assert_int_equal(world->result.cause, EXEC_TIMEOUT);
                        assert_int_equal(world->result.exit_code, 124);
                        assert_true(cell_exec_is_gone(&fixture->program, GONE_MS));
                        world_await_quiet(world);
                        assert_int_equal(world->n_answers, 1);
                        assert_int_equal(kill(fixture->cell.init, 0), 0);
                        end(fixture);
                }
        }
}

static void a_cancel_kills(void **state)
{
        struct fixture *fixture = ready(state);

        for (int shape = 0; shape < SHAPES; shape++) {
                begin(fixture, (enum cell_shape)shape, 0.0);
                exec_cancel(fixture->world.exec);
                world_await_quiet(&fixture->world);
                assert_true(cell_exec_is_gone(&fixture->program, GONE_MS));
                assert_int_equal(fixture->world.n_answers, 0);
                end(fixture);
        }
}

/* A fork bomb has children that no pass has seen when its first process is dead already. */
static void a_process_after_the_kill_dies_too(void **state)
{
        struct fixture *fixture = ready(state);
        struct cell_exec late;

        fixture->world.execs->timing.linger_s = PATIENT_LINGER_S;
        begin(fixture, SHAPE_PLAIN, 0.0);
        exec_cancel(fixture->world.exec);
        assert_true(cell_exec_is_gone(&fixture->program, GONE_MS));
        assert_int_equal(cell_run(&fixture->cell, SHAPE_FAMILY, &late), 0);
        world_event(&fixture->world, ENGINE_EXEC_DIED, 0, 137);
        world_await_quiet(&fixture->world);
        /* Nothing else kills it. An exiting process runs no more, but may hold its files until it gets the CPU. */
        assert_true(cell_exec_is_gone(&late, GONE_MS));
        assert_int_equal(fixture->world.n_left_behind, 0);
        cell_exec_end(&late);
        end(fixture);
}

static void the_end_of_the_daemon_kills(void **state)
{
        struct fixture *fixture = ready(state);

        begin(fixture, SHAPE_FAMILY, 0.0);
        fixture->world.execs = execs_free(fixture->world.execs);
        assert_true(cell_exec_is_gone(&fixture->program, GONE_MS));
        assert_int_equal(fixture->world.n_answers, 0);
        end(fixture);
}

/* With a neighbour only the engine's report says which process is whose, and here it is false. */
static void a_lie_kills_nobody(void **state)
{
        struct fixture *fixture = ready(state);
        struct world *world = &fixture->world;
        struct cell_exec decoy;
        pid_t lies[4];

        assert_int_equal(cell_run(&fixture->cell, SHAPE_PLAIN, &decoy), 0);
        lies[0] = fixture->cell.init;
        lies[1] = getppid();
        lies[2] = decoy.shim;
        lies[3] = 0;
        for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
                world->n_answers = 0;
                begin(fixture, SHAPE_PLAIN, SOON);
                world->engine.status[0].pid = lies[i];
                assert_int_equal(world_start(world, &fixture->cell, &(struct exec_request){ 0 }), 0);
                world_await_answers(world, 1);
                assert_int_equal(world->result.cause, EXEC_TIMEOUT);
                assert_false(cell_exec_is_gone(&decoy, 0));
                assert_false(cell_exec_is_gone(&fixture->program, 0));
                assert_int_equal(kill(fixture->cell.init, 0), 0);
                exec_cancel(world->exec);
                world_await_quiet(world);
                end(fixture);
        }
        cell_exec_end(&decoy);
}

static void a_signal_finds_its_way(void **state)
{
        struct fixture *fixture = ready(state);
        struct world *world = &fixture->world;

        begin(fixture, SHAPE_FAMILY, 0.0);
        assert_int_equal(execs_signal(world->execs, exec_id(world->exec), SIGTERM), 0);
        world_await_answers(world, 1);
        assert_true(cell_exec_is_gone(&fixture->program, 0));
        assert_int_equal(world->result.cause, EXEC_SIGNAL);
        end(fixture);
}

static void a_refused_fork_is_reported(void **state)
{
        struct fixture *fixture = ready(state);
        struct world *world = &fixture->world;

        if (cell_limit_pids(&fixture->cell, 8) != 0) {
                print_message("SKIP: no pids controller here\n");
                skip();
        }
        assert_int_equal(world_start(world, &fixture->cell, &(struct exec_request){ 0 }), 0);
        double_started(&world->engine, 0);
        double_ended(&world->engine, 0, false, 2);
        assert_int_equal(world->result.cause, EXEC_EXIT);

        begin(fixture, SHAPE_GREEDY, 0.0);
        world->engine.status[0] = (struct exec_status){ .exit_code = 2 };
        double_ended(&world->engine, 0, false, 2);
        assert_int_equal(world->n_answers, 2);
        assert_int_equal(world->result.cause, EXEC_PIDS);
        assert_int_equal(world->result.exit_code, 2);
        end(fixture);
}

static const struct left_case {
        const char *name;
        double timeout_s; /* 0: it is cancelled */
        enum inspect_mood mood;
        bool is_running; /* as exec_inspect reports it */
        bool is_started, has_event, is_lost;
        unsigned left_behind;
} LEFT[] = {
        { "cancelled, and runs on", .is_running = true, .is_started = true, .left_behind = 1 },
        { "timed out, and runs on", .timeout_s = SOON, .is_running = true, .is_started = true, .left_behind = 1 },
        { "cancelled, and ended", .is_started = true },
        { "cancelled, the end reported by event", .is_running = true, .is_started = true, .has_event = true },
        { "cancelled, and nobody knows", .mood = INSPECT_FAILS, .is_running = true, .is_started = true },
        { "cancelled, and forgotten", .mood = INSPECT_FORGETS, .is_running = true, .is_started = true },
        { "cancelled, never started", .is_running = true },
        { "cancelled, the container gone", .is_running = true, .is_started = true, .is_lost = true },
};

/* The host sees no process: only the engine's report is left. */
static void an_unkillable_exec_is_reported(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof LEFT / sizeof LEFT[0]; i++) {
                struct world world;

                world_open(&world);
                world.engine.mood = LEFT[i].mood;
                world.engine.status[0].is_running = LEFT[i].is_running;
                assert_int_equal(world_start(&world, NULL, &(struct exec_request){ .timeout_s = LEFT[i].timeout_s }),
                                 0);
                if (LEFT[i].is_started)
                        double_started(&world.engine, 0);
                if (LEFT[i].timeout_s > 0)
                        world_await_answers(&world, 1);
                else
                        world.exec = exec_cancel(world.exec);
                if (LEFT[i].has_event)
                        world_event(&world, ENGINE_EXEC_DIED, 0, 137);
                if (LEFT[i].is_lost)
                        execs_container_lost(world.execs, WORLD_CONTAINER, false);
                world_await_quiet(&world);
                if (world.n_left_behind != LEFT[i].left_behind)
                        fail_msg("%s: reported %u times", LEFT[i].name, world.n_left_behind);
                world_close(&world);
        }
}

#define WITH_CELL(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_CELL(a_deadline_kills_every_shape),
                WITH_CELL(a_cancel_kills),
                WITH_CELL(a_process_after_the_kill_dies_too),
                WITH_CELL(the_end_of_the_daemon_kills),
                WITH_CELL(a_lie_kills_nobody),
                WITH_CELL(a_signal_finds_its_way),
                WITH_CELL(a_refused_fork_is_reported),
                cmocka_unit_test(an_unkillable_exec_is_reported),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
