/* Settings from a file and from the environment: what is taken, and how what is not is refused. */
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

#include "scope.h"
#include "settings.h"
#include "str.h"

#define COUNT(array) (sizeof array / sizeof((array)[0]))

struct values {
        char *deny;
        char *socket;
        uint64_t memory_bytes;
        uint64_t uid;
        double idle_ttl_s;
        int engine;
        struct settings_list groups, rooms;
};

struct group {
        char *name;
        char *image;
        char *lines;
        uint64_t pids;
        double cpus;
        int engine;
};

struct room {
        char *name;
        uint64_t doors;
};

static const char *check_path(const char *value)
{
        return value[0] == '/' ? NULL : "must be an absolute path";
}

static const char *const ENGINES[] = { "auto", "docker", "podman", NULL };

static const struct setting TABLE[] = {
        { "deny", SETTING_TEXT, offsetof(struct values, deny), "", 0, 1000, NULL, "denied", NULL },
        { "engine", SETTING_CHOICE, offsetof(struct values, engine), "auto", 0, 0, ENGINES, "engine", NULL },
        { "idle_ttl_s", SETTING_DECIMAL, offsetof(struct values, idle_ttl_s), "300", 0.1, 86400, NULL, "idle", NULL },
        { "memory", SETTING_SIZE, offsetof(struct values, memory_bytes), "2g", 6291456, 1099511627776.0, NULL, "memory",
          NULL },
        { "socket", SETTING_TEXT, offsetof(struct values, socket), "/run/s", 2, 20, NULL, "socket", check_path },
        { "uid", SETTING_NUMBER, offsetof(struct values, uid), "1000", 1, 4294967294.0, NULL, "uid", NULL },
        { 0 },
};

static const struct setting GROUP[] = {
        { "cpus", SETTING_DECIMAL, offsetof(struct group, cpus), NULL, 0.1, 8, NULL, "cpus", NULL },
        { "engine", SETTING_CHOICE, offsetof(struct group, engine), NULL, 0, 0, ENGINES, "engine", NULL },
        { "image", SETTING_TEXT, offsetof(struct group, image), NULL, 1, 20, NULL, "image", NULL },
        { "lines", SETTING_LINES, offsetof(struct group, lines), NULL, 1, 20, NULL, "lines", check_path },
        { "pids", SETTING_NUMBER, offsetof(struct group, pids), NULL, 1, 99, NULL, "pids", NULL },
        { 0 },
};

static const struct setting ROOM[] = {
        { "doors", SETTING_NUMBER, offsetof(struct room, doors), "1", 1, 9, NULL, "doors", NULL },
        { 0 },
};

static const struct settings_kind KINDS[] = {
        { "group", GROUP, offsetof(struct values, groups), sizeof(struct group), 3 },
        { "room", ROOM, offsetof(struct values, rooms), sizeof(struct room), 1 },
        { 0 },
};

static void set_up(struct values *values)
{
        struct fault why = { 0 };

        *values = (struct values){ 0 };
        assert_int_equal(settings_defaults(TABLE, values, &why), 0);
}

/* Reads text as a file, from memory. */
static int read_text(struct values *values, const char *text, size_t length, struct fault *why)
{
        AUTO(auto_close) int fd = memfd_create("carrel.conf", MFD_CLOEXEC);
        char path[64];

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, length), length);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        return settings_read_file(TABLE, KINDS, values, path, NULL, why);
}

static void test_defaults(void **state)
{
        struct values values;

        set_up(&values);
        assert_string_equal(values.deny, "");
        assert_string_equal(values.socket, "/run/s");
        assert_int_equal(values.memory_bytes, 2147483648);
        assert_int_equal(values.uid, 1000);
        assert_true(values.idle_ttl_s == 300);
        assert_int_equal(values.engine, 0);
        settings_release(TABLE, KINDS, &values);
        settings_release(TABLE, KINDS, &values); /* a second time frees nothing */
        assert_null(values.socket);
}

static void test_bad_default(void **state)
{
        static const struct setting BAD[] = { { "uid", SETTING_NUMBER, 0, "none", 1, 2, NULL, "uid", NULL }, { 0 } };
        uint64_t uid = 0;
        struct fault why = { 0 };

        assert_int_equal(settings_defaults(BAD, &uid, &why), -EINVAL);
        assert_string_equal(why.message, "default: uid must be a whole number from 1 to 2");
}

static void test_file(void **state)
{
        static const char TEXT[] = "\xef\xbb\xbf# a comment\n"
                                   "; another\n"
                                   "\n"
                                   "uid = 7\r\n"
                                   "[carrel]\n"
                                   "engine=podman\n"
                                   "  # between\n"
                                   "idle_ttl_s : 0.5 ; a comment after\n"
                                   "memory = 512m\n"
                                   "deny = 10.0.0.0/8,\n"
                                   "\t172.16.0.0/12, ; a comment; of two parts\n"
                                   "\n"
                                   "# between the lines of one value\n"
                                   "       192.168.0.0/16\n"
                                   "socket=/run/x"; /* and no newline at the end */
        struct values values;
        struct fault why = { 0 };

        set_up(&values);
        if (read_text(&values, TEXT, strlen(TEXT), &why) < 0)
                fail_msg("%s", why.message);
        assert_int_equal(values.uid, 7);
        assert_int_equal(values.engine, 2);
        assert_true(values.idle_ttl_s == 0.5);
        assert_int_equal(values.memory_bytes, 512 << 20);
        assert_string_equal(values.deny, "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16");
        assert_string_equal(values.socket, "/run/x");
        settings_release(TABLE, KINDS, &values);
}

#define LONG_LINE                                                                                                      \
        "deny = 1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"  \
        "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"

#define SECTIONS "a section is [carrel] or [group NAME] or [room NAME]"
#define NAMES "a name has 1 to 32 letters, digits, '.', '_' and '-', and begins with a letter or a digit"

/* Refused texts, and the end of the sentence after the file's name. */
static const struct refusal {
        const char *text;
        const char *sentence;
} REFUSALS[] = {
        { "uid = 0\n", ":1: uid must be a whole number from 1 to 4294967294" },
        { "\n\nuid = 1x\n", ":3: uid must be a whole number from 1 to 4294967294" },
        { "uid =\n", ":1: uid must be a whole number from 1 to 4294967294" },
        { "uid = 1\n 2\n", ":1: uid must be a whole number from 1 to 4294967294" },
        { "uid = 5 # five\n", ":1: uid must be a whole number from 1 to 4294967294" },
        { "idle_ttl_s = 0\n", ":1: idle_ttl_s must be a number from 0.1 to 86400, with at most 6 decimals" },
        { "idle_ttl_s = nan\n", ":1: idle_ttl_s must be a number from 0.1 to 86400, with at most 6 decimals" },
        { "memory = 2t\n", ":1: memory must be a size such as 512m, from 6m to 1024g" },
        { "memory = 1k\n", ":1: memory must be a size such as 512m, from 6m to 1024g" },
        { "engine = Docker\n", ":1: engine must be one of auto, docker, podman" },
        { "socket = /\n", ":1: socket must be 2 to 20 bytes long" },
        { "socket = /12345678901234567890\n", ":1: socket must be 2 to 20 bytes long" },
        { "socket = run\n", ":1: socket must be an absolute path" },
        { "socket = /a\x1b[2J\n", ":1: socket holds a control character" },
        { "socket = /a\tb\n", ":1: socket holds a control character" },
        { "uid = 1\n[carrel]\nuid = 2\n", ":3: uid is set a second time" },
        { "uid = 1\n[carrel]\n  uid = 2\n", ":3: uid is set a second time" },
        { "[other]\nuid = 1\n", ":1: unknown section [other]; " SECTIONS },
        { "[ carrel]\nuid = 1\n", ":1: unknown section [ carrel]; " SECTIONS },
        { "[carrel x]\n", ":1: unknown section [carrel x]; " SECTIONS },
        { "\xef\xbb\xbf[\x1b\xff]\n", ":1: unknown section [??]; " SECTIONS },
        { "uid = 1\n[groups a]\n", ":2: unknown section [groups a]; " SECTIONS },
        { "[group]\n", ":1: [group NAME]: " NAMES },
        { "[group ]\n", ":1: [group NAME]: " NAMES },
        { "[group -a]\n", ":1: [group NAME]: " NAMES },
        { "[group a b]\n", ":1: [group NAME]: " NAMES },
        { "[group a:b]\n", ":1: [group NAME]: " NAMES },
        { "[group \xc3\xa4]\n", ":1: [group NAME]: " NAMES },
        { "[group a123456789012345678901234567890123]\n", ":1: [group NAME]: " NAMES },
        { "[group a12345678901234567890123456789012345678901234567890123456789012345678901234567890]\n",
          ":1: [group NAME]: " NAMES },
        { "[group a]\n[room a]\n\n[group a]\n", ":4: [group a] is there a second time" },
        { "[group a]\n[group b]\n[group A]\n[group c]\n", ":4: more than 3 sections [group NAME]" },
        { "[room a]\n[room b]\n", ":2: more than 1 sections [room NAME]" },
        { "[group a]\npids = 1\npids = 2\n", ":3: pids is set a second time" },
        { "[group a]\npids = 0\n", ":2: pids must be a whole number from 1 to 99" },
        { "[group a]\npids = 0\n[group b]\n", ":2: pids must be a whole number from 1 to 99" },
        { "[group a]\nuid = 2\n",
          ":2: uid is not a setting of this section: put it below [carrel], or before the first section" },
        { "[group a]\ndoors = 2\n", ":2: unknown key doors" },
        { "[group a]\nimage =\n", ":2: image must be 1 to 20 bytes long" },
        { "[group a]\nlines = /a\nlines = b\n", ":3: lines must be an absolute path" },
        { "[group a]\nlines = /abcdefgh\nlines = /abcdefghi\n", ":3: lines must be 1 to 20 bytes long" },
        { "[group a]\n[carrel]\npids = 1\n", ":3: unknown key pids; did you mean uid?" },
        { "[group a\n", ":1: expected key = value" },
        { "idle_tll_s = 1\n", ":1: unknown key idle_tll_s; did you mean idle_ttl_s?" },
        { "UID = 1\n", ":1: unknown key UID; did you mean uid?" },
        { "colour = red\n", ":1: unknown key colour" },
        { "= red\n", ":1: unknown key " },
        { "co\x1b\xff = 1\n", ":1: unknown key co??" },
        { "uid\n", ":1: expected key = value" },
        { "uid = 1\n[carrel\n", ":2: expected key = value" },
        { LONG_LINE "\n", ":1: the line is longer than 198 bytes; go on with the value on the next line, indented" },
        { "# fine\nuid = 0", ":2: uid must be a whole number from 1 to 4294967294" },
};

static void test_refusals(void **state)
{
        for (size_t i = 0; i < COUNT(REFUSALS); i++) {
                const struct refusal *refusal = &REFUSALS[i];
                struct values values;
                struct fault why = { 0 };
                const char *sentence;

                set_up(&values);
                if (read_text(&values, refusal->text, strlen(refusal->text), &why) >= 0)
                        fail_msg("taken: %s", refusal->text);
                assert_int_equal(why.kind, FAULT_SETTING_INVALID);
                assert_int_equal(strncmp(why.message, "/proc/self/fd/", 14), 0);
                sentence = strchr(why.message, ':');
                assert_non_null(sentence);
                assert_string_equal(sentence, refusal->sentence);
                assert_int_equal(values.uid == 1000 || values.uid == 1, 1); /* never the refused one */
                settings_release(TABLE, KINDS, &values);
        }
}

/* A section may be empty, indented, and left for [carrel] and back to no other. */
static void test_named_sections(void **state)
{
        static const char TEXT[] = "\xef\xbb\xbf[group a]\n"
                                   "pids = 5\n"
                                   "lines = /x\n"
                                   "image =\n"
                                   "  one\n"
                                   "  two\n"
                                   "lines = /y ; a comment\n"
                                   "[group empty]\n"
                                   "   [carrel]\n"
                                   "uid = 7\n"
                                   "[room  a] and more\n"
                                   "[group   0-._Z45678901234567890123456789] ; a comment\n"
                                   "engine = auto\n"
                                   "cpus = 0.5\n"
                                   " [group x]\n" /* continues the value */
                                   "[carrel]\n"
                                   "engine = docker\n";
        struct values values;
        struct fault why = { 0 };
        const struct group *group;

        set_up(&values);
        assert_int_equal(read_text(&values, TEXT, strlen(TEXT), &why), -EINVAL);
        assert_non_null(strstr(why.message, ":14: cpus must be a number"));
        settings_release(TABLE, KINDS, &values);
        set_up(&values);
        AUTO(auto_free) char *correct = strdup(TEXT);
        assert_non_null(correct);
        memset(strstr(correct, " [group x]"), '#', 10);
        if (read_text(&values, correct, strlen(correct), &why) < 0)
                fail_msg("%s", why.message);
        assert_int_equal(values.uid, 7);
        assert_int_equal(values.engine, 1);
        assert_int_equal(values.groups.count, 3);
        assert_int_equal(values.rooms.count, 1);
        group = settings_find(&KINDS[0], &values, "a");
        assert_non_null(group);
        assert_int_equal(group->pids, 5);
        assert_string_equal(group->image, "one two");
        assert_string_equal(group->lines, "/x\n/y\n");
        assert_int_equal(group->engine, -1);
        group = settings_find(&KINDS[0], &values, "0-._Z45678901234567890123456789");
        assert_non_null(group);
        assert_int_equal(group->engine, 0);
        assert_true(group->cpus == 0.5);
        group = settings_find(&KINDS[0], &values, "empty");
        assert_non_null(group);
        for (const struct setting *setting = GROUP; setting->key != NULL; setting++)
                assert_false(settings_is_set(setting, group));
        assert_int_equal(((const struct room *)settings_find(&KINDS[1], &values, "a"))->doors, 1);
        assert_null(settings_find(&KINDS[1], &values, "empty"));
        settings_release(TABLE, KINDS, &values);
        assert_int_equal(values.groups.count, 0);
        settings_release(TABLE, KINDS, &values);
}

/* The written file is read again as the same; only settings with a value are written. */
static void test_write_round_trip(void **state)
{
        static const char TEXT[] = "deny = \n"
                                   "engine = auto\n"
                                   "idle_ttl_s = 300\n"
                                   "memory = 2g\n"
                                   "socket = /run/s\n"
                                   "uid = 1000\n"
                                   "\n[group b]\n"
                                   "cpus = 1.5\n"
                                   "engine = podman\n"
                                   "image = i\n"
                                   "lines = /b\n"
                                   "lines = /a\n"
                                   "pids = 9\n"
                                   "\n[group a]\n"
                                   "\n[room a]\n"
                                   "doors = 1\n";
        struct values values;
        struct fault why = { 0 };
        struct buffer text = { 0 };

        set_up(&values);
        if (read_text(&values, TEXT, strlen(TEXT), &why) < 0)
                fail_msg("%s", why.message);
        settings_write(TABLE, KINDS, &values, &text);
        assert_false(text.has_failed);
        assert_string_equal(text.data, TEXT);
        buffer_free(&text);
        settings_release(TABLE, KINDS, &values);
}

struct heard {
        char text[1024];
};

static void hear(void *arg, const struct fault *why)
{
        struct heard *heard = arg;
        size_t length = strlen(heard->text);

        (void)snprintf(heard->text + length, sizeof heard->text - length, "%s\n", strchr(why->message, ':'));
}

/* The keys of a refused section are skipped, and the sections after it are read. */
static void test_every_problem_of_sections(void **state)
{
        static const char TEXT[] = "[grup a]\npids = 5\nuid = 3\n[group a]\npids = x\n[group a]\npids = 7\n"
                                   "[group b]\npids = 8\n[carrel]\nuid = 9\n";
        AUTO(auto_close) int fd = memfd_create("carrel.conf", MFD_CLOEXEC);
        struct heard heard = { 0 };
        const struct fault_listener listener = { hear, &heard };
        struct values values;
        char path[64];

        set_up(&values);
        assert_int_equal(write(fd, TEXT, strlen(TEXT)), strlen(TEXT));
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        assert_int_equal(settings_read_file(TABLE, KINDS, &values, path, &listener, NULL), -EINVAL);
        assert_string_equal(heard.text, ":1: unknown section [grup a]; " SECTIONS "\n"
                                        ":5: pids must be a whole number from 1 to 99\n"
                                        ":6: [group a] is there a second time\n");
        assert_int_equal(values.uid, 9);
        assert_int_equal(values.groups.count, 2);
        assert_int_equal(((const struct group *)settings_find(&KINDS[0], &values, "a"))->pids, 0);
        assert_int_equal(((const struct group *)settings_find(&KINDS[0], &values, "b"))->pids, 8);
        settings_release(TABLE, KINDS, &values);
}

/* Without kinds, there are no named sections. */
static void test_no_kinds(void **state)
{
        AUTO(auto_close) int fd = memfd_create("carrel.conf", MFD_CLOEXEC);
        struct values values;
        struct fault why = { 0 };
        char path[64];

        set_up(&values);
        assert_int_equal(write(fd, "[group a]\n", 10), 10);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        assert_int_equal(settings_read_file(TABLE, NULL, &values, path, NULL, &why), -EINVAL);
        assert_string_equal(strchr(why.message, ':'), ":1: unknown section [group a]; a section is [carrel]");
        settings_release(TABLE, NULL, &values);
}

static void test_nul_byte(void **state)
{
        static const char TEXT[] = "uid = 5\0; and more\n";
        struct values values;
        struct fault why = { 0 };

        set_up(&values);
        assert_int_equal(read_text(&values, TEXT, sizeof TEXT - 1, &why), -EINVAL);
        assert_non_null(strstr(why.message, ":1: the line holds a NUL byte"));
        assert_int_equal(values.uid, 1000);
        settings_release(TABLE, KINDS, &values);
}

static void test_long_value_over_many_lines(void **state)
{
        struct buffer text = { 0 };
        struct values values;
        struct fault why = { 0 };

        (void)buffer_text(&text, "deny =\n");
        for (int i = 0; i < 50; i++)
                (void)buffer_format(&text, "  10.%d.0.0/16,\n", i);
        set_up(&values);
        assert_int_equal(read_text(&values, text.data, text.length, &why), 0);
        assert_true(strlen(values.deny) > 600);
        for (int i = 0; i < 50; i++)
                (void)buffer_format(&text, "  10.%d.0.0/16,\n", i + 50);
        assert_int_equal(read_text(&values, text.data, text.length, &why), -ERANGE);
        assert_non_null(strstr(why.message, ":1: deny must be 0 to 1000 bytes long"));
        settings_release(TABLE, KINDS, &values);
        buffer_free(&text);
}

static void test_unreadable_file(void **state)
{
        struct values values;
        struct fault why = { 0 };
        char path[300];

        set_up(&values);
        assert_int_equal(settings_read_file(TABLE, KINDS, &values, "/nonexistent/carrel.conf", NULL, &why), -ENOENT);
        assert_string_equal(why.message, "/nonexistent/carrel.conf: cannot be opened: No such file or directory");
        assert_int_equal(settings_read_file(TABLE, KINDS, &values, "/nonexistent/carrel.conf", NULL, NULL), -ENOENT);
        assert_true(settings_read_file(TABLE, KINDS, &values, "/proc/self", NULL, &why) < 0); /* a directory */
        memset(path, 'x', sizeof path);
        memcpy(path + sizeof path - 12, "/carrel.conf", 12);
        path[sizeof path - 1] = '\0';
        assert_true(settings_read_file(TABLE, KINDS, &values, path, NULL, &why) < 0);
        assert_non_null(strstr(why.message, "/carrel.con: cannot be opened")); /* the tail of a long path stays */
        settings_release(TABLE, KINDS, &values);
}

static const char *const IGNORED[] = { "SOCKET_PATH", "FAILPOINT", NULL };

static void test_environment(void **state)
{
        static const char *const ENVIRONMENT[] = { "HOME=/root",
                                                   "CARREL_UID=9",
                                                   "CARREL_IDLE_TTL_S=1.25",
                                                   "CARREL_SOCKET_PATH=/x",
                                                   "CARREL_FAILPOINT=a:b",
                                                   "CARREL_DENY=a=b, c",
                                                   "CARRELX=1",
                                                   "carrel_uid=8",
                                                   "CARREL_ENGINE=docker",
                                                   "CARREL_NO_EQUALS_SIGN",
                                                   NULL };
        struct values values;
        struct fault why = { 0 };

        set_up(&values);
        if (settings_read_environment(TABLE, &values, (char *const *)ENVIRONMENT, IGNORED, NULL, &why) < 0)
                fail_msg("%s", why.message);
        assert_int_equal(values.uid, 9);
        assert_true(values.idle_ttl_s == 1.25);
        assert_string_equal(values.deny, "a=b, c");
        assert_int_equal(values.engine, 1);
        settings_release(TABLE, KINDS, &values);
}

static const struct refusal VARIABLES[] = {
        { "CARREL_UID=0", "environment: CARREL_UID must be a whole number from 1 to 4294967294" },
        { "CARREL_UID=", "environment: CARREL_UID must be a whole number from 1 to 4294967294" },
        { "CARREL_SOCKET=/a\nb", "environment: CARREL_SOCKET holds a control character" },
        { "CARREL_IDLE_TLL_S=1", "environment: unknown variable CARREL_IDLE_TLL_S; did you mean CARREL_IDLE_TTL_S?" },
        { "CARREL_COLOUR=red", "environment: unknown variable CARREL_COLOUR" },
        { "CARREL_uid=1", "environment: unknown variable CARREL_uid; did you mean CARREL_UID?" },
        { "CARREL_=1", "environment: unknown variable CARREL_" },
        { "CARREL_SOCKET_PATHS=1", "environment: unknown variable CARREL_SOCKET_PATHS" },
        { "CARREL_GROUP_A_PIDS=1", "environment: unknown variable CARREL_GROUP_A_PIDS" }, /* of a section */
};

static void test_refused_variables(void **state)
{
        for (size_t i = 0; i < COUNT(VARIABLES); i++) {
                const char *const environment[] = { VARIABLES[i].text, NULL };
                struct values values;
                struct fault why = { 0 };

                set_up(&values);
                assert_true(settings_read_environment(TABLE, &values, (char *const *)environment, IGNORED, NULL, &why) <
                            0);
                assert_string_equal(why.message, VARIABLES[i].sentence);
                assert_int_equal(why.kind, FAULT_SETTING_INVALID);
                settings_release(TABLE, KINDS, &values);
        }
}

/* A file can hold the output of settings_format, and gives the same value back. */
static void test_format_round_trip(void **state)
{
        static const char TEXT[] = "deny = 10.0.0.0/8\nengine = docker\nidle_ttl_s = 0.25\nmemory = 6292480\nuid = 5\n";
        static const char *const FORMATTED[] = { "10.0.0.0/8", "docker", "0.25", "6145k", "/run/s", "5" };
        struct buffer text = { 0 };
        struct values values;
        struct values again;
        struct fault why = { 0 };

        set_up(&values);
        set_up(&again);
        assert_int_equal(read_text(&values, TEXT, strlen(TEXT), &why), 0);
        for (size_t i = 0; TABLE[i].key != NULL; i++) {
                char *formatted = settings_format(&TABLE[i], &values);

                assert_string_equal(formatted, FORMATTED[i]);
                (void)buffer_format(&text, "%s = %s\n", TABLE[i].key, formatted);
                free(formatted);
        }
        assert_int_equal(read_text(&again, text.data, text.length, &why), 0);
        assert_string_equal(again.deny, values.deny);
        assert_int_equal(again.memory_bytes, values.memory_bytes);
        assert_true(again.idle_ttl_s == values.idle_ttl_s);
        assert_int_equal(again.engine, values.engine);
        buffer_free(&text);
        settings_release(TABLE, KINDS, &values);
        settings_release(TABLE, KINDS, &again);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_bad_default),
                cmocka_unit_test(test_file),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_named_sections),
                cmocka_unit_test(test_write_round_trip),
                cmocka_unit_test(test_every_problem_of_sections),
                cmocka_unit_test(test_no_kinds),
                cmocka_unit_test(test_nul_byte),
                cmocka_unit_test(test_long_value_over_many_lines),
                cmocka_unit_test(test_unreadable_file),
                cmocka_unit_test(test_environment),
                cmocka_unit_test(test_refused_variables),
                cmocka_unit_test(test_format_round_trip),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
