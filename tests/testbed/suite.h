/* The fixture of a test program: an enclosure, an engine for all of its tests, and a carreld for all of them or for
 * each. */
#pragma once

#include "carreld.h"
#include "process.h"
#include "request.h"
#include "test-engine.h"

/* Which servers run while the tests run. */
enum suite_kind {
        SUITE_ENCLOSURE, /* none */
        SUITE_ENGINE,    /* an engine; each test starts the carreld that it needs */
        SUITE_CARRELD,   /* an engine, and one carreld for all tests */
};

struct suite {
        const char *name;
        enum suite_kind kind;
        const char *engine;          /* the only engine that the tests are for; NULL: TESTBED_ENGINE chooses one */
        const char *const *settings; /* of the carreld that the fixture starts; NULL: the defaults */
        void (*set_up)(void);        /* called once, before the first test; NULL: nothing to do */
        void (*tear_down)(void);     /* called once, after the last test; carreld and the engine still run */
        const struct CMUnitTest *tests;
        size_t n_tests;
};

/* The members that hold a table of tests. */
#define SUITE_TESTS(table) .tests = table, .n_tests = sizeof table / sizeof *(table)

/* Makes the enclosure, runs the tests in it, and returns the exit status of main(). Skips as enclosure_run() does. */
int suite_run(const struct suite *suite);

/* The engine and the carreld that run now; NULL: none. A test may replace carreld. */
extern struct test_engine *engine;
extern struct carreld *carreld;

/* Starts a carreld with these settings, and waits until it is ready. */
void suite_start(const char *const *settings);
#define SUITE_START(...) suite_start((const char *const[]){ __VA_ARGS__, NULL })
/* Ends it with SIGTERM. The test fails if it does not end with status 0, or if a sanitizer has reported something: each
 * test that starts a carreld calls this at its end. */
void suite_end(void);
/* Kills it with SIGKILL, and starts one with these settings. */
void suite_restart(const char *const *settings);

/* ---- tests that have their own carreld ---- */

/* Setup of a test: starts a carreld with the settings of the suite. */
int suite_begin_test(void **state);
/* Teardown of a test: kills the carreld that a failed test has left, and prints the end of its log. */
int suite_end_test(void **state);

/* A test that begins with a carreld, and one that starts its own. */
#define WITH_CARRELD(test) cmocka_unit_test_setup_teardown(test, suite_begin_test, suite_end_test)
#define WITH_ENGINE(test) cmocka_unit_test_teardown(test, suite_end_test)

/* The initial state of a test about the daemon of the engine. Engines that have no daemon are not tested. */
extern char suite_daemon_mark;
#define ENGINE_DAEMON ((void *)&suite_daemon_mark)
#define WITH_ENGINE_DAEMON(test)                                                                                       \
        {                                                                                                              \
#test, test, NULL, suite_end_test, ENGINE_DAEMON                                                       \
        }
