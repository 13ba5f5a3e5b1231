/* Compares docs/errors.md with the code: every error code has a row, with its status and whether to try
 * again, and so has every cause of an exec's end, and every reason of a removal, and no other word; and every route of
 * the table has its heading in docs/api.md. The first argument is the source root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "errors.h"
#include "exec.h"
#include "judge.h"
#include "put.h"
#include "routes.h"
#include "scope.h"
#include "str.h"
#include "url.h"

static const char *source_root;

static void read_document(const char *name, struct buffer *ret_text)
{
        char path[4096], bytes[4096];
        size_t n;
        AUTO(auto_fclose) FILE *file = NULL;

        (void)snprintf(path, sizeof path, "%s/docs/%s", source_root, name);
        file = fopen(path, "re");
        assert_non_null(file);
        while ((n = fread(bytes, 1, sizeof bytes, file)) > 0)
                assert_int_equal(buffer_append(ret_text, bytes, n), 0);
}

/* The text of errors.md below this heading, up to the next. */
static char *read_section(const char *heading)
{
        struct buffer text = { 0 };
        const char *begin, *end;
        char *section;

        read_document("errors.md", &text);
        begin = strstr(text.data, heading);
        if (begin == NULL)
                fail_msg("docs/errors.md does not have: %s", heading);
        end = strstr(begin, "\n## ");
        section = end == NULL ? strdup(begin) : strndup(begin, (size_t)(end - begin));
        assert_non_null(section);
        buffer_free(&text);
        return section;
}

static void expect_row(const char *section, const char *word, const char *rest)
{
        char row[128];

        (void)snprintf(row, sizeof row, "\n| `%s` |%s", word, rest);
        if (strstr(section, row) == NULL)
                fail_msg("docs/errors.md has no row that begins with: %s", row + 1);
}

/* As many as there are words, so that none is there that no code says. */
static void expect_rows(const char *section, unsigned count)
{
        unsigned rows = 0;

        for (const char *at = section; (at = strstr(at, "\n| `")) != NULL; at++)
                rows++;
        assert_int_equal(rows, count);
}

static void test_codes_are_documented(void **state)
{
        AUTO(auto_free) char *section = read_section("# Errors\n");

        (void)state;
        for (int i = FAULT_NONE + 1; i < FAULT_KINDS; i++) {
                enum fault_kind kind = (enum fault_kind)i;
                char rest[32];

                (void)snprintf(rest, sizeof rest, " %u | %s | ", error_status(kind),
                               fault_is_retryable(kind) ? "yes" : "no");
                expect_row(section, fault_code(kind), rest);
        }
        expect_rows(section, FAULT_KINDS - 1);
}

static void test_causes_are_documented(void **state)
{
        AUTO(auto_free) char *section = read_section("## How a program ended\n");

        (void)state;
        for (int i = 0; i < EXEC_CAUSES; i++)
                expect_row(section, exec_cause_name((enum exec_cause)i), "");
        expect_rows(section, EXEC_CAUSES);
}

/* A client's, the reaper's, and the exec room's. */
static void test_removals_are_documented(void **state)
{
        static const enum judge_why STOPS[] = { JUDGE_IDLE, JUDGE_SOCKETS, JUDGE_TOO_OLD };
        enum { N_STOPS = sizeof STOPS / sizeof *STOPS };
        AUTO(auto_free) char *section = read_section("## Why a carrel was removed\n");

        (void)state;
        expect_row(section, "removed", "");
        for (size_t i = 0; i < N_STOPS; i++)
                expect_row(section, judge_why_name(STOPS[i]), "");
        for (int i = 0; i < LEFT_BEHINDS; i++)
                expect_row(section, exec_left_behind_name((enum exec_left_behind)i), "");
        expect_rows(section, 1 + N_STOPS + LEFT_BEHINDS);
}

static void test_every_route_is_documented(void **state)
{
        struct buffer text = { 0 };

        (void)state;
        read_document("api.md", &text);
        for (const struct route *route = API_ROUTES.routes; route->method != NULL; route++) {
                char name[128];

                (void)snprintf(name, sizeof name, "%s %s", route->method, route->path);
                if (strstr(text.data, name) == NULL)
                        fail_msg("docs/api.md does not have: %s", name);
        }
        buffer_free(&text);
}

static void test_statuses(void **state)
{
        (void)state;
        for (int i = FAULT_NONE + 1; i < FAULT_KINDS; i++) {
                enum fault_kind kind = (enum fault_kind)i;
                struct fault why = { .kind = kind };
                unsigned status = error_status(kind);

                assert_in_range(status, 400, 507);
                assert_int_equal(error_retry_after_s(&why, status), status == 429 || status == 503 ? 1 : 0);
                why.retry_after_s = 9;
                assert_int_equal(error_retry_after_s(&why, status), 9);
                /* A wait is only worth its while for what may pass by itself. */
                assert_true(fault_is_retryable(kind) || (status != 429 && status != 503));
        }
        assert_int_equal(error_status(FAULT_KINDS), 500);
        assert_false(error_closes_connection(FAULT_KINDS));
}

static const struct {
        const char *message, *json;
} MESSAGES[] = {
        { "plain", "plain" },         { "\"quoted\"\n\x1b[31m\\", "\\\"quoted\\\"\\n\\u001b[31m\\\\" },
        { "cut \xe2\x82", "cut ??" }, { "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
        { "\xff\xc0\xaf", "???" },
};

static void test_messages_are_escaped(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof MESSAGES / sizeof *MESSAGES; i++) {
                struct fault why = { .kind = FAULT_NOT_FOUND };
                char expected[256];
                char *text;

                (void)snprintf(why.message, sizeof why.message, "%s", MESSAGES[i].message);
                (void)snprintf(expected, sizeof expected,
                               "{\"error\":{\"code\":\"not_found\",\"message\":\"%s\",\"retryable\":false}}",
                               MESSAGES[i].json);
                text = json_take(error_render(&why));
                assert_string_equal(text, expected);
                free(text);
        }
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_codes_are_documented),
                cmocka_unit_test(test_causes_are_documented),
                cmocka_unit_test(test_removals_are_documented),
                cmocka_unit_test(test_every_route_is_documented),
                cmocka_unit_test(test_statuses),
                cmocka_unit_test(test_messages_are_escaped),
        };

        source_root = argc > 1 ? argv[1] : ".";
        return cmocka_run_group_tests(tests, NULL, NULL);
}
