/* importer/entry: names, links and whiteouts of archives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "entry.h"

static void test_paths(void **state)
{
        static const struct {
                const char *name, *path; /* NULL: refused */
        } CASES[] = {
                { "a", "a" },   { "./a", "a" },   { "a/", "a" },      { "a//b", "a/b" },        { "./", "" },
                { ".", "" },    { "", "" },       { "a/./b", "a/b" }, { "..a/b..", "..a/b.." }, { "...", "..." },
                { "..", NULL }, { "../a", NULL }, { "a/..", NULL },   { "a/../b", NULL },       { "./../b", NULL },
                { "/a", NULL }, { "//a", NULL },  { "/", NULL },      { "a/b/..//c", NULL },    { ".wh.a", ".wh.a" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                char path[ENTRY_PATH_BYTES] = "untouched";
                struct fault why = { 0 };
                int r = entry_path(CASES[i].name, path, &why);

                assert_string_equal(path, CASES[i].path != NULL ? CASES[i].path : "untouched");
                assert_int_equal(r < 0, CASES[i].path == NULL);
                assert_int_equal(why.kind, r < 0 ? FAULT_IMAGE_REFUSED : FAULT_NONE);
        }
}

static void test_links(void **state)
{
        static const struct {
                const char *path, *target;
                enum entry_type type;
                bool is_taken;
        } CASES[] = {
                { "bin", "usr/bin", ENTRY_SYMLINK, true },
                { "etc/mtab", "../proc/self/mounts", ENTRY_SYMLINK, true },
                { "etc/mtab", "/proc/self/mounts", ENTRY_SYMLINK, true },
                { "a/b/c", "../..", ENTRY_SYMLINK, true },
                { "a/b/c", "../../..", ENTRY_SYMLINK, false },
                { "a", "..", ENTRY_SYMLINK, false },
                { "a", "x/../../y", ENTRY_SYMLINK, false },
                { "a", "./x/.././y", ENTRY_SYMLINK, true },
                { "a", "", ENTRY_SYMLINK, false },
                { "a", NULL, ENTRY_SYMLINK, false },
                { "a", "b", ENTRY_HARDLINK, true },
                { "a", "./b", ENTRY_HARDLINK, true },
                { "a", "/b", ENTRY_HARDLINK, false },
                { "a", "../b", ENTRY_HARDLINK, false },
                { "a", "", ENTRY_HARDLINK, false },
                { "a", NULL, ENTRY_HARDLINK, false },
                { "", "b", ENTRY_SYMLINK, false },
                { "", NULL, ENTRY_FILE, false },
                { "", NULL, ENTRY_DIRECTORY, true },
                { "a", NULL, ENTRY_OTHER, false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                const struct entry entry = { .name = "the-name", .target = CASES[i].target, .type = CASES[i].type };
                char target[ENTRY_PATH_BYTES];
                struct fault why = { 0 };
                int r = entry_judge(&entry, CASES[i].path, target, &why);

                if ((r == 0) != CASES[i].is_taken)
                        fail_msg("%s -> %s", CASES[i].path, CASES[i].target == NULL ? "" : CASES[i].target);
                if (r < 0)
                        assert_non_null(strstr(why.message, "the-name"));
        }
}

static void test_modes(void **state)
{
        const struct entry file = { .type = ENTRY_FILE, .mode = 07777 };
        const struct entry secret = { .type = ENTRY_FILE, .mode = 0 };
        const struct entry directory = { .type = ENTRY_DIRECTORY, .mode = 01777 };

        (void)state;
        assert_int_equal(entry_mode(&file), 0755);
        assert_int_equal(entry_mode(&secret), 0600);
        assert_int_equal(entry_mode(&directory), 0755);
}

static void test_whiteouts(void **state)
{
        static const struct {
                const char *path;
                enum whiteout is;
                const char *hidden;
        } CASES[] = {
                { "a", WHITEOUT_NONE, "" },
                { "a.wh.b", WHITEOUT_NONE, "" },
                { ".wh.a/b", WHITEOUT_NONE, "" },
                { ".wh.a", WHITEOUT_ONE, "a" },
                { "x/y/.wh.a", WHITEOUT_ONE, "x/y/a" },
                { ".wh..wh..opq", WHITEOUT_ALL, "" },
                { "x/.wh..wh..opq", WHITEOUT_ALL, "x" },
                { ".wh..wh.plnk", WHITEOUT_IGNORED, "" },
                { "x/.wh.", WHITEOUT_IGNORED, "" },
                { "x/.wh..", WHITEOUT_IGNORED, "" },
                { "x/.wh...", WHITEOUT_IGNORED, "" },
                { "x/.wh....", WHITEOUT_ONE, "x/..." },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                char hidden[ENTRY_PATH_BYTES] = "";

                assert_int_equal(entry_whiteout(CASES[i].path, hidden), CASES[i].is);
                assert_string_equal(hidden, CASES[i].hidden);
        }
}

static void test_shown(void **state)
{
        char text[ENTRY_SHOWN_BYTES];
        char name[300];

        (void)state;
        entry_show("a\033[31m\n\xff\xc3\xa9", text);
        assert_string_equal(text, "a?[31m??\xc3\xa9");
        memset(name, 'x', sizeof name - 1);
        name[sizeof name - 1] = '\0';
        entry_show(name, text);
        assert_true(strlen(text) < sizeof text);
        assert_string_equal(text + strlen(text) - 3, "...");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_paths),     cmocka_unit_test(test_links), cmocka_unit_test(test_modes),
                cmocka_unit_test(test_whiteouts), cmocka_unit_test(test_shown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
