/* The server over a real unix socket: what is asked, what is answered, and what a bad client gets. */
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "rig.h"

static const char *const USERS[] = { "ada", "bob", "quinn", NULL };

static void assert_answer(struct response *response, int status, const char *part)
{
        if (response->status != status || (status != 0 && strstr(response->body, part) == NULL))
                fail_msg("expected %d with %s, got %d: %s", status, part, response->status,
                         response->body == NULL ? "(nothing)" : response->body);
        response_free(response);
}

/* ---- every route ---- */

static const struct {
        const char *line;
        const char *body;
        int status;
        const char *part;
} ANSWERS[] = {
        { "GET /healthz", NULL, 200, "{\"status\":\"ok\"}" },
        { "HEAD /healthz", NULL, 200, "" },
        { "HEAD /v1/events", NULL, 200, "" },
        { "HEAD /v1/carrels/zoe", NULL, 404, "" },
        { "GET /readyz", NULL, 503, "\"missing\":[\"engine\",\"policy\",\"reconciled\"]" },
        { "GET /metrics", NULL, 200, "carrel_engine_up 0" },
        { "GET /metrics", NULL, 200, "\ncarrel_exec_records 0\n" },
        { "GET /metrics", NULL, 200, "\ncarrel_exec_records_max 64\n" },
        { "GET /metrics", NULL, 200, "\ncarrel_spool_bytes 0\n" },
        { "GET /metrics", NULL, 200, "\ncarrel_disk_free_bytes{setting=\"users_dir\"} 4096\n" },
        { "GET /metrics", NULL, 200, "\ncarrel_disk_free_inodes{setting=\"users_dir\"} 7\n" },
        { "GET /metrics", NULL, 200, "\ncarrel_disk_age_seconds{setting=\"users_dir\"} 2.5\n" },
        { "GET /v1/info", NULL, 200,
          "\"disks\":[{\"setting\":\"users_dir\",\"size_bytes\":8192,\"free_bytes\":4096,\"inodes\":9,\"free_inodes\":"
          "7,"
          "\"age_s\":2.5}]" },
        { "GET /v1/info", NULL, 200, "\"runtime_dir\":{\"file_system\":\"ext4\",\"is_in_memory\":false}" },
        { "PUT /v1/carrels/ada", NULL, 200, "\"outcome\":\"created\"" },
        { "PUT /v1/carrels/ada", "{}", 200, "\"limits\":{\"memory\":2147483648,\"cpus\":1.5,\"pids\":256}" },
        { "PUT /v1/carrels/%61da", NULL, 200, "\"user\":\"ada\"" },
        { "PUT /v1/carrels/ada", "{\"policy\":\"none\"}", 200, "\"started_at\":\"2026-01-31T12:00:00.000Z\"" },
        { "GET /v1/carrels/ada", NULL, 200, "\"idle_s\":1.25" },
        { "GET /v1/carrels/zoe", NULL, 404, "\"code\":\"not_found\"" },
        { "GET /v1/carrels/ada/why", NULL, 200, "\"reaper\":\"keeps ada\"" },
        { "GET /v1/carrels/zoe/why", NULL, 200,
          "\"reason\":\"has no carrel: the last ensure failed: no \\\"image\\\"\"" },
        { "GET /v1/carrels/mia/why", NULL, 404, "\"code\":\"not_found\"" },
        { "GET /v1/carrels", NULL, 200, "\"next\":null}" },
        { "GET /v1/carrels?limit=1", NULL, 200, "\"next\":\"ada\"}" },
        { "GET /v1/carrels?limit=1&after=ada", NULL, 200, "{\"carrels\":[{\"user\":\"bob\"" },
        { "GET /v1/carrels?limit=3", NULL, 200, "\"next\":null}" },
        { "GET /v1/carrels?state=queued", NULL, 200, "{\"carrels\":[{\"user\":\"quinn\"" },
        { "GET /v1/carrels?state=lost", NULL, 200, "{\"carrels\":[],\"next\":null}" },
        { "GET /v1/carrels?limit=0", NULL, 400, "limit is a whole number" },
        { "GET /v1/carrels?limit=1&limit=2", NULL, 400, "limit twice" },
        { "GET /v1/carrels?colour=red", NULL, 400, "request_invalid" },
        { "GET /v1/carrels/ada?state=ready", NULL, 400, "takes no query" },
        { "POST /v1/carrels/ada/touch", "{\"lease_s\":60}", 200, "\"user\":\"ada\"" },
        { "POST /v1/carrels/ada/touch", "{\"lease_s\":86401}", 400, "lease_s must be" },
        { "POST /v1/carrels/ada/freeze", NULL, 200, "\"user\":\"ada\"" },
        { "POST /v1/carrels/quinn/freeze", NULL, 409, "\"code\":\"carrel_busy\"" },
        { "POST /v1/carrels/ada/freeze", "{}", 400, "takes no body" },
        { "POST /v1/carrels/ada/thaw", NULL, 200, "\"user\":\"ada\"" },
        { "DELETE /v1/carrels/ada", NULL, 200, "{\"user\":\"ada\",\"outcome\":\"removed\"}" },
        { "DELETE /v1/carrels/ada", "{}", 400, "takes no body" },
        { "GET /v1/execs", NULL, 200, "{\"execs\":[{\"exec_id\":\"e1\",\"user\":\"ada\",\"container_id\":\"c1\"" },
        { "GET /v1/execs?user=bob", NULL, 200, "{\"execs\":[{\"exec_id\":\"e2\",\"user\":\"bob\"" },
        { "POST /v1/execs/e1/signal", "{\"signal\":\"SIGTERM\"}", 200, "{\"exec_id\":\"e1\",\"signal\":15}" },
        { "POST /v1/execs/e1/signal", "{\"signal\":\"NONE\"}", 400, "signal must be" },
        { "POST /v1/reap", "{\"idle_s\":30}", 200, "{\"retiring\":4}" },
        { "GET /v1/info", NULL, 200, "\"settings\":{\"idle_ttl_s\":300},\"sections\":{\"profile\":{}}" },
        { "PUT /v1/carrels/..", NULL, 400, "user_id_invalid" },
        { "PUT /v1/carrels/a%2Fb", NULL, 400, "user_id_invalid" },
        { "PUT /v1/carrels/a%00", NULL, 400, "user_id_invalid" },
        { "PUT /v1/carrels/a%zz", NULL, 400, "user_id_invalid" },
        { "PUT /v1/carrels/", NULL, 400, "user_id_invalid" },
        { "PUT /v1/carrels/a/b/c", NULL, 404, "not_found" },
        { "GET /v1/carrels/", NULL, 400, "user_id_invalid" },
        { "GET /v2", NULL, 404, "not_found" },
        { "BREW /v1/carrels", NULL, 405, "method_not_allowed" },
        { "POST /v1/carrels/ada", NULL, 405, "this path takes PUT, GET, HEAD, DELETE" },
        { "PUT /v1/carrels/ada", "{", 400, "request_invalid" },
        { "PUT /v1/carrels/ada", "[]", 400, "must be a JSON object" },
        { "PUT /v1/carrels/ada", "{\"colour\":1}", 400, "unknown field" },
        { "PUT /v1/carrels/ada", "{\"image\":\"a\",\"image\":\"b\"}", 400, "image twice" },
        { "PUT /v1/carrels/ada", "{\"im\\u0000age\":1}", 400, "NUL" },
};

static void test_answers(void **state)
{
        struct rig *rig = rig_new(NULL);

        (void)state;
        rig->pool.users = USERS;
        rig->execs.running = 2;
        for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++) {
                struct response response = rig_ask(rig, ANSWERS[i].line, ANSWERS[i].body);

                if (response.status != ANSWERS[i].status)
                        print_error("%s\n", ANSWERS[i].line);
                assert_answer(&response, ANSWERS[i].status, ANSWERS[i].part);
        }
        assert_int_equal(rig->pool.lease_s, 60);
        assert_int_equal(rig->execs.signal, 15);
        assert_true(rig->reaper.idle_s == 30);
        rig_free(rig);
}

static void test_ready_when_nothing_is_missing(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct response response;

        (void)state;
        rig->state.is_engine_available = rig->state.is_policy_in_force = 1;
        rig->pool.stats.has_reconciled = true;
        response = rig_ask(rig, "GET /readyz", NULL);
        assert_answer(&response, 200, "{\"status\":\"ready\"}");
        rig->state.is_policy_in_force = 0;
        response = rig_ask(rig, "GET /readyz", NULL);
        assert_non_null(strstr(response.head, "\r\nRetry-After: 1\r\n"));
        assert_answer(&response, 503, "{\"error\":{\"code\":\"policy_not_in_force\"");
        rig_free(rig);
}

static void test_errors_carry_their_headers(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct response response;

        (void)state;
        response = rig_ask(rig, "POST /v1/info", NULL);
        assert_non_null(strstr(response.head, "\r\nAllow: GET, HEAD\r\n"));
        response_free(&response);
        (void)fault_set(&rig->pool.fault, FAULT_QUEUE_FULL, 0, "too many \"starts\" wait\x1b[31m");
        rig->pool.fault.retry_after_s = 7;
        response = rig_ask(rig, "PUT /v1/carrels/ada", NULL);
        assert_non_null(strstr(response.head, "\r\nRetry-After: 7\r\n"));
        assert_answer(&response, 429,
                      "{\"error\":{\"code\":\"queue_full\",\"message\":\"too many \\\"starts\\\" wait\\u001b[31m\","
                      "\"retryable\":true}}");
        response = rig_ask(rig, "GET /metrics", NULL);
        assert_answer(&response, 200, "carrel_ensure_failures_total{code=\"queue_full\"} 1");
        rig_free(rig);
}

static void test_spec_reaches_the_pool(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct response response =
                rig_ask(rig, "PUT /v1/carrels/ada",
                        "{\"image\":\"other:1\",\"policy\":\"none\",\"on_conflict\":\"fail\","
                        "\"limits\":{\"memory\":\"512m\",\"cpus\":0.5,\"pids\":32},\"profile\":\"small\"}");

        (void)state;
        assert_answer(&response, 200, "{\"user\":\"ada\"");
        assert_string_equal(rig->pool.spec.image, "other:1");
        assert_string_equal(rig->pool.spec.profile, "small");
        assert_int_equal(rig->pool.spec.policy, POLICY_NONE);
        assert_int_equal(rig->pool.spec.memory_bytes, 512 << 20);
        assert_int_equal(rig->pool.spec.cpu_millis, 500);
        assert_int_equal(rig->pool.spec.pids, 32);
        assert_int_equal(rig->pool.on_conflict, CONFLICT_FAIL);
        rig_free(rig);
}

/* ---- waiting ---- */

static bool someone_waits(void *arg)
{
        return double_waiting(arg) > 0;
}

static bool nobody_waits(void *arg)
{
        return double_waiting(arg) == 0;
}

static bool two_wait(void *arg)
{
        return double_waiting(arg) == 2;
}

static void test_answer_that_comes_later(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *first = rig_connect(rig), *second = rig_connect(rig);
        struct response response;

        (void)state;
        rig->pool.answer = ANSWER_LATER;
        client_say(first, "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\n\r\n");
        client_say(second, "DELETE /v1/carrels/bob HTTP/1.1\r\nHost: c\r\n\r\n");
        rig_until(rig, two_wait, &rig->pool);
        double_answer_all(&rig->pool);
        response = client_response(first, false);
        assert_answer(&response, 200, "\"user\":\"ada\"");
        response = client_response(second, false);
        assert_answer(&response, 200, "\"removed\"");
        rig_free(rig);
}

static void test_client_that_leaves_while_waiting(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *stays = rig_connect(rig), *leaves = rig_connect(rig);
        struct response response;

        (void)state;
        rig->pool.answer = ANSWER_LATER;
        client_say(stays, "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\n\r\n");
        client_say(leaves, "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\n\r\n");
        rig_until(rig, two_wait, &rig->pool);
        client_close(leaves);
        while (double_waiting(&rig->pool) == 2)
                ev_run(rig->loop, EVRUN_ONCE);
        assert_int_equal(double_waiting(&rig->pool), 1);
        double_answer_all(&rig->pool);
        response = client_response(stays, false);
        assert_answer(&response, 200, "\"user\":\"ada\"");
        rig_free(rig);
}

static void test_client_that_finished_sending_still_gets_its_answer(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = rig_connect(rig);
        struct response response;

        (void)state;
        rig->pool.answer = ANSWER_LATER;
        client_say(client, "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\n\r\n");
        rig_until(rig, someone_waits, &rig->pool);
        assert_int_equal(shutdown(client->fd, SHUT_WR), 0);
        for (int i = 0; i < 10; i++)
                rig_turn(rig);
        assert_int_equal(double_waiting(&rig->pool), 1);
        double_answer_all(&rig->pool);
        response = client_response(client, false);
        assert_answer(&response, 200, "\"user\":\"ada\"");
        client_await_close(client);
        rig_free(rig);
}

/* A client that goes after it had sent more than its request. */
static void test_client_that_pipelines_and_leaves(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = rig_connect(rig);

        (void)state;
        rig->pool.answer = ANSWER_LATER;
        client_say(client, "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\n\r\nGET /healthz HTTP/1.1\r\nHost: c\r\n\r\n");
        rig_until(rig, someone_waits, &rig->pool);
        client_close(client);
        rig_until(rig, nobody_waits, &rig->pool);
        rig_free(rig);
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = rig_connect(rig);
        struct response response;

        (void)state;
        client_say(client, "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length: 2\r\n\r\n{}"
                           "GET /healthz HTTP/1.1\r\nHost: c\r\n\r\n"
                           "GET /v2 HTTP/1.1\r\nHost: c\r\n\r\n");
        response = client_response(client, false);
        assert_answer(&response, 200, "\"user\":\"ada\"");
        response = client_response(client, false);
        assert_answer(&response, 200, "ok");
        response = client_response(client, false);
        assert_answer(&response, 404, "not_found");
        assert_false(client->is_closed);
        rig_free(rig);
}

static void test_stop_answers_those_who_wait(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = rig_connect(rig), *silent = rig_connect(rig);
        struct response response;

        (void)state;
        rig->pool.answer = ANSWER_LATER;
        client_say(silent, "PUT /v1/carrels/a");
        client_say(client, "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\n\r\n");
        rig_until(rig, someone_waits, &rig->pool);
        rig->server = api_free(rig->server);
        assert_int_equal(double_waiting(&rig->pool), 0);
        response = client_response(client, false);
        assert_non_null(strstr(response.head, "\r\nRetry-After: "));
        assert_answer(&response, 503, "\"code\":\"cancelled\"");
        client_await_close(silent);
        rig_free(rig);
}

static void test_sweep(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = rig_connect(rig);
        struct sweep_report report = { .kept = 12, .removed = 1 };
        struct response response;

        (void)state;
        client_say(client, "POST /v1/sweep HTTP/1.1\r\nHost: c\r\n\r\n");
        while (rig->reaper.on_swept == NULL)
                ev_run(rig->loop, EVRUN_ONCE);
        rig->reaper.on_swept(rig->reaper.arg, &report, NULL);
        response = client_response(client, false);
        assert_answer(&response, 200, "{\"kept\":12,\"adopted\":0,\"removed\":1,\"lost\":0,\"failed\":0}");
        assert_int_equal(rig->reaper.forgets, 0);
        rig->reaper.on_swept = NULL;
        client_say(client, "POST /v1/sweep HTTP/1.1\r\nHost: c\r\n\r\n");
        while (rig->reaper.on_swept == NULL)
                ev_run(rig->loop, EVRUN_ONCE);
        client_close(client);
        while (rig->reaper.forgets == 0)
                ev_run(rig->loop, EVRUN_ONCE);
        rig->reaper.sweep_result = -16; /* EBUSY */
        response = rig_ask(rig, "POST /v1/sweep", NULL);
        assert_answer(&response, 429, "queue_full");
        rig_free(rig);
}

/* ---- long lists ---- */

enum { MANY = 10000, PAGE = 1000 };

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool has_begun(void *arg)
{
        return ((struct client *)arg)->received.length > 0;
}

/* Each item once and in order, and who asks for something else meanwhile is answered meanwhile. */
static void test_long_list(void **state)
{
        static char names[MANY][8];
        static const char *users[MANY + 1];
        struct rig *rig = rig_new(NULL);
        struct client *client = rig_connect(rig), *other = rig_connect(rig);
        char after[8] = "";
        unsigned n = 0;

        (void)state;
        for (unsigned i = 0; i < MANY; i++) {
                (void)snprintf(names[i], sizeof names[i], "%c%05u", i % 2 == 0 ? 'u' : 'q', i);
                users[i] = names[i];
        }
        qsort(users, MANY, sizeof *users, compare_names);
        rig->pool.users = users;
        while (n < MANY) {
                struct response response;
                const cJSON *carrel;
                cJSON *answer;

                client_say(client, n == 0 ? "GET /v1/carrels?limit=1000" : "GET /v1/carrels?limit=1000&after=");
                client_say(client, after);
                client_say(client, " HTTP/1.1\r\nHost: c\r\n\r\n");
                rig_until(rig, has_begun, client);
                assert_null(strstr(client->received.data, "\"next\""));
                client_say(other, "GET /healthz HTTP/1.1\r\nHost: c\r\n\r\n");
                response = client_response(other, false);
                assert_null(strstr(client->received.data, "\"next\""));
                assert_answer(&response, 200, "ok");
                response = client_response(client, false);
                answer = cJSON_Parse(response.body);
                assert_non_null(answer);
                cJSON_ArrayForEach(carrel, cJSON_GetObjectItem(answer, "carrels"))
                        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(carrel, "user")), users[n++]);
                assert_true(n > 0 && n % PAGE == 0);
                if (n < MANY)
                        (void)snprintf(after, sizeof after, "%s",
                                       cJSON_GetStringValue(cJSON_GetObjectItem(answer, "next")));
                else
                        assert_true(cJSON_IsNull(cJSON_GetObjectItem(answer, "next")));
                cJSON_Delete(answer);
                response_free(&response);
        }
        rig_free(rig);
}

/* Those in another state come first, and fill whole pieces. */
static void test_few_of_many_carrels(void **state)
{
        static char names[MANY][8];
        static const char *users[MANY + 1];
        struct rig *rig = rig_new(NULL);
        struct response response;

        (void)state;
        for (unsigned i = 0; i < MANY; i++) {
                (void)snprintf(names[i], sizeof names[i], "%c%05u", i < MANY - 1 ? 'q' : 'u', i);
                users[i] = names[i];
        }
        rig->pool.users = users;
        response = rig_ask(rig, "GET /v1/carrels?state=ready", NULL);
        assert_int_equal(response.status, 200);
        assert_non_null(strstr(response.body, "{\"user\":\"u"));
        assert_null(strstr(response.body, "{\"user\":\"q"));
        response_free(&response);
        rig_free(rig);
}

static void test_long_list_of_execs(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct response response;
        cJSON *answer;

        (void)state;
        rig->execs.running = MANY;
        response = rig_ask(rig, "GET /v1/execs", NULL);
        answer = cJSON_Parse(response.body);
        assert_non_null(answer);
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "execs")), MANY);
        assert_true(cJSON_IsFalse(cJSON_GetObjectItem(answer, "truncated")));
        cJSON_Delete(answer);
        response_free(&response);
        rig_free(rig);
}

/* ---- bad clients ---- */

/* Raw requests, after whose answer the connection must be closed. */
static const struct {
        const char *name;
        const char *request;
        int status;
        const char *part;
} REFUSED[] = {
        { "both lengths",
          "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
          "2\r\n{}\r\n0\r\n\r\n",
          400, "request_invalid" },
        { "two lengths", "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\n{}",
          400, "request_invalid" },
        { "a length list", "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length: 2, 2\r\n\r\n{}", 400, "" },
        { "a negative length", "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length: -2\r\n\r\n{}", 400, "" },
        { "a space after a length's name",
          "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length : 30\r\n\r\nGET /healthz HTTP/1.1\r\nHost: c\r\n",
          400, "request_invalid" },
        { "a tab after a coding's name",
          "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length: 2\r\nTransfer-Encoding\t: chunked\r\n\r\n{}", 400,
          "request_invalid" },
        { "another coding", "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: gzip\r\n\r\n{}", 400,
          "chunked" },
        { "two codings",
          "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n",
          400, "request_invalid" },
        { "a bad chunk", "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n",
          400, "" },
        { "no HTTP", "hello\r\n\r\n", 0, "" },
        { "no host", "GET /healthz HTTP/1.1\r\n\r\n", 400, "" },
        { "bad JSON", "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length: 3\r\n\r\n{]}", 400,
          "request_invalid" },
        { "a huge length",
          "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length: 99999999999999999999999\r\n\r\n{}", 413, "" },
        { "a large length with a question",
          "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length: 1048577\r\nExpect: 100-continue\r\n\r\n", 413,
          "request_too_large" },
        { "a length over the drain", "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length: 8388609\r\n\r\n", 413,
          "request_too_large" },
};

static void test_refused(void **state)
{
        struct rig *rig = rig_new(NULL);

        (void)state;
        for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
                struct client *client = rig_connect(rig);
                struct response response;

                client_say(client, REFUSED[i].request);
                response = client_response(client, false);
                if (response.status != REFUSED[i].status)
                        print_error("%s\n", REFUSED[i].name);
                assert_answer(&response, REFUSED[i].status, REFUSED[i].part);
                client_await_close(client);
                client_close(client);
        }
        assert_int_equal(rig->pool.ensures, 0);
        rig_free(rig);
}

#define BYTES(text) text, sizeof text - 1

/* Requests that libmicrohttpd accepts, and parses differently from another reader of the same bytes. */
static const struct {
        const char *name, *bytes;
        size_t length;
} TORN[] = {
        { "a NUL in the target", BYTES("DELETE /v1/carrels/ada\0b HTTP/1.1\r\nHost: c\r\n\r\n") },
        { "a NUL in front of the query", BYTES("GET /v1/carrels\0?limit=1 HTTP/1.1\r\nHost: c\r\n\r\n") },
        { "a NUL in the query", BYTES("GET /v1/carrels?limit=1\0&state=x HTTP/1.1\r\nHost: c\r\n\r\n") },
        { "a NUL in the method", BYTES("GET\0T /v1/carrels HTTP/1.1\r\nHost: c\r\n\r\n") },
        { "a NUL in a header's name", BYTES("GET /healthz HTTP/1.1\r\nHost: c\r\nX\0: y\r\n\r\n") },
        { "a NUL in a header", BYTES("GET /healthz HTTP/1.1\r\nHost: c\r\nX: y\0z\r\n\r\n") },
        { "a NUL in the first header", BYTES("GET /healthz HTTP/1.1\r\nHost: c\0d\r\n\r\n") },
        { "a control character in the target", BYTES("GET /healthz\t HTTP/1.1\r\nHost: c\r\n\r\n") },
        { "a control character in a header", BYTES("GET /healthz HTTP/1.1\r\nHost: c\r\nX: \x1b[31m\r\n\r\n") },
        { "a bare CR in a header", BYTES("GET /healthz HTTP/1.1\r\nHost: c\r\nX: y\rZ: z\r\n\r\n") },
        { "bare LFs", BYTES("GET /healthz HTTP/1.1\nHost: c\n\n") },
        { "a bare LF after the request line", BYTES("GET /healthz HTTP/1.1\nHost: c\r\n\r\n") },
        { "a bare LF after a header", BYTES("GET /healthz HTTP/1.1\r\nHost: c\nX: y\r\n\r\n") },
        { "a bare LF after the last header", BYTES("GET /healthz HTTP/1.1\r\nHost: c\r\nX: y\n\r\n") },
        { "a bare LF at the end", BYTES("GET /healthz HTTP/1.1\r\nHost: c\r\n\n") },
        { "a continued header", BYTES("GET /healthz HTTP/1.1\r\nHost: c\r\nX: y\r\n z\r\n\r\n") },
        { "the last header continued", BYTES("GET /healthz HTTP/1.1\r\nX: y\r\nHost: c\r\n\td\r\n\r\n") },
        { "a length continued",
          BYTES("PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length:\r\n 2\r\nX: y\r\n\r\n{}") },
        { "two spaces", BYTES("GET  /healthz HTTP/1.1\r\nHost: c\r\n\r\n") },
};

static void test_torn_heads(void **state)
{
        struct rig *rig = rig_new(NULL);

        (void)state;
        for (size_t i = 0; i < sizeof TORN / sizeof *TORN; i++) {
                struct client *client = rig_connect(rig);
                struct response response;

                client_send(client, TORN[i].bytes, TORN[i].length);
                response = client_response(client, false);
                if (response.status != 400)
                        print_error("%s\n", TORN[i].name);
                assert_int_equal(response.status, 400);
                response_free(&response);
                client_await_close(client);
                client_close(client);
        }
        assert_int_equal(rig->pool.retires, 0);
        rig_free(rig);
}

/* Unusual but valid requests: the check above must not refuse everything. */
static void test_odd_heads(void **state)
{
        static const char *const HEADS[] = {
                "GET /healthz HTTP/1.1\r\nHost: c\r\n\r\n",
                "\r\nGET /healthz HTTP/1.1\r\nHost: c\r\n\r\n",
                "GET /healthz HTTP/1.1\r\nHost:c\r\nX:\r\nY: \t \r\nZ: \xc3\xa9 : ; \t=\r\n\r\n",
                "GET /healthz HTTP/1.1\r\nCookie: a=b; c=d\r\nHost: c\r\nAccept: */*\r\n\r\n",
                "GET /healthz HTTP/1.0\r\n\r\n",
        };
        struct rig *rig = rig_new(NULL);

        (void)state;
        for (size_t i = 0; i < sizeof HEADS / sizeof *HEADS; i++) {
                struct client *client = rig_connect(rig);
                struct response response;

                client_say(client, HEADS[i]);
                response = client_response(client, false);
                if (response.status != 200)
                        print_error("%s\n", HEADS[i]);
                assert_answer(&response, 200, "ok");
                client_close(client);
        }
        rig_free(rig);
}

/* In one turn, and not by a deadline: libmicrohttpd's memory holds some 600 parameters. */
static void test_many_parameters(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = rig_connect(rig);
        struct response response;

        (void)state;
        client_say(client, "GET /v1/carrels?");
        for (unsigned i = 0; i < 3000; i++)
                client_say(client, "a=1&");
        client_say(client, " HTTP/1.1\r\nHost: c\r\n\r\n");
        response = client_response(client, false);
        assert_answer(&response, 400, "unknown parameter");
        client_await_close(client);
        rig_free(rig);
}

static void send_filled(struct client *client, const char *head, char filling, size_t length, const char *end)
{
        char *filled = malloc(length);

        assert_non_null(filled);
        memset(filled, filling, length);
        client_say(client, head);
        client_send(client, filled, length);
        client_say(client, end);
        free(filled);
}

/* Bodies up to the bound are taken, larger ones read to their end and refused, so that a plain client reads its answer.
 */
static void test_body_bound(void **state)
{
        static const struct {
                const char *head;
                size_t length;
                int status;
        } CASES[] = {
                { "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length: 1048576\r\n\r\n", 1048576, 400 },
                { "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length: 1048577\r\n\r\n", 1048577, 413 },
                { "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length: 4000000\r\n\r\n", 4000000, 413 },
                { "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n", 1048577,
                  413 },
                { "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFF\r\n", 9000000,
                  413 },
        };
        struct rig *rig = rig_new(NULL);

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct client *client = rig_connect(rig);
                struct response response;

                send_filled(client, CASES[i].head, 'x', CASES[i].length,
                            strstr(CASES[i].head, "chunked") != NULL ? "\r\n0\r\n\r\n" : "");
                response = client_response(client, false);
                assert_answer(&response, CASES[i].status,
                              CASES[i].status == 413 ? "\"code\":\"request_too_large\"" : "request_invalid");
                client_await_close(client);
                client_close(client);
        }
        rig_free(rig);
}

static void test_header_bound(void **state)
{
        static const struct {
                const char *head;
                size_t length;
                int status;
                const char *part;
        } CASES[] = {
                { "GET /healthz HTTP/1.1\r\nHost: c\r\nX: ", 16000, 200, "ok" },
                { "GET /healthz HTTP/1.1\r\nHost: c\r\nX: ", 17000, 431, "\"code\":\"request_too_large\"" },
                { "GET /healthz HTTP/1.1\r\nHost: c\r\nX: ", 24000, 431, "\"code\":\"request_too_large\"" },
                { "GET /healthz HTTP/1.1\r\nHost: c\r\nX: ", 500000, 431, "" },
        };
        struct rig *rig = rig_new(NULL);

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct client *client = rig_connect(rig);
                struct response response;

                send_filled(client, CASES[i].head, 'x', CASES[i].length, "\r\n\r\n");
                response = client_response(client, false);
                assert_answer(&response, CASES[i].status, CASES[i].part);
                if (CASES[i].status != 200)
                        client_await_close(client);
                client_close(client);
        }
        rig_free(rig);
}

static void test_long_target(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = rig_connect(rig);
        struct response response;

        (void)state;
        send_filled(client, "PUT /v1/carrels/", 'x', 300, " HTTP/1.1\r\nHost: c\r\n\r\n");
        response = client_response(client, false);
        assert_answer(&response, 400, "user_id_invalid");
        client_close(client);
        client = rig_connect(rig);
        send_filled(client, "PUT /v1/carrels/", 'x', 17000, " HTTP/1.1\r\nHost: c\r\n\r\n");
        response = client_response(client, false);
        assert_answer(&response, 431, "request_too_large");
        rig_free(rig);
}

/* ---- slow clients ---- */

static const char *const SLOW[] = {
        "G",
        "GET /healthz HTTP/1.1\r\n",
        "GET /healthz HTTP/1.1\r\nHost: c\r\nX: y",
        "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length: 10\r\n\r\n",
        "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nContent-Length: 10\r\n\r\n{",
        "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
};

static void test_slow_request(void **state)
{
        struct api_options options = { .admin_gid = (gid_t)-1, .read_deadline_s = 0.05, .idle_deadline_s = 3600 };
        struct rig *rig = rig_new(&options);

        (void)state;
        for (size_t i = 0; i < sizeof SLOW / sizeof *SLOW; i++) {
                struct client *client = rig_connect(rig);
                struct response response;

                client_say(client, SLOW[i]);
                response = client_response(client, false);
                assert_answer(&response, 408, "\"code\":\"deadline_exceeded\"");
                client_await_close(client);
                client_close(client);
        }
        assert_int_equal(rig->pool.ensures, 0);
        rig_free(rig);
}

/* The beginning of the next request may come before the answer to this one. */
static void test_slow_request_that_began_early(void **state)
{
        struct api_options options = { .admin_gid = (gid_t)-1, .read_deadline_s = 0.05, .idle_deadline_s = 3600 };
        struct rig *rig = rig_new(&options);
        struct client *client = rig_connect(rig);
        struct response response;

        (void)state;
        rig->pool.answer = ANSWER_LATER;
        client_say(client, "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\n\r\n");
        rig_until(rig, someone_waits, &rig->pool);
        client_say(client, "GET /hea");
        for (int i = 0; i < 3; i++)
                rig_turn(rig);
        double_answer_all(&rig->pool);
        response = client_response(client, false);
        assert_answer(&response, 200, "\"user\":\"ada\"");
        response = client_response(client, false);
        assert_answer(&response, 408, "\"code\":\"deadline_exceeded\"");
        client_await_close(client);
        rig_free(rig);
}

struct trickle {
        struct client *client;
        ev_timer timer;
        size_t sent;
};

static void on_trickle(struct ev_loop *loop, ev_timer *timer, int revents)
{
        struct trickle *trickle = timer->data;

        (void)loop;
        (void)revents;
        client_say(trickle->client, "x");
        trickle->sent++;
}

/* The deadline is the request's, not the byte's; also for the second request of a connection, with its idle deadline
 * far away. */
static void test_trickling_request(void **state)
{
        struct api_options options = { .admin_gid = (gid_t)-1, .read_deadline_s = 0.1, .idle_deadline_s = 3600 };
        struct rig *rig = rig_new(&options);
        struct client *client = rig_connect(rig);
        struct trickle trickle = { .client = client };
        struct response response;

        (void)state;
        client_say(client, "GET /healthz HTTP/1.1\r\nHost: c\r\n\r\n");
        response = client_response(client, false);
        assert_answer(&response, 200, "ok");
        ev_timer_init(&trickle.timer, on_trickle, 0.005, 0.005);
        trickle.timer.data = &trickle;
        ev_timer_start(rig->loop, &trickle.timer);
        response = client_response(client, false);
        ev_timer_stop(rig->loop, &trickle.timer);
        assert_true(trickle.sent > 1);
        assert_answer(&response, 408, "deadline_exceeded");
        client_await_close(client);
        rig_free(rig);
}

static void test_idle_connection_is_closed_without_a_word(void **state)
{
        struct api_options options = { .admin_gid = (gid_t)-1, .idle_deadline_s = 0.05 };
        struct rig *rig = rig_new(&options);
        struct client *client = rig_connect(rig);

        (void)state;
        client_await_close(client);
        assert_int_equal(client->received.length, 0);
        rig_free(rig);
}

/* Both deadlines are for the client; while the pool works, none runs. */
static void test_waiting_has_no_deadline_here(void **state)
{
        struct api_options options = { .admin_gid = (gid_t)-1, .read_deadline_s = 0.02, .idle_deadline_s = 0.02 };
        struct rig *rig = rig_new(&options);
        struct client *client = rig_connect(rig), *idle = rig_connect(rig);
        struct response response;

        (void)state;
        rig->pool.answer = ANSWER_LATER;
        client_say(client, "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\n\r\n");
        rig_until(rig, someone_waits, &rig->pool);
        client_close(idle);
        for (int i = 0; i < 3; i++) {
                idle = rig_connect(rig);
                client_await_close(idle);
                client_close(idle);
        }
        assert_int_equal(double_waiting(&rig->pool), 1);
        double_answer_all(&rig->pool);
        response = client_response(client, false);
        assert_answer(&response, 200, "\"user\":\"ada\"");
        rig_free(rig);
}

/* ---- more connections than there may be ---- */

static void expect_ok(struct client *client)
{
        struct response response;

        client_say(client, "GET /healthz HTTP/1.1\r\nHost: c\r\n\r\n");
        response = client_response(client, false);
        assert_answer(&response, 200, "ok");
}

/* The longest idle connection is closed, and never a busy one. If all are busy, a new one gets an error, and its
 * request is not executed. */
static void test_more_connections_than_allowed(void **state)
{
        struct api_options options = { .admin_gid = (gid_t)-1, .max_connections = 2 };
        struct rig *rig = rig_new(&options);
        struct client *busy, *idle, *next, *last;
        struct response response;

        (void)state;
        busy = rig_connect(rig);
        expect_ok(busy);
        idle = rig_connect(rig);
        expect_ok(idle);
        rig->pool.answer = ANSWER_LATER;
        client_say(busy, "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\n\r\n");
        rig_until(rig, someone_waits, &rig->pool);
        next = rig_connect(rig);
        expect_ok(next);
        client_await_close(idle);
        client_say(next, "PUT /v1/carrels/bob HTTP/1.1\r\nHost: c\r\n\r\n");
        while (double_waiting(&rig->pool) < 2)
                ev_run(rig->loop, EVRUN_ONCE);
        last = rig_connect(rig);
        client_say(last, "PUT /v1/carrels/cid HTTP/1.1\r\nHost: c\r\n\r\n");
        response = client_response(last, false);
        assert_non_null(strstr(response.head, "\r\nRetry-After: "));
        assert_answer(&response, 503, "max_");
        client_await_close(last);
        assert_int_equal(rig->pool.ensures, 2);
        double_answer_all(&rig->pool);
        response = client_response(busy, false);
        assert_answer(&response, 200, "\"user\":\"ada\"");
        response = client_response(next, false);
        assert_answer(&response, 200, "\"user\":\"bob\"");
        rig_free(rig);
}

static struct client *connect_as(struct rig *rig, uid_t uid)
{
        struct client *client;

        assert_int_equal(seteuid(uid), 0);
        client = rig_connect(rig);
        assert_int_equal(seteuid(0), 0);
        return client;
}

static void make_busy(struct rig *rig, struct client *client)
{
        unsigned n = double_waiting(&rig->pool);

        client_say(client, "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\n\r\n");
        while (double_waiting(&rig->pool) == n)
                ev_run(rig->loop, EVRUN_ONCE);
}

/* One uid with all its connections busy is refused another, and nobody else is. */
static void test_connections_of_a_peer(void **state)
{
        struct api_options options = {
                .admin_gid = (gid_t)-1, .max_connections = 4, .max_peer_connections = 2, .least_user_requests = 2
        };
        struct rig *rig;
        struct client *client;
        struct response response;

        (void)state;
        if (geteuid() != 0) {
                print_message("needs root to connect as others\n");
                skip();
        }
        rig = rig_new(&options);
        rig->pool.answer = ANSWER_LATER;
        make_busy(rig, connect_as(rig, 65534));
        make_busy(rig, connect_as(rig, 65534));
        client = connect_as(rig, 65534);
        response = client_response(client, false);
        assert_answer(&response, 503, "max_peer_connections");
        client_await_close(client);
        client_close(client);
        expect_ok(connect_as(rig, 65533));
        rig_free(rig);
}

static void expect_refused(struct client *client, const char *line)
{
        struct response response;

        client_say(client, line);
        response = client_response(client, false);
        assert_answer(&response, 429, "2 requests of ada are open");
}

/* Long requests of one user leave connections to the others, and to the requests that end them. */
static void test_requests_of_a_user(void **state)
{
        struct api_options options = { .admin_gid = (gid_t)-1, .max_connections = 8 };
        struct rig *rig = rig_new(&options);
        struct client *busy[2], *another, *bob;
        struct response response;

        (void)state;
        rig->pool.answer = ANSWER_LATER;
        for (int round = 0; round < 2; round++) {
                for (int i = 0; i < 2; i++) {
                        if (round == 0)
                                busy[i] = rig_connect(rig);
                        make_busy(rig, busy[i]);
                }
                if (round == 0) {
                        another = rig_connect(rig);
                        bob = rig_connect(rig);
                }
                expect_refused(another, "PUT /v1/carrels/ada HTTP/1.1\r\nHost: c\r\n\r\n");
                expect_refused(another, "GET /v1/carrels/ada/files/a HTTP/1.1\r\nHost: c\r\n\r\n");
                client_say(another, "GET /v1/carrels/ada/why HTTP/1.1\r\nHost: c\r\n\r\n");
                response = client_response(another, false);
                assert_int_not_equal(response.status, 429);
                response_free(&response);
                client_say(bob, "PUT /v1/carrels/bob HTTP/1.1\r\nHost: c\r\n\r\n");
                while (double_waiting(&rig->pool) < 3)
                        ev_run(rig->loop, EVRUN_ONCE);
                double_answer_all(&rig->pool);
                response = client_response(bob, false);
                assert_answer(&response, 200, "");
                for (int i = 0; i < 2; i++) {
                        response = client_response(busy[i], false);
                        assert_answer(&response, 200, "");
                }
        }
        rig_free(rig);
}

/* ---- erasure ---- */

static void test_erasure(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = rig_connect(rig);
        struct response response;

        (void)state;
        client_say(client, "DELETE /v1/carrels/ada?files=1 HTTP/1.1\r\nHost: c\r\n\r\n");
        response = client_response(client, false);
        assert_answer(&response, 200, "");
        assert_string_equal(rig->userfiles.erased, "ada");
        assert_int_equal(rig->pool.retires, 0);
        client_say(client, "DELETE /v1/carrels/ada?files=0 HTTP/1.1\r\nHost: c\r\n\r\n");
        response = client_response(client, false);
        assert_answer(&response, 200, "");
        assert_int_equal(rig->pool.retires, 1);
        /* A client that leaves is not answered; the erasure is not its request's. */
        rig->pool.answer = ANSWER_LATER;
        client_say(client, "DELETE /v1/carrels/bob?files=1 HTTP/1.1\r\nHost: c\r\n\r\n");
        while (rig->userfiles.wait.on_erased == NULL)
                ev_run(rig->loop, EVRUN_ONCE);
        client_close(client);
        while (rig->userfiles.wait.on_erased != NULL)
                ev_run(rig->loop, EVRUN_ONCE);
        assert_string_equal(rig->userfiles.erased, "bob");
        rig_free(rig);
}

/* ---- snapshots ---- */

static void test_snapshots(void **state)
{
        static const struct {
                const char *request;
                int status;
                const char *copied; /* what, user and name; NULL: nothing is copied */
        } ROWS[] = {
                { "POST /v1/carrels/ada/snapshots HTTP/1.1\r\nContent-Length: 12\r\n\r\n{\"name\":\"x\"}", 200,
                  "0 ada x" },
                { "POST /v1/carrels/ada/snapshots HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 400, NULL },
                { "POST /v1/carrels/ada/fork HTTP/1.1\r\nContent-Length: 12\r\n\r\n{\"to\":\"bob\"}", 200,
                  "2 ada bob" },
                { "POST /v1/carrels/ada/fork HTTP/1.1\r\nContent-Length: 8\r\n\r\n{\"to\":1}", 400, NULL },
                { "POST /v1/carrels/ada/snapshots/x/restore HTTP/1.1\r\n\r\n", 200, "1 ada x" },
                { "POST /v1/carrels/ada/snapshots/restore HTTP/1.1\r\n\r\n", 404, NULL },
                { "POST /v1/carrels/ada/snapshots/a/b/restore HTTP/1.1\r\n\r\n", 404, NULL },
                { "POST /v1/carrels/ada/snapshots/../restore HTTP/1.1\r\n\r\n", 400, NULL },
                { "GET /v1/carrels/ada/snapshots HTTP/1.1\r\n\r\n", 200, NULL },
                { "GET /v1/carrels/ada/snapshots/before HTTP/1.1\r\n\r\n", 200, NULL },
                { "GET /v1/carrels/ada/snapshots/other HTTP/1.1\r\n\r\n", 404, NULL },
                { "GET /v1/carrels/ada/snapshots/%2e%2e HTTP/1.1\r\n\r\n", 400, NULL },
                { "DELETE /v1/carrels/ada/snapshots/before HTTP/1.1\r\n\r\n", 200, NULL },
        };
        struct rig *rig = rig_new(NULL);

        (void)state;
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                struct client *client = rig_connect(rig);
                const char *line = strchr(ROWS[i].request, '\n') + 1;
                struct response response;
                char request[512];

                rig->userfiles.copied[0] = '\0';
                (void)snprintf(request, sizeof request, "%.*sHost: c\r\n%s", (int)(line - ROWS[i].request),
                               ROWS[i].request, line);
                client_say(client, request);
                response = client_response(client, false);
                if (response.status != ROWS[i].status)
                        print_error("%s: %d\n", ROWS[i].request, response.status);
                assert_int_equal(response.status, ROWS[i].status);
                assert_string_equal(rig->userfiles.copied, ROWS[i].copied != NULL ? ROWS[i].copied : "");
                response_free(&response);
                client_close(client);
        }
        rig_free(rig);
}

/* ---- roles ---- */

/* Asks for a reap with the credentials given; the socket keeps those of connect(2). */
static int status_as(struct rig *rig, uid_t uid, gid_t gid, gid_t supplementary)
{
        struct client *client;
        struct response response;
        int status;

        assert_int_equal(setgroups(supplementary == (gid_t)-1 ? 0 : 1, &supplementary), 0);
        assert_int_equal(setegid(gid), 0);
        assert_int_equal(seteuid(uid), 0);
        client = rig_connect(rig);
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(setegid(0), 0);
        assert_int_equal(setgroups(0, NULL), 0);
        client_say(client, "POST /v1/reap HTTP/1.1\r\nHost: c\r\n\r\n");
        response = client_response(client, false);
        status = response.status;
        response_free(&response);
        client_close(client);
        return status;
}

static void test_roles(void **state)
{
        struct api_options options = { .admin_gid = 4242 };
        struct rig *rig;

        (void)state;
        if (geteuid() != 0) {
                print_message("needs root to connect as others\n");
                skip();
        }
        rig = rig_new(&options);
        assert_int_equal(status_as(rig, 0, 0, (gid_t)-1), 200);
        assert_int_equal(status_as(rig, 65534, 65534, (gid_t)-1), 403);
        assert_int_equal(status_as(rig, 65534, 65534, 4243), 403);
        assert_int_equal(status_as(rig, 65534, 4242, (gid_t)-1), 200);
        assert_int_equal(status_as(rig, 65534, 65534, 4242), 200);
        assert_int_equal(rig->reaper.reaps, 3);
        rig_free(rig);
}

static void test_no_admin_group(void **state)
{
        struct rig *rig;

        (void)state;
        if (geteuid() != 0)
                skip();
        rig = rig_new(NULL);
        assert_int_equal(status_as(rig, 65534, 65534, 65534), 403);
        rig_free(rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_answers),
                cmocka_unit_test(test_ready_when_nothing_is_missing),
                cmocka_unit_test(test_errors_carry_their_headers),
                cmocka_unit_test(test_spec_reaches_the_pool),
                cmocka_unit_test(test_answer_that_comes_later),
                cmocka_unit_test(test_client_that_leaves_while_waiting),
                cmocka_unit_test(test_client_that_finished_sending_still_gets_its_answer),
                cmocka_unit_test(test_client_that_pipelines_and_leaves),
                cmocka_unit_test(test_pipelined_requests_are_answered_in_order),
                cmocka_unit_test(test_stop_answers_those_who_wait),
                cmocka_unit_test(test_sweep),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_long_list),
                cmocka_unit_test(test_few_of_many_carrels),
                cmocka_unit_test(test_long_list_of_execs),
                cmocka_unit_test(test_torn_heads),
                cmocka_unit_test(test_odd_heads),
                cmocka_unit_test(test_many_parameters),
                cmocka_unit_test(test_body_bound),
                cmocka_unit_test(test_header_bound),
                cmocka_unit_test(test_long_target),
                cmocka_unit_test(test_slow_request),
                cmocka_unit_test(test_slow_request_that_began_early),
                cmocka_unit_test(test_trickling_request),
                cmocka_unit_test(test_idle_connection_is_closed_without_a_word),
                cmocka_unit_test(test_waiting_has_no_deadline_here),
                cmocka_unit_test(test_more_connections_than_allowed),
                cmocka_unit_test(test_connections_of_a_peer),
                cmocka_unit_test(test_requests_of_a_user),
                cmocka_unit_test(test_erasure),
                cmocka_unit_test(test_snapshots),
                cmocka_unit_test(test_roles),
                cmocka_unit_test(test_no_admin_group),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
