/* Programs and events over a real unix socket: buffered and streamed answers, backpressure, and clients that leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "api.h"
#include "base64.h"
#include "httpd-inside.h"
#include "rig.h"
#include "utf8.h"

#define EXEC_BODY "{\"argv\":[\"sh\",\"-c\",\"true\"]}"
#define EXEC_HEAD "POST /v1/carrels/ada/exec HTTP/1.1\r\nHost: c\r\nContent-Length: 27\r\n"

static bool has_exec(void *arg)
{
        return ((struct pool *)arg)->exec.is_running;
}

static bool has_no_exec(void *arg)
{
        return !has_exec(arg);
}

static bool is_paused(void *arg)
{
        return ((struct pool *)arg)->exec.is_paused;
}

static bool is_going_on(void *arg)
{
        return !is_paused(arg);
}

static struct client *start_exec(struct rig *rig, const char *headers)
{
        struct client *client = rig_connect(rig);

        client_say(client, EXEC_HEAD);
        client_say(client, headers);
        client_say(client, "\r\n" EXEC_BODY);
        rig_until(rig, has_exec, &rig->pool);
        return client;
}

static void end_exec(struct pool *pool, const struct exec_result *result, const struct fault *why)
{
        pool->exec.is_running = false;
        pool->exec.sink.on_done(pool->exec.arg, result, why);
}

static void emit(struct pool *pool, int stream, const char *bytes, size_t length)
{
        pool->exec.sink.on_output(pool->exec.arg, stream, bytes, length);
}

static const struct exec_result DONE = { .exec_id = "e1", .cause = EXEC_EXIT, .exit_code = 3, .duration_s = 0.0214 };

/* ---- buffered ---- */

static const struct {
        const char *output;
        size_t output_length;
        const char *errors;
        size_t errors_length;
        bool is_truncated;
        const char *part;
} OUTPUTS[] = {
        { "hello\n", 6, NULL, 0, false, "\"stdout\":\"hello\\n\",\"stderr\":\"\",\"encoding\":\"utf-8\"" },
        { "gr\xc3\xbc\xc3\x9f", 6, "e", 1, true, "\"stdout\":\"gr\xc3\xbc\xc3\x9f\",\"stderr\":\"e\"" },
        { "\xff", 1, "e", 1, false, "\"stdout\":\"/w==\",\"stderr\":\"ZQ==\",\"encoding\":\"base64\"" },
        { "a\0b", 3, NULL, 0, false, "\"stdout\":\"YQBi\",\"stderr\":\"\",\"encoding\":\"base64\"" },
        { NULL, 0, "\xc3", 1, false, "\"stdout\":\"\",\"stderr\":\"ww==\",\"encoding\":\"base64\"" },
};

static void test_buffered_output(void **state)
{
        struct rig *rig = rig_new(NULL);

        (void)state;
        for (size_t i = 0; i < sizeof OUTPUTS / sizeof *OUTPUTS; i++) {
                struct client *client = start_exec(rig, "");
                struct exec_result result = DONE;
                struct response response;

                result.output = OUTPUTS[i].output;
                result.output_length = OUTPUTS[i].output_length;
                result.errors = OUTPUTS[i].errors;
                result.errors_length = OUTPUTS[i].errors_length;
                result.is_output_truncated = OUTPUTS[i].is_truncated;
                assert_false(rig->pool.is_streaming);
                end_exec(&rig->pool, &result, NULL);
                response = client_response(client, false);
                assert_int_equal(response.status, 200);
                assert_non_null(strstr(response.body, OUTPUTS[i].part));
                assert_non_null(strstr(response.body, "\"exec_id\":\"e1\",\"cause\":\"exit\",\"exit_code\":3"));
                assert_non_null(
                        strstr(response.body, OUTPUTS[i].is_truncated ? "\"truncated\":true" : "\"truncated\":false"));
                assert_non_null(strstr(response.body, "\"duration_ms\":21.4"));
                response_free(&response);
                client_close(client);
        }
        assert_string_equal(rig->pool.program, "sh");
        rig_free(rig);
}

/* Outputs of a size at which they are encoded while they are sent: as text, or as base64 where that is shorter or the
 * only way, and each of them whole. */
static const struct {
        const char *name, *unit;
        size_t length[2]; /* of stdout and stderr */
        bool is_text;     /* what the exec says of both */
        const char *encoding;
} LARGE[] = {
        { "plain", "0123456789abcdef", { 8 << 20, 0 }, true, "utf-8" },
        { "lines", "some line of text\n", { 1 << 20, 18 }, true, "utf-8" },
        { "wide", "gr\xc3\xbc\xc3\x9f\xf0\x9f\x98\x80", { 1000000, 500000 }, true, "utf-8" },
        { "controls", "\x01", { 8 << 20, 1 }, true, "base64" },
        { "bytes", "\xff\xfe", { 1000001, 70000 }, false, "base64" },
        { "errors alone", "x", { 0, 65537 }, true, "utf-8" },
};

static struct buffer fill(const char *unit, size_t length)
{
        struct buffer buffer = { 0 };

        while (buffer.length < length)
                assert_int_equal(buffer_append(&buffer, unit, strlen(unit)), 0);
        if (utf8_is_text(unit, strlen(unit)))
                while (buffer.length > length && utf8_is_text(buffer.data, buffer.length - strlen(unit)))
                        buffer.length -= strlen(unit);
        else
                buffer.length = length;
        return buffer;
}

static void expect_output(const cJSON *answer, const char *name, const struct buffer *expected, bool is_text)
{
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(answer, name));
        size_t length;
        char *bytes;

        assert_non_null(text);
        if (is_text) {
                assert_int_equal(strlen(text), expected->length);
                assert_true(expected->length == 0 || memcmp(text, expected->data, expected->length) == 0);
                return;
        }
        assert_int_equal(base64_decode(text, &bytes, &length), 0);
        assert_int_equal(length, expected->length);
        assert_true(length == 0 || memcmp(bytes, expected->data, length) == 0);
        free(bytes);
}

static void test_large_output(void **state)
{
        struct rig *rig = rig_new(NULL);

        (void)state;
        for (size_t i = 0; i < sizeof LARGE / sizeof *LARGE; i++) {
                struct client *client = start_exec(rig, "");
                struct buffer outputs[2] = { fill(LARGE[i].unit, LARGE[i].length[0]),
                                             fill(LARGE[i].unit, LARGE[i].length[1]) };
                struct utf8_scan scans[2] = { 0 };
                struct exec_result result = DONE;
                struct response response;
                bool is_text = str_equal(LARGE[i].encoding, "utf-8");
                cJSON *answer;

                for (int stream = 0; stream < 2; stream++) {
                        utf8_scan(&scans[stream], outputs[stream].data, outputs[stream].length);
                        result.n_escapes += scans[stream].n_escapes;
                        rig->pool.exec.kept[stream] = (struct buffer){ 0 };
                        if (outputs[stream].length > 0)
                                (void)buffer_append(&rig->pool.exec.kept[stream], outputs[stream].data,
                                                    outputs[stream].length);
                }
                result.is_text = LARGE[i].is_text;
                result.output = rig->pool.exec.kept[0].data;
                result.output_length = outputs[0].length;
                result.errors = rig->pool.exec.kept[1].data;
                result.errors_length = outputs[1].length;
                result.taken_from = &rig->pool.exec;
                end_exec(&rig->pool, &result, NULL);
                assert_int_equal(rig->pool.exec.n_taken, 1);
                response = client_response(client, false);
                assert_int_equal(response.status, 200);
                answer = cJSON_Parse(response.body);
                if (answer == NULL)
                        fail_msg("%s: %.200s", LARGE[i].name, response.body);
                assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(answer, "encoding")), LARGE[i].encoding);
                assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(answer, "exec_id")), "e1");
                assert_true(cJSON_IsFalse(cJSON_GetObjectItem(answer, "truncated")));
                expect_output(answer, "stdout", &outputs[0], is_text);
                expect_output(answer, "stderr", &outputs[1], is_text);
                cJSON_Delete(answer);
                response_free(&response);
                buffer_free(&outputs[0]);
                buffer_free(&outputs[1]);
                /* The connection goes on. */
                client_say(client, "GET /healthz HTTP/1.1\r\nHost: c\r\n\r\n");
                response = client_response(client, false);
                assert_int_equal(response.status, 200);
                response_free(&response);
                client_close(client);
        }
        rig_free(rig);
}

/* A client that reads nothing of a large answer holds it for idle_deadline_s, and then is cut. */
static void test_large_output_that_nobody_reads(void **state)
{
        struct api_options options = { .admin_gid = (gid_t)-1, .idle_deadline_s = 0.05 };
        struct rig *rig = rig_new(&options);
        struct client *client = start_exec(rig, "");
        struct exec_result result = DONE;

        (void)state;
        for (size_t i = 0; i < 8 << 20; i += 64)
                (void)buffer_append(&rig->pool.exec.kept[0],
                                    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 64);
        result.output = rig->pool.exec.kept[0].data;
        result.output_length = rig->pool.exec.kept[0].length;
        result.errors = "";
        result.is_text = true;
        result.taken_from = &rig->pool.exec;
        client_pause(client, true);
        end_exec(&rig->pool, &result, NULL);
        while (!list_is_empty(&rig->server->httpd->exchanges))
                ev_run(rig->loop, EVRUN_ONCE);
        client_close(client);
        rig_free(rig);
}

static void test_failures_before_the_program_runs(void **state)
{
        static const char *const HEADERS[] = { "", "Accept: application/x-ndjson\r\n" };
        struct rig *rig = rig_new(NULL);
        struct fault why;

        (void)state;
        (void)fault_set(&why, FAULT_DEADLINE, 0, "the engine did not start it in time");
        for (size_t i = 0; i < 2; i++) {
                struct client *client = start_exec(rig, HEADERS[i]);
                struct response response;

                end_exec(&rig->pool, NULL, &why);
                response = client_response(client, false);
                assert_int_equal(response.status, 504);
                response_free(&response);
                client_close(client);
        }
        (void)fault_set(&rig->pool.exec_fault, FAULT_CARREL_LOST, 0, "gone");
        for (size_t i = 0; i < 2; i++) {
                struct response response;

                response = rig_ask(rig, "POST /v1/carrels/ada/exec", EXEC_BODY);
                assert_int_equal(response.status, i == 0 ? 502 : 429);
                response_free(&response);
                (void)fault_set(&rig->pool.fault, FAULT_QUEUE_FULL, 0, "full");
        }
        rig_free(rig);
}

static void test_client_that_leaves_takes_its_program_along(void **state)
{
        static const char *const HEADERS[] = { "", "Accept: application/x-ndjson\r\n" };
        struct rig *rig = rig_new(NULL);

        (void)state;
        for (unsigned i = 0; i < 2; i++) {
                struct client *client = start_exec(rig, HEADERS[i]);

                if (i == 1) {
                        rig->pool.exec.sink.on_start(rig->pool.exec.arg, "e1");
                        emit(&rig->pool, 1, "x", 1);
                        for (int turn = 0; turn < 5; turn++)
                                rig_turn(rig);
                }
                assert_int_equal(rig->pool.exec_cancels, i);
                client_close(client);
                rig_until(rig, has_no_exec, &rig->pool);
                assert_int_equal(rig->pool.exec_cancels, i + 1);
        }
        rig_free(rig);
}

/* ---- streamed ---- */

/* Every line is an object whose seq is its number; text and base64 of `stream` are counted. */
static size_t check_lines(char *body, const char *last_event)
{
        size_t seq = 0, bytes = 0;
        const char *event = "";
        char *rest = NULL;
        cJSON *object = NULL;

        for (char *line = strtok_r(body, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
                const char *data;

                cJSON_Delete(object);
                object = cJSON_Parse(line);
                assert_non_null(object);
                event = cJSON_GetStringValue(cJSON_GetObjectItem(object, "event"));
                assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(object, "seq")) == (double)seq++);
                data = cJSON_GetStringValue(cJSON_GetObjectItem(object, "data"));
                bytes += data == NULL ? 0 : strlen(data);
        }
        assert_string_equal(event, last_event);
        cJSON_Delete(object);
        return bytes;
}

static void test_stream(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = start_exec(rig, "Accept: application/x-ndjson\r\n");
        struct response response;

        (void)state;
        assert_true(rig->pool.is_streaming);
        rig->pool.exec.sink.on_start(rig->pool.exec.arg, "e1");
        emit(&rig->pool, 1, "gr\xc3", 3);
        emit(&rig->pool, 2, "\xff", 1);
        emit(&rig->pool, 1, "\xbc\xc3\x9f\n", 4);
        emit(&rig->pool, 1, "\xe2\x82", 2);
        end_exec(&rig->pool, &DONE, NULL);
        response = client_response(client, false);
        assert_int_equal(response.status, 200);
        assert_non_null(strstr(response.head, "Content-Type: application/x-ndjson"));
        assert_string_equal(response.body,
                            "{\"event\":\"start\",\"seq\":0,\"exec_id\":\"e1\"}\n"
                            "{\"event\":\"stdout\",\"seq\":1,\"data\":\"gr\",\"encoding\":\"utf-8\"}\n"
                            "{\"event\":\"stderr\",\"seq\":2,\"data\":\"/w==\",\"encoding\":\"base64\"}\n"
                            "{\"event\":\"stdout\",\"seq\":3,\"data\":\"\xc3\xbc\xc3\x9f\\n\",\"encoding\":\"utf-8\"}\n"
                            "{\"event\":\"stdout\",\"seq\":4,\"data\":\"4oI=\",\"encoding\":\"base64\"}\n"
                            "{\"event\":\"exit\",\"seq\":5,\"exec_id\":\"e1\",\"cause\":\"exit\",\"exit_code\":3,"
                            "\"signal\":0,\"duration_ms\":21.4,\"streams_open\":false,\"usage\":null}\n");
        response_free(&response);
        assert_int_equal(rig->pool.exec_cancels, 0);
        rig_free(rig);
}

/* A program that writes without end to a client that does not read: paused within the bound, going on when the client
 * reads, and nothing is lost. */
static void test_backpressure(void **state)
{
        enum { CHUNK = 16384, CHUNKS = 400, PAUSE_AT_MOST = 128 };
        struct rig *rig = rig_new(NULL);
        struct client *client = start_exec(rig, "Accept: application/x-ndjson\r\n");
        struct response response;
        char *chunk = malloc(CHUNK);
        unsigned pauses = 0;

        (void)state;
        assert_non_null(chunk);
        memset(chunk, 'x', CHUNK);
        client_pause(client, true);
        rig->pool.exec.sink.on_start(rig->pool.exec.arg, "e1");
        for (unsigned i = 0; i < CHUNKS; i++) {
                emit(&rig->pool, 1, chunk, CHUNK);
                rig_turn(rig);
                if (!rig->pool.exec.is_paused)
                        continue;
                assert_true(pauses > 0 || i < PAUSE_AT_MOST);
                pauses++;
                client_pause(client, false);
                rig_until(rig, is_going_on, &rig->pool);
                client_pause(client, true);
        }
        assert_true(pauses > 1);
        client_pause(client, false);
        end_exec(&rig->pool, &DONE, NULL);
        response = client_response(client, false);
        assert_int_equal(check_lines(response.body, "exit"), CHUNK * CHUNKS);
        response_free(&response);
        free(chunk);
        rig_free(rig);
}

/* Output that comes although it was paused ends the stream, and the program: memory is bounded whoever is wrong. */
static void test_output_that_ignores_the_pause(void **state)
{
        enum { CHUNK = 1 << 20 };
        struct rig *rig = rig_new(NULL);
        struct client *client = start_exec(rig, "Accept: application/x-ndjson\r\n");
        struct response response;
        char *chunk = calloc(1, CHUNK);
        unsigned n = 0;

        (void)state;
        assert_non_null(chunk);
        memset(chunk, 'x', CHUNK);
        rig->pool.exec.sink.on_start(rig->pool.exec.arg, "e1");
        while (rig->pool.exec.is_running && n++ < 64)
                emit(&rig->pool, 1, chunk, CHUNK);
        assert_false(rig->pool.exec.is_running);
        assert_true(n <= 8);
        response = client_response(client, false);
        assert_null(strstr(response.body, "\"exit\""));
        (void)check_lines(response.body, "stdout");
        response_free(&response);
        free(chunk);
        rig_free(rig);
}

static bool exec_is_over(void *arg)
{
        struct rig *rig = arg;
        struct response response = rig_ask(rig, "GET /metrics", NULL);
        bool is_over = strstr(response.body, "{route=\"exec\",status=\"200\"} 1\n") != NULL;

        response_free(&response);
        return is_over;
}

/* A client that never reads the rest of an ended stream, or of a buffered answer, loses its connection in the end. */
static void test_client_that_never_reads(void **state)
{
        enum { CHUNK = 200000 };
        static const char *const HEADERS[] = { "", "Accept: application/x-ndjson\r\n" };
        struct api_options options = { .admin_gid = (gid_t)-1, .idle_deadline_s = 0.05 };
        char *chunk = malloc(CHUNK);

        (void)state;
        assert_non_null(chunk);
        memset(chunk, 'x', CHUNK);
        for (size_t i = 0; i < 2; i++) {
                struct rig *rig = rig_new(&options);
                struct client *client = start_exec(rig, HEADERS[i]);
                struct exec_result result = DONE;

                client_pause(client, true);
                if (i == 1) {
                        rig->pool.exec.sink.on_start(rig->pool.exec.arg, "e1");
                        for (int n = 0; n < 4; n++)
                                emit(&rig->pool, 1, chunk, CHUNK);
                }
                result.output = chunk;
                result.output_length = CHUNK;
                result.errors = chunk;
                result.errors_length = CHUNK;
                end_exec(&rig->pool, &result, NULL);
                rig_until(rig, exec_is_over, rig);
                assert_null(strstr(client->received.length == 0 ? "" : client->received.data, "\"exit\""));
                rig_free(rig);
        }
        free(chunk);
}

static void test_stop_cuts_streams(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = start_exec(rig, "Accept: application/x-ndjson\r\n");
        struct response response;

        (void)state;
        rig->pool.exec.sink.on_start(rig->pool.exec.arg, "e1");
        for (int turn = 0; turn < 5; turn++)
                rig_turn(rig);
        rig->server = api_free(rig->server);
        assert_int_equal(rig->pool.exec_cancels, 1);
        response = client_response(client, false);
        (void)check_lines(response.body, "start");
        response_free(&response);
        rig_free(rig);
}

/* ---- events ---- */

static bool is_listening(void *arg)
{
        struct client *client = arg;

        return client->received.length > 0 && strstr(client->received.data, "listening") != NULL;
}

static struct client *listen_to_events(struct rig *rig)
{
        struct client *client = rig_connect(rig);

        client_say(client, "GET /v1/events HTTP/1.1\r\nHost: c\r\n\r\n");
        rig_until(rig, is_listening, client);
        return client;
}

static void announce(struct rig *rig, enum pool_event_kind kind, const char *detail)
{
        struct pool_event event = {
                .kind = kind, .user = "ada", .container_id = "c0ffee", .detail = detail, .duration_s = 0.31
        };

        rig->pool.on_event(rig->pool.listener, &event);
}

static void test_events(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *first = listen_to_events(rig), *second = listen_to_events(rig);
        struct response response;

        (void)state;
        announce(rig, POOL_CREATED, "");
        announce(rig, POOL_EXEC_ENDED, "two\nlines");
        announce(rig, POOL_RETIRED, "idle");
        client_close(second);
        rig->server = api_free(rig->server);
        response = client_response(first, false);
        assert_non_null(strstr(response.body, "\"event\":\"carrel_created\",\"seq\":1,\"time\":\"2"));
        assert_non_null(
                strstr(response.body,
                       "\"detail\":\"two\\nlines\",\"duration_s\":0.31,\"cause\":\"exit\",\"streams_open\":false}\n"));
        assert_non_null(strstr(response.body, "\"event\":\"cut\",\"seq\":4"));
        (void)check_lines(response.body, "cut");
        response_free(&response);
        rig_free(rig);
}

static void test_events_are_counted(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct response response;

        (void)state;
        announce(rig, POOL_RETIRED, "idle");
        announce(rig, POOL_RETIRED, "idle");
        announce(rig, POOL_EXEC_ENDED, "");
        response = rig_ask(rig, "GET /metrics", NULL);
        assert_non_null(strstr(response.body, "carrel_reaped_total{reason=\"idle\"} 2\n"));
        assert_non_null(strstr(response.body, "carrel_exec_total{cause=\"exit\"} 1\n"));
        response_free(&response);
        response = rig_ask(rig, "GET /metrics", NULL);
        assert_non_null(strstr(response.body, "carrel_http_requests_total{route=\"metrics\",status=\"200\"} 1\n"));
        response_free(&response);
        rig_free(rig);
}

static void test_slow_reader_of_events_is_cut(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *slow = listen_to_events(rig), *quick = listen_to_events(rig);
        struct response response;
        size_t seq;

        (void)state;
        client_pause(slow, true);
        for (int i = 0; i < 20000; i++) {
                announce(rig, POOL_CREATED, "a detail");
                if (i % 100 == 0)
                        rig_turn(rig);
        }
        assert_false(quick->is_closed);
        client_pause(slow, false);
        response = client_response(slow, false);
        assert_non_null(strstr(response.body, "\"reason\":\"the reader is too slow\""));
        (void)check_lines(response.body, "cut");
        response_free(&response);
        seq = quick->received.length;
        announce(rig, POOL_CREATED, "");
        while (quick->received.length == seq)
                ev_run(rig->loop, EVRUN_ONCE);
        assert_null(strstr(quick->received.data, "\"cut\""));
        rig_free(rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_buffered_output),
                cmocka_unit_test(test_large_output),
                cmocka_unit_test(test_large_output_that_nobody_reads),
                cmocka_unit_test(test_failures_before_the_program_runs),
                cmocka_unit_test(test_client_that_leaves_takes_its_program_along),
                cmocka_unit_test(test_stream),
                cmocka_unit_test(test_backpressure),
                cmocka_unit_test(test_output_that_ignores_the_pause),
                cmocka_unit_test(test_client_that_never_reads),
                cmocka_unit_test(test_stop_cuts_streams),
                cmocka_unit_test(test_events),
                cmocka_unit_test(test_events_are_counted),
                cmocka_unit_test(test_slow_reader_of_events_is_cut),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
