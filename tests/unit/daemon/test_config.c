/* carreld's settings: the table's own order, what a file and the environment may say, and that the manual and the
 * example file name every key. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "config.h"
#include "scope.h"
#include "str.h"

static const char *source_root;

static char *const NO_ENVIRONMENT[] = { NULL };

static int load_text(const char *text, struct config *ret_config, struct fault *why)
{
        char path[64];
        int r;
        AUTO(auto_close) int fd = memfd_create("carrel.conf", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        r = config_load(ret_config, path, true, NO_ENVIRONMENT, NULL, why);
        return r;
}

static void table_is_alphabetical(void **state)
{
        const struct setting *table = config_table();

        (void)state;
        for (size_t i = 1; table[i].key != NULL; i++)
                assert_true(strcmp(table[i - 1].key, table[i].key) < 0);
}

static void defaults_are_the_documented_ones(void **state)
{
        AUTO(config_release) struct config config = { 0 };
        struct fault why = { 0 };

        (void)state;
        assert_int_equal(load_text("", &config, &why), 0);
        assert_int_equal(config.engine, CONFIG_ENGINE_AUTO);
        assert_int_equal(config.startup, CONFIG_STARTUP_CLEAR);
        assert_int_equal(config.policy, CONFIG_POLICY_INTERNET);
        assert_int_equal(config.memory_bytes, 2147483648);
        assert_int_equal(config.pids, 256);
        assert_string_equal(config.uid, "carrel-user");
        assert_int_equal(config.uid_is_shared, CONFIG_NO);
        assert_true(config.idle_ttl_s > 299.9 && config.idle_ttl_s < 300.1);
        assert_string_equal(config.socket, "/run/carrel/carrel.sock");
}

static const struct bad_case {
        const char *text;
        const char *named; /* must stand in the sentence */
} BAD[] = {
        { "idle_tll_s = 5\n", "idle_tll_s" },
        { "idle_ttl_s = 0\n", "idle_ttl_s" },
        { "idle_ttl_s = -3\n", "idle_ttl_s" },
        { "idle_ttl_s = soon\n", "idle_ttl_s" },
        { "pids = 7\n", "8" },
        { "pids = 4294967297\n", "65536" },
        { "memory = 1k\n", "memory" },
        { "uid = a b\n", "uid" },
        { "uid_is_shared = perhaps\n", "yes" },
        { "engine = lxc\n", "docker" },
        { "startup = keep\n", "adopt" },
        { "socket = carrel.sock\n", "absolute" },
        { "prefix = -x\n", "letter" },
        { "cgroup_parent = /a/../../b\n", "cgroup" },
        { "runtime = runc --evil\n", "runtime" },
        { "memory = 1g\nmemory = 2g\n", "memory" },
};

static void bad_settings_are_named_with_their_line(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
                struct config config = { 0 };
                struct config untouched = { 0 };
                struct fault why = { 0 };

                assert_true(load_text(BAD[i].text, &config, &why) < 0);
                assert_memory_equal(&config, &untouched, sizeof config);
                if (strstr(why.message, BAD[i].named) == NULL)
                        fail_msg("\"%s\" is not in: %s", BAD[i].named, why.message);
        }
}

static void the_environment_overrides_the_file(void **state)
{
        char *const environment[] = { (char *)"CARREL_PIDS=99", (char *)"CARREL_MUST_RUN=1", (char *)"PATH=/bin",
                                      NULL };
        AUTO(config_release) struct config config = { 0 };
        struct fault why = { 0 };

        (void)state;
        assert_int_equal(config_load(&config, "/nonexistent/carrel.conf", false, environment, NULL, &why), 0);
        assert_int_equal(config.pids, 99);
}

static void an_unknown_variable_is_an_error(void **state)
{
        char *const environment[] = { (char *)"CARREL_PIDZ=99", NULL };
        struct config config = { 0 };
        struct fault why = { 0 };

        (void)state;
        assert_true(config_load(&config, "/nonexistent/carrel.conf", false, environment, NULL, &why) < 0);
        assert_non_null(strstr(why.message, "CARREL_PIDZ"));
}

static void a_named_file_must_be_there(void **state)
{
        struct config config = { 0 };
        struct fault why = { 0 };

        (void)state;
        assert_int_equal(config_load(&config, "/nonexistent/carrel.conf", true, NO_ENVIRONMENT, NULL, &why), -ENOENT);
        assert_non_null(strstr(why.message, "/nonexistent/carrel.conf"));
}

static char *read_source(const char *relative)
{
        char path[4096];
        struct buffer text = { 0 };
        char chunk[4096];
        size_t n;

        (void)snprintf(path, sizeof path, "%s/%s", source_root, relative);
        AUTO(auto_fclose) FILE *file = fopen(path, "re");
        if (file == NULL)
                fail_msg("cannot open %s", path);
        while ((n = fread(chunk, 1, sizeof chunk, file)) > 0)
                assert_int_equal(buffer_append(&text, chunk, n), 0);
        return buffer_take(&text);
}

static void every_key_stands_in(const char *relative, const char *before, const char *behind)
{
        AUTO(auto_free) char *text = read_source(relative);

        for (const struct setting *setting = config_table(); setting->key != NULL; setting++) {
                char wanted[96];

                (void)snprintf(wanted, sizeof wanted, "%s%s%s", before, setting->key, behind);
                if (strstr(text, wanted) == NULL)
                        fail_msg("%s does not name \"%s\"", relative, wanted);
        }
}

static void the_manual_names_every_key(void **state)
{
        (void)state;
        every_key_stands_in("docs/man/carrel.conf.5.scd", "*", "*");
}

static void the_example_names_every_key(void **state)
{
        (void)state;
        every_key_stands_in("dist/carrel.conf", "", " =");
}

static void the_example_is_valid(void **state)
{
        AUTO(config_release) struct config config = { 0 };
        struct fault why = { 0 };
        AUTO(auto_free) char *text = read_source("dist/carrel.conf");

        (void)state;
        if (load_text(text, &config, &why) < 0)
                fail_msg("dist/carrel.conf: %s", why.message);
}

struct heard {
        char text[2048];
        unsigned count;
};

static void hear(void *arg, const struct fault *why)
{
        struct heard *heard = arg;
        size_t length = strlen(heard->text);

        heard->count++;
        (void)snprintf(heard->text + length, sizeof heard->text - length, "%s\n", why->message);
}

/* Who mends a file wants to hear everything at once; what is right in it counts all the same. */
static void every_problem_is_heard(void **state)
{
        static const char TEXT[] = "idle_ttl_s = never\npids = 99\nidel_ttl_s = 3\n[other]\npool = x\n[carrel]\n"
                                   "memory = 1z\nuid 7\npids = 100\ncpus = 2\n";
        static const char *const NAMED[] = { ":1: idle_ttl_s must",
                                             ":3: unknown key idel_ttl_s; did you mean idle_ttl_s?",
                                             ":5: only the section",
                                             ":7: memory must be a size",
                                             ":9: pids is set a second time",
                                             ":8: expected key = value",
                                             "environment: CARREL_SHM_SIZE must" };
        char *const environment[] = { (char *)"CARREL_SHM_SIZE=staff", (char *)"CARREL_NOFILE=99", NULL };
        AUTO(config_release) struct config config = { 0 };
        AUTO(auto_close) int fd = memfd_create("carrel.conf", MFD_CLOEXEC);
        struct heard heard = { 0 };
        const struct fault_listener listener = { hear, &heard };
        struct fault first = { 0 };
        char path[64];

        (void)state;
        assert_int_equal(write(fd, TEXT, strlen(TEXT)), strlen(TEXT));
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        assert_true(config_load(&config, path, true, environment, &listener, &first) < 0);
        for (size_t i = 0; i < sizeof NAMED / sizeof *NAMED; i++)
                if (strstr(heard.text, NAMED[i]) == NULL)
                        fail_msg("\"%s\" was not said: %s", NAMED[i], heard.text);
        assert_int_equal(heard.count, sizeof NAMED / sizeof *NAMED);
        assert_non_null(strstr(first.message, ":1: idle_ttl_s"));
        assert_int_equal(config.pids, 99);
        assert_int_equal(config.nofile, 99);
        assert_true(config.cpus > 1.9 && config.cpus < 2.1);
}

int main(int argc, char **argv)
{
        static const struct CMUnitTest TESTS[] = {
                cmocka_unit_test(table_is_alphabetical),
                cmocka_unit_test(defaults_are_the_documented_ones),
                cmocka_unit_test(bad_settings_are_named_with_their_line),
                cmocka_unit_test(the_environment_overrides_the_file),
                cmocka_unit_test(an_unknown_variable_is_an_error),
                cmocka_unit_test(a_named_file_must_be_there),
                cmocka_unit_test(every_problem_is_heard),
                cmocka_unit_test(the_manual_names_every_key),
                cmocka_unit_test(the_example_names_every_key),
                cmocka_unit_test(the_example_is_valid),
        };

        source_root = argc > 1 ? argv[1] : ".";
        return cmocka_run_group_tests(TESTS, NULL, NULL);
}
