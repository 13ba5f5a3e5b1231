/* What --check and a reload refuse is what the rooms would refuse: a reload that fails must have changed nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "options.h"
#include "scope.h"

static void settings_are_checked_by_every_room(void **state)
{
        static const struct {
                const char *variable;
                const char *named; /* in the fault; NULL: accepted */
        } ROWS[] = {
                { "CARREL_DNS=1.1.1.1,8.8.8.8", NULL },
                { "CARREL_DNS=1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5,1.1.1.6,1.1.1.7,1.1.1.8", NULL },
                { "CARREL_DNS=1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5,1.1.1.6,1.1.1.7,1.1.1.8,1.1.1.9", "dns" },
                { "CARREL_DENY=1.2.3.0/24", NULL },
                { "CARREL_DENY=1.2.3.4/24", "deny" },
                { "CARREL_TMP_SIZE=3g", "tmp_size" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                char *environment[] = { (char *)ROWS[i].variable, NULL };
                AUTO(config_release) struct config config = { 0 };
                struct fault why = { 0 };
                int r;

                assert_int_equal(config_load(&config, "/nonexistent", false, environment, &why), 0);
                r = daemon_check(&config, &why);
                if (ROWS[i].named == NULL && r < 0)
                        fail_msg("%s: %s", ROWS[i].variable, why.message);
                if (ROWS[i].named != NULL && (r == 0 || strstr(why.message, ROWS[i].named) == NULL))
                        fail_msg("%s: not refused, or without its name: %s", ROWS[i].variable, why.message);
        }
}

int main(void)
{
        static const struct CMUnitTest TESTS[] = { cmocka_unit_test(settings_are_checked_by_every_room) };

        return cmocka_run_group_tests(TESTS, NULL, NULL);
}
