/* Programs whose output goes to the client in Docker's frames: pulled from the pipe, pushed, or both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exec-frames.h"
#include "rig.h"

#define ACCEPT "Accept: " EXEC_FRAMES_TYPE "\r\n"
#define REPORT                                                                                                         \
        "{\"event\":\"exit\",\"exec_id\":\"e1\",\"cause\":\"exit\",\"exit_code\":3,\"signal\":0,\"duration_ms\":21.4," \
        "\"streams_open\":false,\"usage\":{\"cpu_us\":1500005,\"user_us\":1500000,\"system_us\":5,"                    \
        "\"memory_peak_bytes\":104857600}}"

static const struct exec_result DONE = {
        .exec_id = "e1",
        .cause = EXEC_EXIT,
        .exit_code = 3,
        .duration_s = 0.0214,
        .usage = { true, 1500000, 5, 104857600 },
};

static void test_heads(void **state)
{
        static const struct {
                enum exec_frame_type type;
                size_t length;
                unsigned char head[EXEC_FRAME_HEAD_BYTES];
        } HEADS[] = {
                { EXEC_FRAME_OUTPUT, 0, { 1 } },
                { EXEC_FRAME_OUTPUT, 1, { 1, 0, 0, 0, 0, 0, 0, 1 } },
                { EXEC_FRAME_ERRORS, 255, { 2, 0, 0, 0, 0, 0, 0, 255 } },
                { EXEC_FRAME_REPORT, 256, { 3, 0, 0, 0, 0, 0, 1, 0 } },
                { EXEC_FRAME_OUTPUT, 0x123456, { 1, 0, 0, 0, 0, 0x12, 0x34, 0x56 } },
                { EXEC_FRAME_OUTPUT, EXEC_FRAME_MAX_BYTES, { 1, 0, 0, 0, 0x40, 0, 0, 0 } },
        };

        (void)state;
        for (size_t i = 0; i < sizeof HEADS / sizeof *HEADS; i++) {
                char head[EXEC_FRAME_HEAD_BYTES];

                exec_frame_head(head, HEADS[i].type, HEADS[i].length);
                assert_memory_equal(head, HEADS[i].head, sizeof head);
        }
}

/* ---- a client ---- */

static bool has_exec(void *arg)
{
        return ((struct pool *)arg)->exec.is_running;
}

static bool has_no_exec(void *arg)
{
        return !has_exec(arg);
}

static struct client *ask(struct rig *rig, const char *headers, const char *body)
{
        struct client *client = rig_connect(rig);
        char length[64];

        (void)snprintf(length, sizeof length, "Content-Length: %zu\r\n\r\n", strlen(body));
        client_say(client, "POST /v1/carrels/ada/exec HTTP/1.1\r\nHost: c\r\n");
        client_say(client, headers);
        client_say(client, length);
        client_say(client, body);
        return client;
}

static struct client *start_exec(struct rig *rig)
{
        struct client *client = ask(rig, ACCEPT, "{\"argv\":[\"sh\"]}");

        rig_until(rig, has_exec, &rig->pool);
        rig->pool.exec.sink.on_start(rig->pool.exec.arg, "e1");
        return client;
}

static void emit(struct rig *rig, int stream, const char *text)
{
        rig->pool.exec.sink.on_output(rig->pool.exec.arg, stream, text, strlen(text));
}

/* So many more bytes can be pulled. */
static void offer(struct rig *rig, int stream, size_t length)
{
        rig->pool.exec.readable[stream - 1] += length;
        rig->pool.exec.sink.on_readable(rig->pool.exec.arg);
}

static bool is_all_pulled(void *arg)
{
        const struct exec *exec = arg;

        return exec->readable[0] + exec->readable[1] == 0;
}

static void end_exec(struct rig *rig, const struct exec_result *result, const struct fault *why)
{
        rig->pool.exec.is_running = false;
        rig->pool.exec.sink.on_done(rig->pool.exec.arg, result, why);
}

struct heard {
        char texts[4][512]; /* the beginning of stdout, stderr, the reports; by type */
        size_t lengths[4];
        unsigned last_type;
};

/* Everything until the connection closes, which is the end of the answer; whole frames only. */
static void hear(struct client *client, struct heard *heard)
{
        const char *at;
        size_t left;

        *heard = (struct heard){ 0 };
        client_await_close(client);
        at = strstr(client->received.data, "\r\n\r\n");
        assert_non_null(at);
        at += 4;
        left = client->received.length - (size_t)(at - client->received.data);
        while (left > 0) {
                const unsigned char *head = (const unsigned char *)at;
                size_t length, kept;

                assert_true(left >= EXEC_FRAME_HEAD_BYTES);
                heard->last_type = head[0];
                assert_in_range(heard->last_type, 1, 3);
                length = (size_t)head[4] << 24 | (size_t)head[5] << 16 | (size_t)head[6] << 8 | head[7];
                assert_true(length > 0 && left - EXEC_FRAME_HEAD_BYTES >= length);
                at += EXEC_FRAME_HEAD_BYTES;
                kept = length < 255 ? length : 255;
                if (heard->lengths[head[0]] < 256)
                        memcpy(heard->texts[head[0]] + heard->lengths[head[0]], at, kept);
                heard->lengths[head[0]] += length;
                at += length;
                left -= EXEC_FRAME_HEAD_BYTES + length;
        }
}

/* ---- the cases ---- */

static void test_frames(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = start_exec(rig);
        struct heard heard;

        (void)state;
        assert_true(rig->pool.is_streaming && rig->pool.is_pulled);
        emit(rig, 1, "first ");
        offer(rig, 1, 26);
        offer(rig, 2, 3);
        rig_until(rig, is_all_pulled, &rig->pool.exec);
        emit(rig, 2, "!");
        end_exec(rig, &DONE, NULL);
        hear(client, &heard);
        assert_string_equal(heard.texts[1], "first abcdefghijklmnopqrstuvwxyz");
        assert_string_equal(heard.texts[2], "abc!");
        assert_string_equal(heard.texts[3], REPORT);
        assert_int_equal(heard.last_type, EXEC_FRAME_REPORT);
        assert_non_null(strstr(client->received.data, "HTTP/1.1 200 OK\r\n"));
        assert_non_null(strstr(client->received.data, "Content-Type: " EXEC_FRAMES_TYPE "\r\n"));
        assert_non_null(strstr(client->received.data, "Carrel-Exec-Id: e1\r\n"));
        assert_non_null(strstr(client->received.data, "Connection: close\r\n"));
        rig_free(rig);
}

/* The end is found by whoever pulls: what was in the pipe comes first. */
static void test_end_while_pulling(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = start_exec(rig);
        struct heard heard;

        (void)state;
        rig->pool.exec.end = &DONE;
        offer(rig, 1, 5);
        hear(client, &heard);
        assert_string_equal(heard.texts[1], "abcde");
        assert_string_equal(heard.texts[3], REPORT);
        assert_int_equal(rig->pool.exec_cancels, 0);
        rig_free(rig);
}

static void test_end_without_start(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = ask(rig, ACCEPT, "{\"argv\":[\"sh\"]}");
        struct heard heard;

        (void)state;
        rig_until(rig, has_exec, &rig->pool);
        end_exec(rig, &DONE, NULL);
        hear(client, &heard);
        assert_int_equal(heard.lengths[1] + heard.lengths[2], 0);
        assert_string_equal(heard.texts[3], REPORT);
        rig_free(rig);
}

/* An unknown end is reported in the same place. */
static void test_fault_behind_the_start(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = start_exec(rig);
        struct heard heard;
        struct fault why;

        (void)state;
        (void)fault_set(&why, FAULT_CARREL_LOST, 0, "the engine's answer broke off");
        emit(rig, 1, "x");
        end_exec(rig, NULL, &why);
        hear(client, &heard);
        assert_string_equal(heard.texts[1], "x");
        assert_non_null(strstr(heard.texts[3], "{\"event\":\"error\",\"exec_id\":\"e1\",\"error\":{\"code\":"));
        rig_free(rig);
}

/* Output goes no further than the client has room for, and goes on when it reads; none is lost, none is twice. */
static void test_slow_reader(void **state)
{
        enum { OFFERED = 8 << 20, IN_FLIGHT_MOST = 2 << 20 };
        struct rig *rig = rig_new(NULL);
        struct client *client = start_exec(rig);
        const char *at;
        struct heard heard;
        size_t n = 0;

        (void)state;
        client_pause(client, true);
        offer(rig, 1, OFFERED);
        for (int turn = 0; turn < 50; turn++)
                rig_turn(rig);
        assert_in_range(rig->pool.exec.given[0], 1, IN_FLIGHT_MOST);
        rig->pool.exec.end = &DONE;
        client_pause(client, false);
        hear(client, &heard);
        assert_int_equal(heard.lengths[1], OFFERED);
        assert_string_equal(heard.texts[3], REPORT);
        at = strstr(client->received.data, "\r\n\r\n") + 4;
        while (*at == EXEC_FRAME_OUTPUT) {
                const unsigned char *head = (const unsigned char *)at;
                size_t length = (size_t)head[5] << 16 | (size_t)head[6] << 8 | head[7];

                for (at += EXEC_FRAME_HEAD_BYTES; length > 0; length--, n++)
                        if (*at++ != double_letter(n))
                                fail_msg("byte %zu is another one", n);
        }
        assert_int_equal(n, OFFERED);
        rig_free(rig);
}

static void test_client_that_leaves(void **state)
{
        struct rig *rig = rig_new(NULL);

        (void)state;
        for (unsigned i = 0; i < 2; i++) {
                struct client *client = start_exec(rig);

                client_pause(client, true);
                if (i == 1)
                        offer(rig, 1, 8 << 20);
                for (int turn = 0; turn < 5; turn++)
                        rig_turn(rig);
                assert_int_equal(rig->pool.exec_cancels, i);
                client_close(client);
                rig_until(rig, has_no_exec, &rig->pool);
                assert_int_equal(rig->pool.exec_cancels, i + 1);
        }
        rig_free(rig);
}

/* A carreld that stops has cancelled what would be pulled: there is no report, and no use of what is gone. */
static void test_stop(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = start_exec(rig);

        (void)state;
        client_pause(client, true);
        offer(rig, 1, 4 << 20);
        for (int turn = 0; turn < 5; turn++)
                rig_turn(rig);
        offer(rig, 2, 1);
        rig->server = api_free(rig->server);
        assert_int_equal(rig->pool.exec_cancels, 1);
        client_pause(client, false);
        client_await_close(client);
        rig_free(rig);
}

static void test_before_the_program_runs(void **state)
{
        static const struct {
                const char *headers, *body;
                int status;
                const char *part;
        } CASES[] = {
                { ACCEPT, "{\"argv\":[]}", 400, "request_invalid" },
                { ACCEPT, "{\"argv\":[\"sh\"],\"exec_id\":\"mine\"}", 400, "application/x-ndjson only" },
        };
        struct rig *rig = rig_new(NULL);

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct client *client = ask(rig, CASES[i].headers, CASES[i].body);
                struct response response = client_response(client, false);

                assert_int_equal(response.status, CASES[i].status);
                assert_non_null(strstr(response.body, CASES[i].part));
                response_free(&response);
                client_close(client);
        }
        assert_int_equal(rig->pool.execs, 0);
        rig_free(rig);
}

/* A job's events are kept, whoever reads them: nothing may wait in its pipes. */
static void test_detached(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = ask(rig, ACCEPT, "{\"argv\":[\"sh\"],\"detach\":true}");
        struct response response = client_response(client, false);

        (void)state;
        assert_int_equal(response.status, 202);
        assert_false(rig->pool.is_pulled);
        end_exec(rig, &DONE, NULL);
        response_free(&response);
        rig_free(rig);
}

static void test_which_format(void **state)
{
        static const struct {
                const char *accept, *content_type;
        } CASES[] = {
                { "Accept: application/x-ndjson, " EXEC_FRAMES_TYPE "\r\n", "Content-Type: " EXEC_FRAMES_TYPE },
                { "Accept: */*\r\n", "Content-Type: application/json" },
                { "Accept: application/x-ndjson\r\n", "Content-Type: application/x-ndjson" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct rig *rig = rig_new(NULL);
                struct client *client = ask(rig, CASES[i].accept, "{\"argv\":[\"sh\"]}");
                struct response response;

                rig_until(rig, has_exec, &rig->pool);
                end_exec(rig, &DONE, NULL);
                if (i == 0) {
                        client_await_close(client);
                        assert_non_null(strstr(client->received.data, CASES[i].content_type));
                } else {
                        response = client_response(client, false);
                        assert_non_null(strstr(response.head, CASES[i].content_type));
                        response_free(&response);
                }
                rig_free(rig);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_heads),
                cmocka_unit_test(test_frames),
                cmocka_unit_test(test_end_while_pulling),
                cmocka_unit_test(test_end_without_start),
                cmocka_unit_test(test_fault_behind_the_start),
                cmocka_unit_test(test_slow_reader),
                cmocka_unit_test(test_client_that_leaves),
                cmocka_unit_test(test_stop),
                cmocka_unit_test(test_before_the_program_runs),
                cmocka_unit_test(test_detached),
                cmocka_unit_test(test_which_format),
        };

        return cmocka_run_group_tests_name("api: frames", tests, NULL, NULL);
}
