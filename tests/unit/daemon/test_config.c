/* carreld's settings: the table's own order, what a file and the environment may say, and that the manual and the
 * example file name every key. */
#include <ctype.h>
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
        { "profile = a b\n", ":1: profile may hold" },
        { "[profile small]\nmemory = 1k\n", ":2: memory must be a size" },
        { "[profile small]\npids = 7\n", ":2: pids must be" },
        { "[profile small]\nimage = a b\n", ":2: image is not" },
        { "[profile small]\npolicy = all\n", ":2: policy must be one of internet, none" },
        { "[profile small]\nenv = A=1\nenv = CARREL_USER=x\n", ":3: env must not set" },
        { "[profile small]\nidle_ttl_s = 5\n",
          ":2: idle_ttl_s is not a setting of this section: put it below [carrel]" },
        { "[profile small]\n[profile small]\n", ":2: [profile small] is there a second time" },
        { "[mounts a]\nmount = /a:/a\n", ":2: unknown key mount" },
        { "[profile small]\nmounts = a/b\n", ":2: mounts may hold" },
        { "[profiles small]\n",
          ":1: unknown section [profiles small]; a section is [carrel] or [profile NAME] or [mounts NAME]" },
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

/* The text with its white space, and the marks of comments at the beginning of lines, as single spaces. */
static char *in_one_line(const char *text, size_t length)
{
        struct buffer line = { 0 };
        bool is_begin = true;

        for (size_t i = 0; i < length; i++) {
                bool is_space = strchr(" \t\n", text[i]) != NULL || (is_begin && text[i] == '#');

                is_begin = text[i] == '\n';
                if (!is_space)
                        (void)buffer_append(&line, &text[i], 1);
                else if (line.length > 0 && line.data[line.length - 1] != ' ')
                        (void)buffer_append(&line, " ", 1);
        }
        assert_false(line.has_failed);
        return buffer_take(&line);
}

/* Documents begin with the table's sentence, as a sentence. */
static void expect_help(const char *where, const char *text, const struct setting *setting)
{
        char sentence[512];

        (void)snprintf(sentence, sizeof sentence, "%s.", setting->help);
        sentence[0] = (char)toupper((unsigned char)sentence[0]);
        if (text == NULL || strncmp(text, sentence, strlen(sentence)) != 0)
                fail_msg("%s, %s: begins with \"%s\", not with \"%s\"", where, setting->key, text, sentence);
}

/* Where the helpers are depends on how carreld was built. */
static bool has_fixed_default(const struct setting *setting)
{
        return strcmp(setting->key, "helper_dir") != 0;
}

static void expect_manual_entry(const char *manual, const struct setting *setting, bool is_reload_named)
{
        char heading[96], fallback[128];

        (void)snprintf(heading, sizeof heading, "\n*%s*\n", setting->key);
        const char *begin = strstr(manual, heading);
        if (begin == NULL)
                fail_msg("carrel.conf(5) does not have %s", setting->key);
        begin += strlen(heading);
        const char *end = strstr(begin, "\n*");
        AUTO(auto_free) char *entry = in_one_line(begin, end != NULL ? (size_t)(end - begin) : strlen(begin));

        expect_help("carrel.conf(5)", entry, setting);
        if (setting->fallback != NULL)
                (void)snprintf(fallback, sizeof fallback,
                               setting->fallback[0] != '\0' ? "default *%s*." : "default empty.", setting->fallback);
        if (setting->fallback != NULL && has_fixed_default(setting) && strstr(entry, fallback) == NULL)
                fail_msg("carrel.conf(5), %s: does not have \"%s\"", setting->key, fallback);
        if (is_reload_named)
                assert_int_equal(strstr(entry, "A reload takes it over.") != NULL, config_is_reloadable(setting->key));
}

static void the_manual_describes_every_key(void **state)
{
        AUTO(auto_free) char *manual = read_source("docs/man/carrel.conf.5.scd");

        (void)state;
        for (const struct setting *setting = config_table(); setting->key != NULL; setting++)
                expect_manual_entry(manual, setting, true);
        for (const struct settings_kind *kind = config_kinds(); kind->kind != NULL; kind++) {
                char heading[64];

                (void)snprintf(heading, sizeof heading, "\n## [%s NAME]\n", kind->kind);
                const char *part = strstr(manual, heading);
                if (part == NULL)
                        fail_msg("carrel.conf(5) does not have [%s NAME]", kind->kind);
                for (const struct setting *setting = kind->table; setting->key != NULL; setting++)
                        expect_manual_entry(part, setting, false);
        }
}

static void expect_example_entry(const char *example, const struct setting *setting)
{
        char line[192];

        bool has_default = has_fixed_default(setting) && setting->fallback != NULL;

        (void)snprintf(line, sizeof line, "\n#%s =%s%s", setting->key,
                       has_default && setting->fallback[0] != '\0' ? " " : "", has_default ? setting->fallback : "");
        const char *end = strstr(example, line);
        if (end == NULL)
                fail_msg("dist/carrel.conf does not have: %s", line + 1);
        const char *begin = end;
        while (begin > example && strncmp(begin, "\n\n", 2) != 0)
                begin--;
        AUTO(auto_free) char *comment = in_one_line(begin + 2, (size_t)(end - begin - 2));

        expect_help("dist/carrel.conf", comment != NULL ? comment + strspn(comment, " ") : NULL, setting);
}

static void the_example_describes_every_key(void **state)
{
        AUTO(auto_free) char *example = read_source("dist/carrel.conf");

        (void)state;
        for (const struct setting *setting = config_table(); setting->key != NULL; setting++)
                expect_example_entry(example, setting);
        for (const struct settings_kind *kind = config_kinds(); kind->kind != NULL; kind++) {
                char heading[64];

                (void)snprintf(heading, sizeof heading, "\n#[%s ", kind->kind);
                const char *part = strstr(example, heading);
                if (part == NULL)
                        fail_msg("dist/carrel.conf does not have [%s NAME]", kind->kind);
                for (const struct setting *setting = kind->table; setting->key != NULL; setting++)
                        expect_example_entry(part, setting);
        }
}

/* With every line in use that is an example or a default. */
static void the_example_is_valid_without_its_marks(void **state)
{
        AUTO(config_release) struct config config = { 0 };
        AUTO(auto_free) char *text = read_source("dist/carrel.conf");
        struct buffer in_use = { 0 };
        struct fault why = { 0 };

        (void)state;
        for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;)
                (void)buffer_format(&in_use, "%s\n", line[0] == '#' && line[1] != ' ' ? line + 1 : line);
        if (load_text(in_use.data, &config, &why) < 0)
                fail_msg("dist/carrel.conf: %s", why.message);
        assert_int_equal(config.profiles.count, 1);
        buffer_free(&in_use);
}

static void profiles_are_read_and_shown(void **state)
{
        static const char TEXT[] = "profile = small\n[profile small]\nmemory = 128m\ncpus = 0.5\nenv = A=1\n"
                                   "env = B=2, 3\npolicy = none\nimage = tiny:1\n[profile open]\nwarm = 2\n";
        AUTO(config_release) struct config config = { 0 };
        struct fault why = { 0 };
        const struct config_profile *small;

        (void)state;
        assert_int_equal(load_text(TEXT, &config, &why), 0);
        assert_string_equal(config.profile, "small");
        assert_int_equal(config.profiles.count, 2);
        small = settings_find(config_kinds(), &config, "small");
        assert_int_equal(small->memory_bytes, 128 << 20);
        assert_int_equal(small->pids, 0);
        assert_int_equal(small->policy, CONFIG_POLICY_NONE);
        assert_int_equal(((const struct config_profile *)config.profiles.items)[1].policy, -1);
        assert_string_equal(small->env, "A=1\nB=2, 3\n");
        AUTO(auto_free) char *json = config_sections_to_json(&config);
        assert_string_equal(json, "{\"profile\":{\"small\":{\"cpus\":\"0.5\",\"env\":[\"A=1\",\"B=2, 3\"],"
                                  "\"image\":\"tiny:1\",\"memory\":\"128m\",\"policy\":\"none\",\"warm\":\"0\"},"
                                  "\"open\":{\"warm\":\"2\"}},\"mounts\":{}}");
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

/* A person who corrects a file wants all errors at once; correct lines count nevertheless. */
static void every_problem_is_heard(void **state)
{
        static const char TEXT[] = "idle_ttl_s = never\npids = 99\nidel_ttl_s = 3\n[other]\npool = x\n[carrel]\n"
                                   "memory = 1z\nuid 7\npids = 100\ncpus = 2\n";
        static const char *const NAMED[] = { ":1: idle_ttl_s must",
                                             ":3: unknown key idel_ttl_s; did you mean idle_ttl_s?",
                                             ":4: unknown section [other]; a section is [carrel]",
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
                cmocka_unit_test(the_manual_describes_every_key),
                cmocka_unit_test(the_example_describes_every_key),
                cmocka_unit_test(the_example_is_valid),
                cmocka_unit_test(the_example_is_valid_without_its_marks),
                cmocka_unit_test(profiles_are_read_and_shown),
        };

        source_root = argc > 1 ? argv[1] : ".";
        return cmocka_run_group_tests(TESTS, NULL, NULL);
}
