/* Test cases that are shell scripts, as a backend would run them against a real carreld. A case passes if the script
 * prints what is expected. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct script {
        const char *name;
        const char *text;
        const char *expected; /* of stdout and stderr together */
};

/* Runs them in order. The first that prints something else fails the test. The scripts can use `carrel`, `api` (curl on
 * carreld's socket) and `wait_end` (waits for the end of an exec, by its id). Their working directory is new. */
void scripts_run(const struct script *scripts, size_t n);

/* Runs a table of scripts, in a test that has no other use for its `state`. */
#define RUN_SCRIPTS(table)                                                                                             \
        do {                                                                                                           \
                (void)state;                                                                                           \
                scripts_run(table, sizeof table / sizeof *(table));                                                    \
        } while (false)
