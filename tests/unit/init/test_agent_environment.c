/* The environment of a run: a table of cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent.h"

enum { MOST = 6 };
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static void variables_are_merged(void **state)
{
        static const char *const CASES[][3][MOST] = {
                { { "A=1", "PATH=/bin", NULL }, { "A=2", NULL }, { "PATH=/bin", "A=2", NULL } },
                { { "AB=1", "PATH=/bin", NULL }, { "A=2", NULL }, { "AB=1", "PATH=/bin", "A=2", NULL } },
                /* The user's programs come first, */
                { { "PATH=/bin", NULL }, { "HOME=/h", NULL }, { "PATH=/h/.local/bin:/bin", "HOME=/h", NULL } },
                { { "HOME=/i", "PATH=/bin", NULL },
                  { "B=", NULL },
                  { "HOME=/i", "PATH=/i/.local/bin:/bin", "B=", NULL } },
                { { "HOME=/i", "PATH=/bin", NULL },
                  { "HOME=/h", NULL },
                  { "PATH=/h/.local/bin:/bin", "HOME=/h", NULL } },
                { { "PATH=", NULL }, { "HOME=/h", NULL }, { "PATH=/h/.local/bin:", "HOME=/h", NULL } },
                { { NULL }, { "HOME=/h", NULL }, { "PATH=/h/.local/bin:" DEFAULT_PATH, "HOME=/h", NULL } },
                /* unless they do already, */
                { { "PATH=/h/.local/bin:/bin", NULL },
                  { "HOME=/h", NULL },
                  { "PATH=/h/.local/bin:/bin", "HOME=/h", NULL } },
                { { "PATH=/h/.local/bin", NULL }, { "HOME=/h", NULL }, { "PATH=/h/.local/bin", "HOME=/h", NULL } },
                { { "PATH=/h/.local/bins", NULL },
                  { "HOME=/h", NULL },
                  { "PATH=/h/.local/bin:/h/.local/bins", "HOME=/h", NULL } },
                /* or there is no home, */
                { { "PATH=/bin", NULL }, { "HOME=", NULL }, { "PATH=/bin", "HOME=", NULL } },
                { { "PATH=/bin", NULL }, { "HOME=h", NULL }, { "PATH=/bin", "HOME=h", NULL } },
                { { NULL }, { "B=1", NULL }, { "PATH=" DEFAULT_PATH, "B=1", NULL } },
                /* or the exec has a PATH of its own. */
                { { "PATH=/bin", NULL }, { "HOME=/h", "PATH=/x", NULL }, { "HOME=/h", "PATH=/x", NULL } },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct agent_spec spec = { .environment = (char **)CASES[i][1] };
                char *const *merged;

                while (spec.environment[spec.n_environment] != NULL)
                        spec.n_environment++;
                merged = environment_merge((char **)CASES[i][0], &spec);
                for (size_t k = 0; CASES[i][2][k] != NULL || merged[k] != NULL; k++) {
                        assert_true(CASES[i][2][k] != NULL && merged[k] != NULL);
                        assert_string_equal(merged[k], CASES[i][2][k]);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(variables_are_merged),
        };

        return cmocka_run_group_tests_name("environment", tests, NULL, NULL);
}
