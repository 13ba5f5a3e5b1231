/* --check and a reload refuse the same as the rooms: a reload that fails must have changed nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

static int load(struct config *ret_config, const char *text)
{
        AUTO(auto_close) int fd = memfd_create("carrel.conf", MFD_CLOEXEC);
        char *environment[] = { NULL };
        char path[64];

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        return config_load(ret_config, path, true, environment, NULL, NULL);
}

static void the_ladder_is_in_order(void **state)
{
        static const struct {
                const char *text, *sentence; /* NULL: accepted */
        } ROWS[] = {
                { "freeze_after_s = 60\n", NULL },
                { "freeze_after_s = 60\nreclaim_after_s = 61\n", NULL },
                { "freeze_after_s = 299.9\nidle_ttl_s = 300\n", NULL },
                { "freeze_after_s = 300\nidle_ttl_s = 300\n", "freeze_after_s is not less than idle_ttl_s" },
                { "reclaim_after_s = 60\n", "reclaim_after_s needs freeze_after_s" },
                { "freeze_after_s = 60\nreclaim_after_s = 60\n", "reclaim_after_s is not between" },
                { "freeze_after_s = 60\nreclaim_after_s = 300\n", "reclaim_after_s is not between" },
                { "freeze_after_s = 60\nruntime = runsc\npolicy = none\n", "carrels of runtime runsc" },
                { "freeze_pressure = 10\nruntime = runsc\npolicy = none\n", "carrels of runtime runsc" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                AUTO(config_release) struct config config = { 0 };
                struct fault why = { 0 };
                int r;

                assert_int_equal(load(&config, ROWS[i].text), 0);
                r = daemon_check(&config, NULL, &why);
                assert_int_equal(r < 0, ROWS[i].sentence != NULL);
                if (ROWS[i].sentence != NULL && strstr(why.message, ROWS[i].sentence) == NULL)
                        fail_msg("%s: %s", ROWS[i].text, why.message);
        }
}

/* Sections as options of the pool. */
static void profiles_are_options_of_the_pool(void **state)
{
        static const char TEXT[] = "profile = b\n[profile a]\ncpus = 0.5\nmemory = 8g\npids = 9\npolicy = internet\n"
                                   "image = tiny:1\nenv = A=1\nwarm = 3\n[profile b]\n";
        static const struct pool_owner OWNER = { 1, 1 };
        AUTO(config_release) struct config config = { 0 };
        struct daemon_pool_room room;
        struct pool_options options;

        (void)state;
        assert_int_equal(load(&config, TEXT), 0);
        options = daemon_pool_options(&config, &OWNER, &room);
        assert_int_equal(options.n_profiles, 2);
        assert_string_equal(options.profile, "b");
        assert_string_equal(options.profiles[0].name, "a");
        assert_int_equal(options.profiles[0].spec.cpu_millis, 500);
        assert_int_equal(options.profiles[0].spec.memory_bytes, UINT64_C(8) << 30);
        assert_int_equal(options.profiles[0].spec.pids, 9);
        assert_int_equal(options.profiles[0].spec.policy, POLICY_INTERNET);
        assert_string_equal(options.profiles[0].spec.image, "tiny:1");
        assert_string_equal(options.profiles[0].environment, "A=1\n");
        assert_int_equal(options.profiles[0].warm, 3);
        assert_int_equal(options.profiles[1].spec.policy, POLICY_UNSET);
        assert_true(daemon_wants_warm(&config));
        assert_int_equal(daemon_check(&config, NULL, NULL), 0);
}

static void profiles_are_checked_together(void **state)
{
        static const struct {
                const char *text;
                const char *named; /* in the fault; NULL: accepted */
        } ROWS[] = {
                { "profile = a\n[profile a]\n", NULL },
                { "profile = b\n[profile a]\n", "[profile b]" },
                { "[profile a]\nenv = A=1\nenv = A=2\n", "profile a: env has a name twice" },
                { "warm = 1\nprofile = a\n[profile a]\nwarm = 1\n", "leave one out" },
                { "max_carrels = 2\n[profile a]\nwarm = 3\n", "max_carrels" },
                { "policy = none\nruntime = runsc\n[profile a]\n", NULL },
                { "policy = none\nruntime = runsc\n[profile a]\npolicy = internet\n", "profile a: runtime runsc" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                AUTO(config_release) struct config config = { 0 };
                struct fault why = { 0 };
                int r;

                assert_int_equal(load(&config, ROWS[i].text), 0);
                r = daemon_check(&config, NULL, &why);
                if ((ROWS[i].named == NULL) != (r == 0) || (r < 0 && strstr(why.message, ROWS[i].named) == NULL))
                        fail_msg("%s: %s", ROWS[i].text, why.message);
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
                               "helpers/carrel-diskd helpers/carrel-image helpers/carrel-mountd helpers/carrel-storage "
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
                                                   cmocka_unit_test(the_ladder_is_in_order),
                                                   cmocka_unit_test(profiles_are_options_of_the_pool),
                                                   cmocka_unit_test(profiles_are_checked_together),
                                                   cmocka_unit_test(the_host_is_checked) };

        return cmocka_run_group_tests(TESTS, NULL, NULL);
}
