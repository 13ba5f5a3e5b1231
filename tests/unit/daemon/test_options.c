/* --check and a reload refuse the same as the rooms: a reload that fails must have changed nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon-options.h"
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

                assert_int_equal(config_load(&config, "/nonexistent", false, environment, NULL, &why), 0);
                r = daemon_check(&config, NULL, &why);
                if (ROWS[i].named == NULL && r < 0)
                        fail_msg("%s: %s", ROWS[i].variable, why.message);
                if (ROWS[i].named != NULL && (r == 0 || strstr(why.message, ROWS[i].named) == NULL))
                        fail_msg("%s: not refused, or without its name: %s", ROWS[i].variable, why.message);
        }
}

struct heard {
        char text[4096];
        unsigned count;
};

static void hear(void *arg, const struct fault *why)
{
        struct heard *heard = arg;
        size_t length = strlen(heard->text);

        heard->count++;
        (void)snprintf(heard->text + length, sizeof heard->text - length, "%s\n", why->message);
}

/* Each row spoils one thing of a host that is as it should be. */
static void the_host_is_checked(void **state)
{
        static const struct {
                const char *spoil;    /* run in the directory; NULL: nothing */
                const char *variable; /* over the good settings; NULL: none */
                const char *named;    /* in the fault; NULL: accepted */
        } ROWS[] = {
                { NULL, NULL, NULL },
                { "chmod 0755 helpers/carrel-init", NULL, "chmod 0711" },
                { "rm helpers/carrel-init", NULL, "carrel-init" },
                { "rm helpers/carrel-netd", NULL, "carrel-netd" },
                { "chmod 0777 helpers/carrel-image", NULL, "carrel-image must belong to root" },
                { "chmod 0644 helpers/carrel-image", NULL, "carrel-image is not a program" },
                { "chown 12345 helpers/carrel-init", NULL, "must belong to root" },
                { "chmod 0777 users", NULL, "users must belong to root" },
                { NULL, "CARREL_SOCKET_GROUP=nosuchgroup", "groupadd --system nosuchgroup" },
                { NULL, "CARREL_ADMIN_GROUP=nosuchgroup", "admin_group" },
        };

        (void)state;
        if (geteuid() != 0)
                skip();
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                char base[] = "/tmp/carrel-host-XXXXXX";
                char command[512], variables[5][96];
                char *environment[7] = { 0 };
                AUTO(config_release) struct config config = { 0 };
                struct heard heard = { 0 };
                const struct fault_listener listener = { hear, &heard };
                struct fault why = { 0 };
                int r;

                assert_non_null(mkdtemp(base));
                (void)snprintf(command, sizeof command,
                               "cd %s && chmod 0755 . && mkdir helpers users && touch helpers/carrel-init "
                               "helpers/carrel-image helpers/carrel-mountd "
                               "helpers/carrel-netd && chmod 0755 helpers/* && chmod 0711 helpers/carrel-init; %s",
                               base, ROWS[i].spoil != NULL ? ROWS[i].spoil : "true");
                assert_int_equal(system(command), 0);
                (void)snprintf(variables[0], sizeof variables[0], "CARREL_HELPER_DIR=%s/helpers", base);
                (void)snprintf(variables[1], sizeof variables[1], "CARREL_USERS_DIR=%s/users", base);
                (void)snprintf(variables[2], sizeof variables[2], "CARREL_IMAGE_DIR=%s/images", base);
                (void)snprintf(variables[3], sizeof variables[3], "CARREL_RUNTIME_DIR=%s/run", base);
                (void)snprintf(variables[4], sizeof variables[4], "%s",
                               ROWS[i].variable != NULL ? ROWS[i].variable : "CARREL_PIDS=256");
                for (size_t k = 0; k < 5; k++)
                        environment[k] = variables[k];
                environment[5] = strstr(variables[4], "SOCKET_GROUP") == NULL ? (char *)"CARREL_SOCKET_GROUP=" : NULL;
                assert_int_equal(config_load(&config, "/nonexistent", false, environment, NULL, &why), 0);
                r = daemon_check_host(&config, &listener, &why);
                if (ROWS[i].named == NULL && r < 0)
                        fail_msg("%zu: %s", i, heard.text);
                if (ROWS[i].named != NULL && (r == 0 || heard.count != 1 || strstr(heard.text, ROWS[i].named) == NULL))
                        fail_msg("%zu: not refused, or without its name: %s", i, heard.text);
                (void)snprintf(command, sizeof command, "rm -r %s", base);
                assert_int_equal(system(command), 0);
        }
}

int main(void)
{
        static const struct CMUnitTest TESTS[] = { cmocka_unit_test(settings_are_checked_by_every_room),
                                                   cmocka_unit_test(the_host_is_checked) };

        return cmocka_run_group_tests(TESTS, NULL, NULL);
}
