/* Which processes belong to an exec: the rule as a table, then real process trees in a real pid namespace. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cell.h"
#include "clock.h"
#include "process-tree.h"

enum { INIT = 100, SHIM = 90, ROOT = 200, TICKS_PER_S = 100, SINCE_TICK = 5000, GONE_MS = 10000 };

static const struct rule_case {
        const char *name;
        bool is_root_known, is_alone;
        struct process processes[5]; /* beside the init; by pid */
        bool belongs[5];
} RULES[] = {
        { "the root", true, false, { { 200, SHIM, 200, 5000, 'S' } }, { true } },
        { "its pid, reused", true, false, { { 200, SHIM, 200, 6000, 'S' } }, { false } },
        { "a child and a grandchild",
          true,
          false,
          { { 200, SHIM, 200, 5000, 'S' }, { 201, 200, 200, 5001, 'S' }, { 202, 201, 200, 5002, 'S' } },
          { true, true, true } },
        { "descendants in any order of pids",
          true,
          false,
          { { 101, 103, 1, 5002, 'S' },
            { 102, 101, 1, 5003, 'S' },
            { 103, 200, 1, 5001, 'S' },
            { 200, SHIM, 200, 5000, 'S' } },
          { true, true, true, true } },
        { "a child in a session of its own",
          true,
          false,
          { { 200, SHIM, 200, 5000, 'S' }, { 201, 200, 201, 5001, 'S' }, { 202, INIT, 201, 5002, 'S' } },
          { true, true, true } },
        { "an orphan in the root's session, the root gone", true, false, { { 201, INIT, 200, 5001, 'S' } }, { true } },
        { "an orphan that left the session, alone",
          true,
          true,
          { { 200, SHIM, 200, 5000, 'S' }, { 202, INIT, 201, 5002, 'S' } },
          { true, true } },
        { "the same beside another exec",
          true,
          false,
          { { 200, SHIM, 200, 5000, 'S' }, { 202, INIT, 201, 5002, 'S' } },
          { true, false } },
        { "a daemon of an earlier exec",
          true,
          true,
          { { 150, INIT, 150, 4000, 'S' }, { 200, SHIM, 200, 5000, 'S' } },
          { false, true } },
        { "and the child it has now",
          true,
          true,
          { { 150, INIT, 150, 4000, 'S' }, { 200, SHIM, 200, 5000, 'S' }, { 201, 150, 150, 5001, 'S' } },
          { false, true, false } },
        { "another exec's root",
          true,
          false,
          { { 200, SHIM, 200, 5000, 'S' }, { 210, SHIM, 210, 5001, 'S' }, { 211, 210, 210, 5002, 'S' } },
          { true, false, false } },
        { "no root known, alone",
          false,
          true,
          { { 200, SHIM, 200, 5000, 'S' }, { 201, 200, 200, 5001, 'S' } },
          { true, true } },
        { "no root known, not alone",
          false,
          false,
          { { 200, SHIM, 200, 5000, 'S' }, { 201, 200, 200, 5001, 'S' } },
          { false, false } },
        { "in the tick of the request", false, true, { { 200, SHIM, 200, SINCE_TICK, 'S' } }, { true } },
        { "in the tick before", false, true, { { 200, SHIM, 200, SINCE_TICK - 1, 'S' } }, { false } },
};

static void rules(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof RULES / sizeof RULES[0]; i++) {
                struct process_tree tree = { .init = INIT,
                                             .root = RULES[i].is_root_known ? ROOT : 0,
                                             .root_start_ticks = SINCE_TICK,
                                             .since_ms = SINCE_TICK * 1000 / TICKS_PER_S + 3,
                                             .is_alone = RULES[i].is_alone };
                struct suspect suspects[6] = { { .process = { INIT, SHIM, INIT, 1, 'S' } } };
                size_t count = 1;

                while (count < 6 && RULES[i].processes[count - 1].pid != 0) {
                        suspects[count].process = RULES[i].processes[count - 1];
                        count++;
                }
                process_tree_select(&tree, suspects, count, TICKS_PER_S);
                assert_false(suspects[0].is_member);
                for (size_t at = 1; at < count; at++)
                        if (suspects[at].is_member != RULES[i].belongs[at - 1])
                                fail_msg("%s: pid %d", RULES[i].name, (int)suspects[at].process.pid);
        }
}

/* ---- real ones ---- */

struct fixture {
        struct cell cell;
        struct cgroup cgroup;
        bool is_ready;
};

static int setup(void **state)
{
        struct fixture *fixture = calloc(1, sizeof *fixture);
        struct cgroup_mounts mounts;

        if (fixture == NULL)
                return -1;
        *state = fixture;
        if (cell_make(&fixture->cell) != 0)
                return getenv("CARREL_MUST_RUN") != NULL ? -1 : 0;
        fixture->is_ready = cgroup_read_mounts(&mounts) == 0 &&
                            cgroup_find(&mounts, fixture->cell.init, fixture->cell.id, &fixture->cgroup) == 0;
        return fixture->is_ready ? 0 : -1;
}

static int teardown(void **state)
{
        struct fixture *fixture = *state;

        if (fixture->is_ready)
                cell_destroy(&fixture->cell);
        free(fixture);
        return 0;
}

static struct fixture *ready(void **state)
{
        struct fixture *fixture = *state;

        if (!fixture->is_ready) {
                print_message("SKIP: no pid namespace or no writable cgroup here\n");
                skip();
        }
        return fixture;
}

static struct process_tree tree_of(const struct fixture *fixture)
{
        return (struct process_tree){ .cgroup = &fixture->cgroup,
                                      .container_id = fixture->cell.id,
                                      .init = fixture->cell.init,
                                      .since_ms = clock_boottime_ms(),
                                      .is_alone = true };
}

/* A fork may slip through a pass: then the caller calls again. */
static void kill_until_gone(const struct process_tree *tree, const struct cell_exec *exec)
{
        for (int i = 0; i < 100 && !cell_exec_is_gone(exec, 0); i++)
                if (process_tree_kill(tree) == 0)
                        break;
        assert_true(cell_exec_is_gone(exec, GONE_MS));
}

static void every_shape_dies(void **state)
{
        struct fixture *fixture = ready(state);

        for (int is_root_known = 0; is_root_known <= 1; is_root_known++) {
                for (int shape = 0; shape < SHAPES; shape++) {
                        struct process_tree tree = tree_of(fixture);
                        struct cell_exec exec;

                        assert_int_equal(cell_run(&fixture->cell, (enum cell_shape)shape, &exec), 0);
                        assert_false(cell_exec_is_gone(&exec, 0));
                        if (is_root_known)
                                assert_int_equal(process_tree_adopt(&tree, exec.root), 0);
                        kill_until_gone(&tree, &exec);
                        assert_int_equal(kill(fixture->cell.init, 0), 0);
                        cell_exec_end(&exec);
                }
        }
}

static void a_neighbour_lives(void **state)
{
        struct fixture *fixture = ready(state);
        struct process_tree tree = tree_of(fixture);
        struct cell_exec exec, neighbour;

        tree.is_alone = false;
        assert_int_equal(cell_run(&fixture->cell, SHAPE_SETSID, &exec), 0);
        assert_int_equal(cell_run(&fixture->cell, SHAPE_DAEMON, &neighbour), 0);
        assert_int_equal(process_tree_kill(&tree), 0);
        assert_false(cell_exec_is_gone(&exec, 0));
        assert_int_equal(process_tree_adopt(&tree, exec.root), 0);
        kill_until_gone(&tree, &exec);
        assert_false(cell_exec_is_gone(&neighbour, 0));
        assert_int_equal(process_tree_adopt(&tree, neighbour.root), 0);
        assert_int_equal(process_tree_kill(&tree), 1);
        /* The documented gap: while another exec runs, a daemon belongs to no exec. */
        assert_false(cell_exec_is_gone(&neighbour, 0));
        tree.is_alone = true;
        kill_until_gone(&tree, &neighbour);
        cell_exec_end(&exec);
        cell_exec_end(&neighbour);
}

static void a_lying_engine_kills_nobody(void **state)
{
        struct fixture *fixture = ready(state);
        struct process_tree tree = tree_of(fixture);
        struct cell_exec early;

        assert_int_equal(cell_run(&fixture->cell, SHAPE_PLAIN, &early), 0);
        tree.since_ms = clock_boottime_ms() + 1000;
        assert_int_equal(process_tree_adopt(&tree, early.root), -ESRCH);
        tree.since_ms = 0;
        assert_int_equal(process_tree_adopt(&tree, fixture->cell.init), -ESRCH);
        assert_int_equal(process_tree_adopt(&tree, getpid()), -ESRCH);
        assert_int_equal(process_tree_adopt(&tree, getppid()), -ESRCH);
        assert_int_equal(process_tree_adopt(&tree, early.shim), -ESRCH);
        assert_int_equal(process_tree_adopt(&tree, 1), -ESRCH);
        assert_int_equal(process_tree_adopt(&tree, 0), -ESRCH);
        assert_int_equal(process_tree_adopt(&tree, -1), -ESRCH);
        assert_int_equal(tree.root, 0);
        assert_int_equal(process_tree_adopt(&tree, early.root), 0);
        kill_until_gone(&tree, &early);
        assert_int_equal(process_tree_adopt(&tree, early.root), -ESRCH);
        cell_exec_end(&early);
}

static void signals_reach_the_family(void **state)
{
        struct fixture *fixture = ready(state);
        struct process_tree tree = tree_of(fixture);
        struct cell_exec exec;

        assert_int_equal(cell_run(&fixture->cell, SHAPE_FAMILY, &exec), 0);
        assert_int_equal(process_tree_adopt(&tree, exec.root), 0);
        assert_int_equal(process_tree_signal(&tree, SIGTERM), 3);
        assert_true(cell_exec_is_gone(&exec, GONE_MS));
        assert_int_equal(process_tree_signal(&tree, SIGTERM), 0);
        cell_exec_end(&exec);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rules),
                cmocka_unit_test_setup_teardown(every_shape_dies, setup, teardown),
                cmocka_unit_test_setup_teardown(a_neighbour_lives, setup, teardown),
                cmocka_unit_test_setup_teardown(a_lying_engine_kills_nobody, setup, teardown),
                cmocka_unit_test_setup_teardown(signals_reach_the_family, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
