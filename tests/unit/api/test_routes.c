/* The table of routes: what each path takes, and what it makes of the id in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"
#include "routes.h"
#include "url.h"

static const struct {
        const char *method, *path;
        const char *route;     /* its template, or NULL */
        const char *parameter; /* or, without a route, the methods of Allow */
        enum fault_kind fault;
} CASES[] = {
        { "GET", "/v1/carrels", "/v1/carrels", "", FAULT_NONE },
        { "HEAD", "/v1/carrels", "/v1/carrels", "", FAULT_NONE },
        { "PUT", "/v1/carrels/ada", "/v1/carrels/{user}", "ada", FAULT_NONE },
        { "PUT", "/v1/carrels/%41-b.c_9", "/v1/carrels/{user}", "A-b.c_9", FAULT_NONE },
        { "GET", "/v1/carrels/why/why", "/v1/carrels/{user}/why", "why", FAULT_NONE },
        { "POST", "/v1/carrels/ada/exec", "/v1/carrels/{user}/exec", "ada", FAULT_NONE },
        { "POST", "/v1/carrels/ada/freeze", "/v1/carrels/{user}/freeze", "ada", FAULT_NONE },
        { "POST", "/v1/carrels/ada/thaw", "/v1/carrels/{user}/thaw", "ada", FAULT_NONE },
        { "POST", "/v1/carrels/ada/touch", "/v1/carrels/{user}/touch", "ada", FAULT_NONE },
        { "DELETE", "/v1/carrels/ada", "/v1/carrels/{user}", "ada", FAULT_NONE },
        { "POST", "/v1/execs/9b1d/signal", "/v1/execs/{id}/signal", "9b1d", FAULT_NONE },
        { "GET", "/v1/execs", "/v1/execs", "", FAULT_NONE },
        { "POST", "/v1/sweep", "/v1/sweep", "", FAULT_NONE },
        { "GET", "/healthz", "/healthz", "", FAULT_NONE },
        { "get", "/healthz", NULL, "GET, HEAD", FAULT_METHOD_NOT_ALLOWED },
        { "POST", "/v1/carrels", NULL, "GET, HEAD", FAULT_METHOD_NOT_ALLOWED },
        { "HEAD", "/v1/sweep", NULL, "POST", FAULT_METHOD_NOT_ALLOWED },
        { "PATCH", "/v1/carrels/ada", NULL, "PUT, GET, HEAD, DELETE", FAULT_METHOD_NOT_ALLOWED },
        { "PATCH", "/v1/carrels/..", NULL, "PUT, GET, HEAD, DELETE", FAULT_METHOD_NOT_ALLOWED },
        { "PUT", "/v1/carrels/..", NULL, "", FAULT_USER_ID_INVALID },
        { "PUT", "/v1/carrels/%2e%2e", NULL, "", FAULT_USER_ID_INVALID },
        { "PUT", "/v1/carrels/-a", NULL, "", FAULT_USER_ID_INVALID },
        { "PUT", "/v1/carrels/", NULL, "", FAULT_USER_ID_INVALID },
        { "PUT", "/v1/carrels//why", NULL, "GET, HEAD", FAULT_METHOD_NOT_ALLOWED },
        { "GET", "/v1/carrels//why", NULL, "", FAULT_USER_ID_INVALID },
        { "PUT", "/v1/carrels/a%2fb", NULL, "", FAULT_USER_ID_INVALID },
        { "PUT", "/v1/carrels/a%00", NULL, "", FAULT_USER_ID_INVALID },
        { "PUT", "/v1/carrels/a%", NULL, "", FAULT_USER_ID_INVALID },
        { "PUT", "/v1/carrels/a%4", NULL, "", FAULT_USER_ID_INVALID },
        { "PUT", "/v1/carrels/a%g1", NULL, "", FAULT_USER_ID_INVALID },
        { "PUT", "/v1/carrels/\xc3\xa9", NULL, "", FAULT_USER_ID_INVALID },
        { "PUT", "/v1/carrels/%0a", NULL, "", FAULT_USER_ID_INVALID },
        { "POST", "/v1/execs/%00/signal", NULL, "", FAULT_NOT_FOUND },
        { "GET", "", NULL, "", FAULT_NOT_FOUND },
        { "GET", "*", NULL, "", FAULT_NOT_FOUND },
        { "GET", "/", NULL, "", FAULT_NOT_FOUND },
        { "GET", "//", NULL, "", FAULT_NOT_FOUND },
        { "GET", "healthz", NULL, "", FAULT_NOT_FOUND },
        { "GET", "/healthz/", NULL, "", FAULT_NOT_FOUND },
        { "GET", "//healthz", NULL, "", FAULT_NOT_FOUND },
        { "GET", "/%68ealthz", NULL, "", FAULT_NOT_FOUND },
        { "GET", "/v1", NULL, "", FAULT_NOT_FOUND },
        { "GET", "/v1/carrelsx", NULL, "", FAULT_NOT_FOUND },
        { "GET", "/v1/carrel", NULL, "", FAULT_NOT_FOUND },
        { "PUT", "/v1/carrels/ada/", NULL, "", FAULT_NOT_FOUND },
        { "PUT", "/v1/carrels/a/../b", NULL, "", FAULT_NOT_FOUND },
        { "GET", "/v1/carrels/ada/why/not", NULL, "", FAULT_NOT_FOUND },
};

static void test_routes(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct route_match match = { 0 };
                struct fault why = { 0 };
                int r = route_find(&API_ROUTES, CASES[i].method, CASES[i].path, &match, &why);

                if ((r == 0) != (CASES[i].route != NULL) || (r < 0 && why.kind != CASES[i].fault))
                        fail_msg("%s %s: %d %s", CASES[i].method, CASES[i].path, r, why.message);
                if (r == 0) {
                        assert_string_equal(match.route->path, CASES[i].route);
                        assert_string_equal(match.parameter, CASES[i].parameter);
                } else {
                        assert_string_equal(match.allow, CASES[i].parameter);
                }
        }
}

/* A user id of 64 characters fits, each escaped or not; of 65 it does not. */
static void test_longest_user_id(void **state)
{
        struct route_match match;
        struct fault why;

        (void)state;
        for (unsigned n = USER_ID_MAX; n <= USER_ID_MAX + 1; n++) {
                struct buffer plain = { 0 }, escaped = { 0 };

                (void)buffer_text(&plain, "/v1/carrels/");
                (void)buffer_text(&escaped, "/v1/carrels/");
                for (unsigned i = 0; i < n; i++) {
                        (void)buffer_text(&plain, "a");
                        (void)buffer_text(&escaped, "%61");
                }
                assert_int_equal(route_find(&API_ROUTES, "PUT", plain.data, &match, &why) == 0, n == USER_ID_MAX);
                assert_int_equal(route_find(&API_ROUTES, "PUT", escaped.data, &match, &why) == 0, n == USER_ID_MAX);
                buffer_free(&plain);
                buffer_free(&escaped);
        }
}

/* Allow must fit however many methods a path has, and labels name one route each. */
static void test_the_table_is_sound(void **state)
{
        (void)state;
        for (const struct route *route = API_ROUTES.routes; route->method != NULL; route++) {
                size_t length = 0;

                assert_non_null(route->handle);
                for (const struct route *other = API_ROUTES.routes; other->method != NULL; other++) {
                        if (strcmp(route->path, other->path) == 0)
                                length += strlen(other->method) + strlen(", HEAD, ");
                        assert_true(route == other || strcmp(route->label, other->label) != 0);
                }
                assert_true(length < ROUTE_ALLOW_BYTES);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_routes),
                cmocka_unit_test(test_longest_user_id),
                cmocka_unit_test(test_the_table_is_sound),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
