/* Cases that are shell scripts, as a backend's shell would run them against a real carreld: what one prints is what is
 * expected. */
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

/* One after the other; the first that prints something else fails the test. `carrel`, `api` (curl on carreld's socket)
 * and `wait_end` (of an exec by its id) are there; the working directory is new and empty. */
void scripts_run(const struct script *scripts, size_t n);

/* A table, in a test: its `state` is used. */
#define RUN_SCRIPTS(table)                                                                                             \
        do {                                                                                                           \
                (void)state;                                                                                           \
                scripts_run(table, sizeof table / sizeof *(table));                                                    \
        } while (false)
