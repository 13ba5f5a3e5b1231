/* Whose the users' files may be. The accounts of the database are root and daemon, which every Debian has, and none of
 * these numbers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "owner.h"
#include "scope.h"

static void people_are_told_from_services(void **state)
{
        static const struct {
                uint32_t uid;
                const char *shell;
                bool is_person;
        } ROWS[] = {
                { 1000, "/bin/bash", true },
                { 1000, "/usr/sbin/nologin", true },
                { 60000, "/bin/false", true },
                { 60001, "/bin/false", false },
                { 999, "/usr/sbin/nologin", false },
                { 999, "/bin/sh", true },
                { 999, "", true },
                { 999, "false", false },
                { 70000, "/bin/zsh", true },
                { 999, "/opt/nologin/bash", true },
        };
        static const struct owner_people PEOPLE = { 1000, 60000 };

        (void)state;
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                const struct passwd account = { .pw_uid = ROWS[i].uid, .pw_shell = (char *)ROWS[i].shell };

                if (owner_is_person(&account, &PEOPLE) != ROWS[i].is_person)
                        fail_msg("%u, \"%s\"", ROWS[i].uid, ROWS[i].shell);
        }
}

static void accounts_are_found_or_refused(void **state)
{
        static const struct {
                const char *settings[3];
                const char *named; /* in the fault; NULL: accepted */
                struct pool_owner owner;
        } ROWS[] = {
                { { "CARREL_UID=61234" }, NULL, { 61234, 61234 } },
                { { "CARREL_UID=61234", "CARREL_GID=61235" }, NULL, { 61234, 61235 } },
                { { "CARREL_UID=61234", "CARREL_GID=daemon" }, NULL, { 61234, 1 } },
                { { "CARREL_UID=daemon" }, NULL, { 1, 1 } },
                { { "CARREL_UID=1", "CARREL_GID=61235" }, NULL, { 1, 61235 } },
                { { "CARREL_UID=0" }, "uid", { 0 } },
                { { "CARREL_UID=root", "CARREL_UID_IS_SHARED=yes" }, "root must not own", { 0 } },
                { { "CARREL_UID=61234", "CARREL_GID=0" }, "gid", { 0 } },
                { { "CARREL_UID=root" }, "uid_is_shared = yes", { 0 } },
                { { "CARREL_UID=no-such-account" }, "systemd-sysusers", { 0 } },
                { { "CARREL_UID=61234", "CARREL_GID=no-such-group" }, "gid", { 0 } },
                { { "CARREL_UID=1879048192" }, "userns_base", { 0 } },
                { { "CARREL_UID=61234", "CARREL_GID=1879048192" }, "userns_base", { 0 } },
                { { "CARREL_UID=4294967295" }, "uid", { 0 } },
        };

        (void)state;
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                char *environment[] = { (char *)ROWS[i].settings[0], (char *)ROWS[i].settings[1], NULL };
                AUTO(config_release) struct config config = { 0 };
                struct pool_owner owner = { 7, 7 };
                struct fault why = { 0 };
                int r;

                assert_int_equal(config_load(&config, "/nonexistent", false, environment, NULL, &why), 0);
                r = owner_find(&config, &owner, &why);
                if (ROWS[i].named == NULL && r < 0)
                        fail_msg("%s: %s", ROWS[i].settings[0], why.message);
                if (ROWS[i].named != NULL && (r == 0 || strstr(why.message, ROWS[i].named) == NULL))
                        fail_msg("%s: not refused, or without its name: %s", ROWS[i].settings[0], why.message);
                assert_int_equal(owner.uid, r < 0 ? 7 : ROWS[i].owner.uid);
                assert_int_equal(owner.gid, r < 0 ? 7 : ROWS[i].owner.gid);
        }
}

int main(void)
{
        static const struct CMUnitTest TESTS[] = {
                cmocka_unit_test(people_are_told_from_services),
                cmocka_unit_test(accounts_are_found_or_refused),
        };

        return cmocka_run_group_tests(TESTS, NULL, NULL);
}
