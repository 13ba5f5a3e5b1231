#include "prelude.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec-status.h"
#include "frames.h"
#include "input.h"
#include "lines.h"
#include "table.h"
#include "text.h"

static void text_is_cleaned(void **state)
{
        static const struct {
                const char *dirty, *clean;
        } CASES[] = {
                { "", "" },
                { "plain", "plain" },
                { "a\nb\tc\rd", "a b c d" },
                { "\033[31mred\033[0m", "red" },
                { "\033]0;title\abody", "body" },
                { "\033]8;;http://x\033\\link", "link" },
                { "\033Pdevice\033\\x", "x" },
                { "\033(Bx\033cy\033", "xy" },
                { "\033[31", "" },
                { "del\x7F", "del " },
                { "c1\xC2\x9B"
                  "31m",
                  "c1 31m" },
                { "bad\xFF\xC0\x80", "bad\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD" },
                { "cut\xE2\x82", "cut\xEF\xBF\xBD\xEF\xBF\xBD" },
                { "\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD" },
                { "ab\xE2\x80\xAE"
                  "dc",
                  "abdc" },
                { "line\xE2\x80\xA8separator", "line separator" },
                { "\xC3\xA9\xF0\x9F\x98\x80", "\xC3\xA9\xF0\x9F\x98\x80" },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct buffer clean = { 0 };

                assert_int_equal(text_clean(&clean, CASES[i].dirty), 0);
                assert_string_equal(clean.data, CASES[i].clean);
                buffer_free(&clean);
        }
}

static void columns_are_counted(void **state)
{
        static const struct {
                const char *text;
                size_t columns, fit_in_3;
        } CASES[] = {
                { "", 0, 0 },
                { "abc", 3, 3 },
                { "abcd", 4, 3 },
                { "e\xCC\x81xyz", 4, 5 },
                { "\xE6\xBC\xA2\xE5\xAD\x97", 4, 3 },
                { "\xF0\x9F\x98\x80!!", 4, 5 },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                assert_int_equal(text_columns(CASES[i].text), CASES[i].columns);
                assert_int_equal(text_fit(CASES[i].text, 3), CASES[i].fit_in_3);
        }
}

static void json_hides_controls(void **state)
{
        struct buffer json = { 0 };

        assert_int_equal(text_append_json(&json, "{\"a\":\"\x7F\xC2\x9B\xC3\xA9\xE2\x80\xAE\xF3\xA0\x80\x81\"}"), 0);
        assert_string_equal(json.data, "{\"a\":\"\\u007f\\u009b\xC3\xA9\\u202e\\udb40\\udc01\"}");
        buffer_free(&json);
}

/* A table of two rows as it is printed at a width. */
static char *print_table(const char *const *headers, const char *const *cells, size_t n_rows, size_t width)
{
        struct table *table = NULL;
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        assert_int_equal(table_new(&table, headers, 2), 0);
        for (size_t i = 0; i < n_rows; i++)
                assert_int_equal(table_add(table, cells + 2 * i), 0);
        table_print(table, out, width);
        table_free(table);
        fclose(out);
        return text;
}

static void tables_fit(void **state)
{
        static const char *const HEADERS[] = { "USER", "DETAIL" };
        static const char *const CELLS[] = { "ada", "a long story of a carrel", "\033[1mbob\n", NULL };
        static const struct {
                const char *const *headers;
                size_t n_rows, width;
                const char *text;
        } CASES[] = {
                { HEADERS, 0, 80, "USER  DETAIL\n" },
                { NULL, 0, 80, "" },
                { HEADERS, 2, 0, "USER  DETAIL\nada   a long story of a carrel\nbob   \n" },
                { HEADERS, 2, 80, "USER  DETAIL\nada   a long story of a carrel\nbob   \n" },
                { HEADERS, 2, 20, "USER  DETAIL\nada   a long story \xE2\x80\xA6\nbob   \n" },
                { HEADERS, 1, 1, "USER  DETAIL\nada   a long \xE2\x80\xA6\n" },
                { NULL, 1, 0, "ada  a long story of a carrel\n" },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                char *text = print_table(CASES[i].headers, CELLS, CASES[i].n_rows, CASES[i].width);

                assert_string_equal(text, CASES[i].text);
                free(text);
        }
}

/* Ids, which people type again, are never cut, and nothing else is at the first column's cost. */
static void whole_columns_stay_whole(void **state)
{
        static const char *const HEADERS[] = { "EXEC", "COMMAND" };
        static const char *const CELLS[] = { "0123456789abcdef0123456789abcdef", "a command of some length" };
        struct table *table = NULL;
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        assert_int_equal(table_new(&table, HEADERS, 2), 0);
        table_keep_whole(table, 0);
        assert_int_equal(table_add(table, CELLS), 0);
        table_print(table, out, 20);
        table_free(table);
        fclose(out);
        assert_string_equal(text, "EXEC                              COMMAND\n"
                                  "0123456789abcdef0123456789abcdef  a comma\xE2\x80\xA6\n");
        free(text);
}

/* Whatever the pieces are: the same comes out, and it moves no cursor. */
static void a_stream_is_filtered(void **state)
{
        static const struct {
                const char *dirty, *clean;
        } CASES[] = {
                { "plain\n\ttext\n", "plain\n\ttext\n" },
                { "\033[31mred\033[0m\n", "red\n" },
                { "\033]0;title\abody", "body" },
                { "\033]52;c;AAAA\033\\x", "x" },
                { "\033]0;no end\nnext", "\nnext" },
                { "\033P1$r\033\\x\033(By\033cz", "xyz" },
                { "a\bb\x7F\ac", "abc" },
                { "10%\r20%\rdone\r\n", "10%\n20%\ndone\n" },
                { "c1\xC2\x9B"
                  "31m",
                  "c131m" },
                { "bad\x9B\xFF", "bad\xEF\xBF\xBD\xEF\xBF\xBD" },
                { "ab\xE2\x80\xAE"
                  "dc",
                  "abdc" },
                { "\xC3\xA9\xF0\x9F\x98\x80!", "\xC3\xA9\xF0\x9F\x98\x80!" },
                { "\033\xC3\xA9", "\xC3\xA9" },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                size_t length = strlen(CASES[i].dirty);

                for (size_t cut = 0; cut <= length; cut++) {
                        struct text_filter filter = { 0 };
                        struct buffer clean = { 0 };

                        assert_int_equal(text_filter(&filter, CASES[i].dirty, cut, &clean), 0);
                        assert_int_equal(text_filter(&filter, CASES[i].dirty + cut, length - cut, &clean), 0);
                        assert_string_equal(clean.data, CASES[i].clean);
                        buffer_free(&clean);
                }
        }
}

static void tables_have_bounds(void **state)
{
        struct table *table = NULL;

        assert_int_equal(table_new(&table, NULL, 0), -EINVAL);
        assert_int_equal(table_new(&table, NULL, TABLE_COLUMNS_MAX + 1), -EINVAL);
        assert_null(table);
        assert_null(table_free(NULL));
}

static int collect(void *arg, const char *line, size_t length)
{
        struct buffer *seen = arg;

        (void)buffer_text(seen, "[");
        (void)buffer_append(seen, line, length);
        (void)buffer_text(seen, "]");
        return memchr(line, '!', length) != NULL ? -ECANCELED : 0;
}

/* Every way to cut the stream into two pieces gives the same lines. */
static void lines_are_split(void **state)
{
        static const struct {
                const char *bytes, *seen;
                int result, end;
        } CASES[] = {
                { "", "", 0, 0 },
                { "a\nbc\n", "[a][bc]", 0, 0 },
                { "a\n\n\nb\n", "[a][b]", 0, 0 },
                { "a\nrest", "[a]", 0, -EPROTO },
                { "12345678\n", "[12345678]", 0, 0 },
                { "123456789\n", "", -EMSGSIZE, 0 },
                { "123456789", "", -EMSGSIZE, 0 },
                { "a\nb!\nc\n", "[a][b!]", -ECANCELED, 0 },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                size_t length = strlen(CASES[i].bytes);

                for (size_t cut = 0; cut <= length; cut++) {
                        struct lines lines = { .limit_bytes = 8 };
                        struct buffer seen = { 0 };
                        int r = lines_feed(&lines, CASES[i].bytes, cut, collect, &seen);

                        if (r == 0)
                                r = lines_feed(&lines, CASES[i].bytes + cut, length - cut, collect, &seen);
                        assert_int_equal(r, CASES[i].result);
                        if (r == 0)
                                assert_int_equal(lines_end(&lines), CASES[i].end);
                        assert_string_equal(seen.data != NULL ? seen.data : "", CASES[i].seen);
                        lines_free(&lines);
                        buffer_free(&seen);
                }
        }
}

static int collect_output(void *arg, int stream, const void *bytes, size_t length)
{
        struct buffer *seen = arg;

        (void)buffer_append(seen, stream == 1 ? "o" : "e", 1);
        (void)buffer_append(seen, bytes, length);
        return memchr(bytes, '!', length) != NULL ? -ECANCELED : 0;
}

#define FRAME(type, length, text) type "\0\0\0\0\0\0" length text
#define CASE(text, ...)                                                                                                \
        {                                                                                                              \
                text, sizeof text - 1, __VA_ARGS__                                                                     \
        }

/* Frames come in any pieces: here cut into two, at every place. */
static void frames_are_split(void **state)
{
        static const struct {
                const char *bytes;
                size_t length;
                const char *seen;
                int result, end;
        } CASES[] = {
                CASE("", "", 0, 0),
                CASE(FRAME("\1", "\1", "a") FRAME("\2", "\1", "b") FRAME("\3", "\2", "{}"), "oaeb[{}]", 0, 0),
                CASE(FRAME("\1", "\0", "") FRAME("\2", "\1", "b"), "eb", 0, 0),
                CASE(FRAME("\1", "\2", "a"), "oa", 0, -EPROTO),
                CASE("\1\0\0\0", "", 0, -EPROTO),
                CASE(FRAME("\0", "\1", "a"), "", -EPROTO, 0),
                CASE(FRAME("\4", "\1", "a"), "", -EPROTO, 0),
                CASE("\1\1\0\0\0\0\0\1", "", -EPROTO, 0),
                CASE("\3\0\0\0\0\1\0\1", "", -EMSGSIZE, 0),
                CASE(FRAME("\3", "\1", "x") FRAME("\1", "\1", "a"), "[x]", -EPROTO, 0),
                CASE(FRAME("\1", "\1", "!") FRAME("\1", "\1", "a"), "o!", -ECANCELED, 0),
                CASE(FRAME("\3", "\1", "!") FRAME("\1", "\1", "a"), "[!]", -ECANCELED, 0),
        };

        (void)state;
        for (size_t i = 0; i < COUNT(CASES); i++) {
                for (size_t cut = 0; cut <= CASES[i].length; cut++) {
                        struct buffer seen = { 0 };
                        const struct frames_visitor visitor = { collect_output, collect, &seen };
                        struct frames frames = { 0 };
                        int r = frames_feed(&frames, CASES[i].bytes, cut, &visitor);

                        if (r == 0)
                                r = frames_feed(&frames, CASES[i].bytes + cut, CASES[i].length - cut, &visitor);
                        assert_int_equal(r, CASES[i].result);
                        if (r == 0)
                                assert_int_equal(frames_end(&frames), CASES[i].end);
                        assert_string_equal(seen.data != NULL ? seen.data : "", CASES[i].seen);
                        frames_free(&frames);
                        buffer_free(&seen);
                }
        }
}

static void ends_become_exit_statuses(void **state)
{
        static const struct {
                const char *cause;
                int exit_code, signal, status;
                bool has_sentence;
        } CASES[] = {
                { "exit", 0, 0, 0, false },
                { "exit", 3, 0, 3, false },
                { "exit", 255, 0, 255, false },
                { "signal", 137, 9, 137, false },
                { "signal", 143, 15, 143, false },
                { "timeout", 124, 0, 124, true },
                { "oom", 137, 9, 137, true },
                { "pids", 1, 0, 137, true },
                { "cancelled", 137, 0, 137, true },
                { "carrel_lost", 0, 0, 137, true },
                { "", 0, 0, 125, true },
                { "new", 0, 0, 125, true },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                assert_int_equal(exec_status(CASES[i].cause, CASES[i].exit_code, CASES[i].signal), CASES[i].status);
                assert_int_equal(exec_cause_sentence(CASES[i].cause) != NULL, CASES[i].has_sentence);
        }
}

static void input_is_bounded(void **state)
{
        static const struct {
                size_t limit;
                int result;
        } CASES[] = { { 6, 0 }, { 5, -EFBIG }, { 0, -EFBIG } };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct buffer bytes = { 0 };
                int fds[2];

                assert_int_equal(pipe(fds), 0);
                assert_int_equal(write(fds[1], "ab\0cd\n", 6), 6);
                close(fds[1]);
                assert_int_equal(input_read(fds[0], CASES[i].limit, &bytes), CASES[i].result);
                if (CASES[i].result == 0)
                        assert_memory_equal(bytes.data, "ab\0cd\n", 6);
                close(fds[0]);
                assert_int_equal(input_read(fds[0], 1, &bytes), 0); /* not open: none */
                buffer_free(&bytes);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(text_is_cleaned),          cmocka_unit_test(columns_are_counted),
                cmocka_unit_test(json_hides_controls),      cmocka_unit_test(tables_fit),
                cmocka_unit_test(whole_columns_stay_whole), cmocka_unit_test(a_stream_is_filtered),
                cmocka_unit_test(tables_have_bounds),       cmocka_unit_test(lines_are_split),
                cmocka_unit_test(frames_are_split),         cmocka_unit_test(ends_become_exit_statuses),
                cmocka_unit_test(input_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
