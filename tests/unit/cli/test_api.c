#include "prelude.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api-client.h"
#include "api-path.h"
#include "api-reach.h"
#include "server.h"
#include "view.h"

#define HEAD(status) "HTTP/1.1 " status "\r\nConnection: close\r\n"
#define ANSWER(status, length, body) HEAD(status) "Content-Length: " #length "\r\n\r\n" body

static void paths_are_encoded(void **state)
{
        static const struct {
                const char *segment;
                int result;
                const char *path;
        } CASES[] = {
                { "ada", 0, "/v1/ada" },
                { "A-z_0.9~", 0, "/v1/A-z_0.9~" },
                { "../x", 0, "/v1/..%2Fx" },
                { "a b?c#d%", 0, "/v1/a%20b%3Fc%23d%25" },
                { "\xC3\xA9\r\n", 0, "/v1/%C3%A9%0D%0A" },
                { "...", 0, "/v1/..." },
                { "", -EINVAL, NULL },
                { ".", -EINVAL, NULL },
                { "..", -EINVAL, NULL },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct buffer path = { 0 };

                assert_int_equal(buffer_text(&path, "/v1"), 0);
                assert_int_equal(api_path_append(&path, CASES[i].segment), CASES[i].result);
                if (CASES[i].path != NULL)
                        assert_string_equal(path.data, CASES[i].path);
                buffer_free(&path);
        }
}

static void queries_are_joined(void **state)
{
        struct buffer path = { 0 };

        assert_int_equal(buffer_text(&path, "/x"), 0);
        assert_int_equal(api_path_query(&path, "none", NULL), 0);
        assert_int_equal(api_path_query(&path, "a", "1&2"), 0);
        assert_int_equal(api_path_query(&path, "b", ""), 0);
        assert_string_equal(path.data, "/x?a=1%262&b=");
        buffer_free(&path);
}

static void errors_are_read(void **state)
{
        static const struct {
                const char *body, *code, *message;
                bool is_retryable;
        } CASES[] = {
                { "{\"error\":{\"code\":\"pool_full\",\"message\":\"full\",\"retryable\":true}}", "pool_full", "full",
                  true },
                { "{\"error\":{\"code\":\"x\",\"message\":\"y\",\"retryable\":false}}", "x", "y", false },
                { "{\"error\":{\"code\":7,\"message\":[]}}", "", "HTTP status 500", false },
                { "{\"error\":\"text\"}", "", "HTTP status 500", false },
                { "<html>", "", "HTTP status 500", false },
                { "", "", "HTTP status 500", false },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct api_error error = { 0 };

                api_error_parse(&error, 500, CASES[i].body);
                assert_int_equal(error.status, STATUS_FAILED);
                assert_int_equal(error.http_status, 500);
                assert_string_equal(error.code, CASES[i].code);
                assert_non_null(strstr(error.message, CASES[i].message));
                assert_int_equal(error.is_retryable, CASES[i].is_retryable);
        }
}

/* One GET against a canned answer. */
static int call(const char *answer, cJSON **ret_json, struct api_error *error)
{
        const char *const answers[] = { answer, NULL };
        struct server server;
        struct api_client *client = NULL;

        server_start(&server, answers, false);
        assert_int_equal(api_client_new(&client, server.path, 10.0), 0);
        int r = api_call(client, "GET", "/v1/info", NULL, ret_json, error);
        api_client_free(client);
        server_stop(&server);
        assert_non_null(strstr(server.asked, "GET /v1/info HTTP/1.1\r\n"));
        server_end(&server);
        return r;
}

static void calls_tell_their_failures(void **state)
{
        static const struct {
                const char *answer;
                int result;
                enum cli_status status;
                const char *said;
        } CASES[] = {
                { ANSWER("200 OK", 7, "{\"a\":1}"), 0, STATUS_OK, "" },
                { HEAD("204 No Content") "\r\n", 0, STATUS_OK, "" },
                { ANSWER("200 OK", 4, "text"), -EPROTO, STATUS_FAILED, "is not JSON" },
                { ANSWER("404 Not Found", 50, "{\"error\":{\"code\":\"not_found\",\"message\":\"nobody\"}} "),
                  -EREMOTEIO, STATUS_FAILED, "nobody" },
                { ANSWER("502 Bad Gateway", 3, "oops"), -EREMOTEIO, STATUS_FAILED, "HTTP status 502" },
                { ANSWER("200 OK", 100, "{\"a\":"), -ECONNREFUSED, STATUS_UNREACHABLE, "was lost" },
                { "SSH-2.0-x\r\n", -ECONNREFUSED, STATUS_UNREACHABLE, "was lost" },
                { "", -ECONNREFUSED, STATUS_UNREACHABLE, "was lost" },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct api_error error = { 0 };
                cJSON *json = NULL;

                assert_int_equal(call(CASES[i].answer, &json, &error), CASES[i].result);
                assert_int_equal(json != NULL, CASES[i].result == 0);
                if (CASES[i].result < 0) {
                        assert_int_equal(error.status, CASES[i].status);
                        assert_non_null(strstr(error.message, CASES[i].said));
                }
                cJSON_Delete(json);
        }
}

static int count_lines(void *arg, const cJSON *line)
{
        int *count = arg;

        (*count)++;
        return cJSON_IsTrue(view_find(line, "stop")) ? -ECANCELED : 0;
}

static void streams_end_for_a_reason(void **state)
{
        static const struct {
                const char *answer;
                int result, lines;
                bool is_abandoned;
                const char *said;
        } CASES[] = {
                { HEAD("200 OK") "\r\n{}\n{}\n", 0, 2, false, "" },
                { HEAD("200 OK") "\r\n{}\n{", -EPROTO, 1, false, "middle of a line" },
                { HEAD("200 OK") "\r\n{}\nnonsense\n{}\n", -EPROTO, 1, false, "not a line of JSON" },
                { HEAD("200 OK") "\r\n{}\n{\"stop\":true}\n{}\n", -ECANCELED, 2, true, "" },
                { ANSWER("503 No", 46, "{\"error\":{\"code\":\"pool_full\",\"message\":\"f\"}}   "), -EREMOTEIO, 0,
                  false, "f" },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                const char *const answers[] = { CASES[i].answer, NULL };
                struct api_client *client = NULL;
                struct api_error error;
                struct server server;
                int count = 0;
                const struct api_stream_request request = {
                        .method = "GET", .path = "/e", .interrupt_fd = -1, .on_line = count_lines, .arg = &count
                };

                server_start(&server, answers, false);
                assert_int_equal(api_client_new(&client, server.path, 10.0), 0);
                assert_int_equal(api_stream(client, &request, &error), CASES[i].result);
                assert_int_equal(count, CASES[i].lines);
                assert_int_equal(error.is_abandoned, CASES[i].is_abandoned);
                assert_non_null(strstr(error.message, CASES[i].said));
                api_client_free(client);
                server_stop(&server);
                assert_non_null(strstr(server.asked, "application/x-ndjson"));
                server_end(&server);
        }
}

static void no_socket_names_the_mend(void **state)
{
        static const struct {
                const char *path, *said;
        } CASES[] = {
                { "/nonexistent/carrel.sock", "start it (systemctl start carreld, or ./dev up)" },
                { "/dev/null", "/dev/null is not a socket" },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct api_client *client = NULL;
                struct api_error error;
                cJSON *json = NULL;

                assert_int_equal(api_client_new(&client, CASES[i].path, 10.0), 0);
                assert_int_equal(api_call(client, "GET", "/", NULL, &json, &error), -ECONNREFUSED);
                assert_int_equal(error.status, STATUS_UNREACHABLE);
                assert_non_null(strstr(error.message, CASES[i].said));
                assert_non_null(strstr(error.message, CASES[i].path));
                api_client_free(client);
        }
}

static void fields_are_formatted(void **state)
{
        static const struct {
                const char *path;
                enum field_kind kind;
                const char *text;
        } CASES[] = {
                { "text", FIELD_TEXT, "hello" },
                { "missing", FIELD_TEXT, "-" },
                { "a.b", FIELD_TEXT, "7" },
                { "a.c", FIELD_TEXT, "-" },
                { "text.x", FIELD_TEXT, "-" },
                { "yes", FIELD_TEXT, "yes" },
                { "no", FIELD_TEXT, "no" },
                { "null", FIELD_TEXT, "-" },
                { "a", FIELD_TEXT, "{\"b\":7}" },
                { "seconds", FIELD_SECONDS, "1m30s" },
                { "day", FIELD_SECONDS, "1d01h" },
                { "hour", FIELD_SECONDS, "1h02m" },
                { "seconds", FIELD_MICROSECONDS, "0.000s" },
                { "a.b", FIELD_SECONDS, "7s" },
                { "size", FIELD_BYTES, "512m" },
                { "odd", FIELD_BYTES, "1k" },
                { "minus", FIELD_SECONDS, "0s" },
        };
        cJSON *object = cJSON_Parse("{\"text\":\"hello\",\"a\":{\"b\":7},\"yes\":true,\"no\":false,\"null\":null,"
                                    "\"seconds\":90.9,\"day\":90000,\"hour\":3725,\"size\":536870912,\"odd\":1025,"
                                    "\"minus\":-3}");

        assert_non_null(object);
        for (size_t i = 0; i < COUNT(CASES); i++) {
                const struct field field = { "T", CASES[i].path, CASES[i].kind };
                char *text = view_format(&field, object);

                assert_string_equal(text, CASES[i].text);
                cJSON_free(text);
        }
        cJSON_Delete(object);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(paths_are_encoded),        cmocka_unit_test(queries_are_joined),
                cmocka_unit_test(errors_are_read),          cmocka_unit_test(calls_tell_their_failures),
                cmocka_unit_test(streams_end_for_a_reason), cmocka_unit_test(no_socket_names_the_mend),
                cmocka_unit_test(fields_are_formatted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
