/* Holds docs/ against the tables of the API: routes and their admins, and metrics. The first argument is the source
 * root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metrics-table.h"
#include "routes.h"
#include "scope.h"
#include "str.h"

static const char *source_root;

static char *read_document(const char *name)
{
        char path[4096], bytes[4096];
        struct buffer text = { 0 };
        size_t n;

        (void)snprintf(path, sizeof path, "%s/docs/%s", source_root, name);
        AUTO(auto_fclose) FILE *file = fopen(path, "re");
        if (file == NULL)
                fail_msg("cannot open %s", path);
        while ((n = fread(bytes, 1, sizeof bytes, file)) > 0)
                assert_int_equal(buffer_append(&text, bytes, n), 0);
        return buffer_take(&text);
}

/* The text from begin up to end, both included once. */
static char *cut(const char *text, const char *begin, const char *end)
{
        const char *first = strstr(text, begin);
        const char *last = first != NULL ? strstr(first + strlen(begin), end) : NULL;

        if (last == NULL)
                fail_msg("there is no text from \"%s\" to \"%s\"", begin, end);
        return strndup(first, (size_t)(last - first));
}

static unsigned count(const char *text, const char *word)
{
        unsigned n = 0;

        for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
                n++;
        return n;
}

static bool is_admin(const struct route *route)
{
        return (route->flags & ROUTE_ADMIN) != 0;
}

/* The routes of admins that this text names must be those of the table; every name is between backquotes. */
static void expect_admin_routes(const char *where, const char *text)
{
        for (const struct route *route = API_ROUTES.routes; route->method != NULL; route++) {
                char name[128];

                (void)snprintf(name, sizeof name, "`%s %s`", route->method, route->path);
                if ((strstr(text, name) != NULL) != is_admin(route))
                        fail_msg("%s: %s is %s admins", where, name, is_admin(route) ? "only for" : "not only for");
        }
}

static void every_admin_route_has_a_heading_that_says_so(void **state)
{
        AUTO(auto_free) char *text = read_document("api.md");
        unsigned n_admin_routes = 0;

        (void)state;
        for (const struct route *route = API_ROUTES.routes; route->method != NULL; route++) {
                char heading[128];

                (void)snprintf(heading, sizeof heading, "\n## %s %s (admin)\n", route->method, route->path);
                if ((strstr(text, heading) != NULL) != is_admin(route))
                        fail_msg("docs/api.md %s: %s", is_admin(route) ? "lacks" : "must not have", heading);
                n_admin_routes += is_admin(route) ? 1 : 0;
        }
        assert_true(n_admin_routes > 0);
        assert_int_equal(count(text, " (admin)\n"), n_admin_routes);
}

static void the_lists_of_admin_routes_are_complete(void **state)
{
        AUTO(auto_free) char *api = read_document("api.md");
        AUTO(auto_free) char *threats = read_document("threats.md");
        AUTO(auto_free) char *list = cut(api, "\nOnly for admins:", "\n\n");
        AUTO(auto_free) char *row = cut(threats, "\n| an admin (", " |\n");

        (void)state;
        expect_admin_routes("docs/api.md", list);
        expect_admin_routes("docs/threats.md", row);
}

static void append_labels(struct buffer *row, const struct metric_family *family)
{
        enum { N_LABELS = sizeof family->labels / sizeof *family->labels };

        for (size_t i = 0; i < N_LABELS && family->labels[i] != NULL; i++)
                (void)buffer_format(row, "%s`%s`", i > 0 ? ", " : "", family->labels[i]);
        if (family->labels[0] != NULL)
                (void)buffer_format(row, " ");
}

static void every_metric_has_its_row(void **state)
{
        static const char *const TYPES[] = {
                [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"
        };
        AUTO(auto_free) char *text = read_document("api.md");
        const char *section = strstr(text, "\n### All metrics\n");

        (void)state;
        assert_non_null(section);
        for (const struct metric_family *family = METRICS_TABLE; family->name != NULL; family++) {
                struct buffer row = { 0 };

                (void)buffer_format(&row, "\n| `%s` | ", family->name);
                append_labels(&row, family);
                (void)buffer_format(&row, "| %s | %s |\n", TYPES[family->type], family->help);
                assert_false(row.has_failed);
                if (strstr(section, row.data) == NULL)
                        fail_msg("docs/api.md does not have: %s", row.data);
                buffer_free(&row);
        }
        assert_int_equal(count(section, "\n| `carrel_"), CARREL_METRICS);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_admin_route_has_a_heading_that_says_so),
                cmocka_unit_test(the_lists_of_admin_routes_are_complete),
                cmocka_unit_test(every_metric_has_its_row),
        };

        assert_true(argc > 1);
        source_root = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
