#include "suite.h"

#include <stdio.h>
#include <stdlib.h>

#include "enclosure.h"

enum { TESTS_MAX = 64 };

struct test_engine *engine;
struct carreld *carreld;
char suite_daemon_mark;

/* cmocka's fixtures take no argument from their caller, and the enclosure's function takes none. */
static struct suite suite;

/* ---- carreld ---- */

void suite_start(const char *const *settings)
{
        carreld = carreld_new(settings);
        carreld_await_ready(carreld, PATIENCE_S);
}

/* carreld_free() may fail the test. Its teardown must then find no carreld, because that one has been freed. */
void suite_end(void)
{
        struct carreld *ended = carreld;

        carreld = NULL;
        carreld_free(ended);
}

void suite_restart(const char *const *settings)
{
        carreld = carreld_kill(carreld);
        suite_start(settings);
}

int suite_begin_test(void **state)
{
        (void)state;
        suite_start(suite.settings);
        return 0;
}

int suite_end_test(void **state)
{
        (void)state;
        carreld = carreld_abandon(carreld);
        return 0;
}

/* ---- the whole program ---- */

static int set_up(void **state)
{
        (void)state;
        if (suite.kind != SUITE_ENCLOSURE)
                engine = engine_new();
        if (suite.kind == SUITE_CARRELD)
                suite_start(suite.settings);
        if (suite.set_up != NULL)
                suite.set_up();
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        if (suite.tear_down != NULL)
                suite.tear_down();
        suite_end();
        engine = engine_free(engine);
        return 0;
}

/* Leaves out the tests about a daemon if this engine has none, and names them in a TAP comment. */
static int run_suite(void)
{
        struct CMUnitTest chosen[TESTS_MAX];
        size_t n_chosen = 0;

        assert_true(suite.n_tests <= TESTS_MAX);
        for (size_t i = 0; i < suite.n_tests; i++) {
                chosen[n_chosen] = suite.tests[i];
                chosen[n_chosen].initial_state = NULL;
                if (suite.tests[i].initial_state != ENGINE_DAEMON || engine_has_daemon())
                        n_chosen++;
                else
                        printf("# no test of engine %s, which has no daemon: %s\n", engine_kind(), suite.tests[i].name);
        }
        return _cmocka_run_group_tests(suite.name, chosen, n_chosen, set_up, tear_down);
}

int suite_run(const struct suite *new_suite)
{
        suite = *new_suite;
        if (suite.engine != NULL)
                setenv("TESTBED_ENGINE", suite.engine, 1);
        return enclosure_run(run_suite);
}
