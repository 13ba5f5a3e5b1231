/* The table of errors, held against docs/errors.md: every code has a row, with its status and whether to try again; and
 * every route of the table has its heading in docs/api.md. The first argument is the source root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "errors.h"
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

static void test_every_code_is_documented(void **state)
{
        struct buffer text = { 0 };

        (void)state;
        read_document("errors.md", &text);
        for (int i = FAULT_NONE + 1; i < FAULT_KINDS; i++) {
                enum fault_kind kind = (enum fault_kind)i;
                char row[128];

                (void)snprintf(row, sizeof row, "\n| `%s` | %u | %s | ", fault_code(kind), error_status(kind),
                               fault_is_retryable(kind) ? "yes" : "no");
                if (strstr(text.data, row) == NULL)
                        fail_msg("docs/errors.md has no row that begins with: %s", row + 1);
        }
        buffer_free(&text);
}

static void test_no_other_code_is_documented(void **state)
{
        struct buffer text = { 0 };
        unsigned rows = 0;

        (void)state;
        read_document("errors.md", &text);
        for (const char *at = text.data; (at = strstr(at, "\n| `")) != NULL; at++)
                rows++;
        assert_int_equal(rows, FAULT_KINDS - 1);
        buffer_free(&text);
}

static void test_every_route_is_documented(void **state)
{
        struct buffer text = { 0 };

        (void)state;
        read_document("api.md", &text);
        for (const struct route *route = ROUTES; route->method != NULL; route++) {
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

                assert_in_range(status, 400, 504);
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
                cJSON *tree;
                char *text;

                (void)snprintf(why.message, sizeof why.message, "%s", MESSAGES[i].message);
                (void)snprintf(expected, sizeof expected,
                               "{\"error\":{\"code\":\"not_found\",\"message\":\"%s\",\"retryable\":false}}",
                               MESSAGES[i].json);
                tree = error_render(&why);
                text = cJSON_PrintUnformatted(tree);
                assert_string_equal(text, expected);
                free(text);
                cJSON_Delete(tree);
        }
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_code_is_documented),  cmocka_unit_test(test_no_other_code_is_documented),
                cmocka_unit_test(test_every_route_is_documented), cmocka_unit_test(test_statuses),
                cmocka_unit_test(test_messages_are_escaped),
        };

        source_root = argc > 1 ? argv[1] : ".";
        return cmocka_run_group_tests(tests, NULL, NULL);
}
