/* Execs over a WebSocket: the handshake, the channels, what breaks the rules, and backpressure both ways. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

#define TARGET "/v1/carrels/ada/exec?argv=sh&argv=-c&argv=a%20%7C%20b&tty=1&rows=50&cols=132"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: v4.channel.k8s.io, v5.channel.k8s.io\r\n"

static const struct exec_result DONE = { .exec_id = "e1", .cause = EXEC_EXIT, .exit_code = 3, .duration_s = 0.0214 };

/* ---- a raw client ---- */

static struct client *ask(struct rig *rig, const char *target, const char *headers)
{
        struct client *client = rig_connect(rig);

        client_say(client, "GET ");
        client_say(client, target);
        client_say(client, " HTTP/1.1\r\nHost: carrel\r\n");
        client_say(client, headers);
        client_say(client, "\r\n");
        return client;
}

static bool has_head(void *arg)
{
        const struct client *client = arg;

        return client->is_closed ||
               (client->received.data != NULL && strstr(client->received.data, "\r\n\r\n") != NULL);
}

static struct client *open_socket(struct rig *rig, const char *target)
{
        struct client *client = ask(rig, target, UPGRADE KEY VERSION PROTOCOL);
        char *end;

        rig_until(rig, has_head, client);
        assert_non_null(client->received.data);
        if (strncmp(client->received.data, "HTTP/1.1 101 ", 13) != 0)
                fail_msg("%s", client->received.data);
        /* The example of RFC 6455, section 1.3. */
        assert_non_null(strstr(client->received.data, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert_non_null(strstr(client->received.data, strstr(target, "request=message") == NULL
                                                              ? "Carrel-Exec-Id: e1\r\n"
                                                              : "Carrel-Exec-Id: "));
        assert_non_null(strstr(client->received.data, "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n"));
        end = strstr(client->received.data, "\r\n\r\n") + 4;
        buffer_consume(&client->received, (size_t)(end - client->received.data));
        return client;
}

/* first: FIN, RSV and opcode. Masked with zeroes, which leave the bytes as they are. */
static void send_frame(struct client *client, uint8_t first, const void *bytes, size_t length)
{
        uint8_t head[14] = { first };
        size_t n = 2;

        if (length < 126) {
                head[1] = (uint8_t)(0x80 | length);
        } else {
                head[1] = 0x80 | 126;
                head[2] = (uint8_t)(length >> 8);
                head[3] = (uint8_t)length;
                n = 4;
        }
        client_send(client, head, n + 4);
        client_send(client, bytes, length);
}

static void send_channel(struct client *client, uint8_t channel, const char *text)
{
        char message[256];
        size_t length = strlen(text);

        message[0] = (char)channel;
        memcpy(message + 1, text, length);
        send_frame(client, 0x82, message, length + 1);
}

struct frame {
        uint8_t first;
        size_t length;
        const uint8_t *payload;
        size_t size; /* with its head */
};

static bool parse_frame(const struct client *client, struct frame *frame)
{
        const uint8_t *at = (const uint8_t *)client->received.data;
        size_t have = client->received.length;
        size_t head = 2;

        if (have < 2)
                return false;
        frame->first = at[0];
        frame->length = at[1];
        if (frame->length == 126) {
                head = 4;
                if (have < head)
                        return false;
                frame->length = (size_t)at[2] << 8 | at[3];
        } else if (frame->length == 127) {
                head = 10;
                if (have < head)
                        return false;
                frame->length = (size_t)at[6] << 24 | (size_t)at[7] << 16 | (size_t)at[8] << 8 | at[9];
        }
        frame->payload = at + head;
        frame->size = head + frame->length;
        return have >= frame->size;
}

static bool has_frame(void *arg)
{
        struct client *client = arg;
        struct frame frame;

        return client->is_closed || parse_frame(client, &frame);
}

/* The next frame's first byte; its payload as text in `text`. */
static uint8_t next_frame(struct client *client, char *text, size_t size)
{
        struct frame frame = { 0 };
        size_t n;

        rig_until(client->rig, has_frame, client);
        if (!parse_frame(client, &frame))
                fail_msg("closed after %zu bytes", client->received.length);
        n = frame.length < size - 1 ? frame.length : size - 1;
        memcpy(text, frame.payload, n);
        text[n] = '\0';
        buffer_consume(&client->received, frame.size);
        return frame.first;
}

/* code 0: without one. */
static void expect_close(struct client *client, unsigned code)
{
        char text[512] = "";
        uint8_t first = next_frame(client, text, sizeof text);

        assert_int_equal(first, 0x88);
        assert_int_equal((unsigned)(uint8_t)text[0] << 8 | (uint8_t)text[1], code);
}

static bool is_over(void *arg)
{
        return !((struct pool *)arg)->exec.is_running;
}

/* ---- the handshake ---- */

static const struct {
        const char *headers;
        int status;
} HANDSHAKES[] = {
        { KEY VERSION PROTOCOL, 426 },
        { "Upgrade: h2c\r\nConnection: Upgrade\r\n" KEY VERSION PROTOCOL, 426 },
        { "Upgrade: websocket\r\nConnection: close\r\n" KEY VERSION PROTOCOL, 426 },
        { UPGRADE KEY PROTOCOL, 426 },
        { UPGRADE KEY "Sec-WebSocket-Version: 8\r\n" PROTOCOL, 426 },
        { UPGRADE VERSION PROTOCOL, 400 },
        { UPGRADE "Sec-WebSocket-Key: short\r\n" VERSION PROTOCOL, 400 },
        { UPGRADE "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!!!\r\n" VERSION PROTOCOL, 400 },
        { UPGRADE KEY VERSION, 400 },
        { UPGRADE KEY VERSION "Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n", 400 },
        { UPGRADE KEY VERSION "Sec-WebSocket-Protocol: xv5.channel.k8s.io\r\n", 400 },
};

static void test_handshakes(void **state)
{
        struct rig *rig = rig_new(NULL);

        (void)state;
        for (size_t i = 0; i < sizeof HANDSHAKES / sizeof *HANDSHAKES; i++) {
                struct client *client = ask(rig, TARGET, HANDSHAKES[i].headers);
                struct response response = client_response(client, false);

                if (response.status != HANDSHAKES[i].status)
                        fail_msg("%s: %d", HANDSHAKES[i].headers, response.status);
                response_free(&response);
                client_close(client);
        }
        assert_int_equal(rig->pool.ensures, 0);
        rig_free(rig);
}

static const char *const QUERIES[] = {
        "",
        "?",
        "?tty=1",
        "?argv=",
        "?argv=a&argv",
        "?argv=%zz",
        "?argv=a%00b",
        "?argv=a&tty=2",
        "?argv=a&tty=1&tty=1",
        "?argv=a&rows=0",
        "?argv=a&cols=70000",
        "?argv=a&cwd=tmp",
        "?argv=a&env=x",
        "?argv=a&env=%3Dx",
        "?argv=a&timeout_s=0",
        "?argv=a&user=x",
        "?argv=a&stdin=yes",
        "?argv=a&request=message",
        "?request=query",
};

static void test_queries(void **state)
{
        struct rig *rig = rig_new(NULL);

        (void)state;
        for (size_t i = 0; i < sizeof QUERIES / sizeof *QUERIES; i++) {
                char target[128];
                struct client *client;
                struct response response;

                (void)snprintf(target, sizeof target, "/v1/carrels/ada/exec%s", QUERIES[i]);
                client = ask(rig, target, UPGRADE KEY VERSION PROTOCOL);
                response = client_response(client, false);
                if (response.status != 400)
                        fail_msg("%s: %d", QUERIES[i], response.status);
                response_free(&response);
                client_close(client);
        }
        assert_int_equal(rig->pool.execs, 0);
        rig_free(rig);
}

static void test_refusals(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client;
        struct response response;

        (void)state;
        (void)fault_set(&rig->pool.fault, FAULT_POOL_FULL, EAGAIN, "full");
        client = ask(rig, TARGET, UPGRADE KEY VERSION PROTOCOL);
        response = client_response(client, false);
        assert_int_equal(response.status, 503);
        response_free(&response);
        client_close(client);
        rig->pool.fault.kind = FAULT_NONE;
        (void)fault_set(&rig->pool.exec_fault, FAULT_CARREL_LOST, EIO, "lost");
        client = ask(rig, TARGET, UPGRADE KEY VERSION PROTOCOL);
        response = client_response(client, false);
        assert_int_equal(response.status, 502);
        response_free(&response);
        client_close(client);
        rig_free(rig);
}

/* ---- the channels ---- */

static bool has_input_closed(void *arg)
{
        return ((struct pool *)arg)->exec.is_input_closed;
}

static bool is_resized(void *arg)
{
        return ((struct pool *)arg)->exec.rows == 24;
}

static void test_session(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = open_socket(rig, TARGET);
        struct exec *exec = &rig->pool.exec;
        char text[512];

        (void)state;
        assert_string_equal(rig->pool.arguments, "sh|-c|a | b|");
        assert_true(rig->pool.is_tty && rig->pool.is_input_open && rig->pool.is_streaming);
        assert_int_equal(exec->rows, 50);
        assert_int_equal(exec->cols, 132);
        assert_false(exec->is_paused);
        exec->sink.on_output(exec->arg, 1, "out", 3);
        exec->sink.on_output(exec->arg, 2, "err", 3);
        assert_int_equal(next_frame(client, text, sizeof text), 0x82);
        assert_string_equal(text, "\1out");
        assert_int_equal(next_frame(client, text, sizeof text), 0x82);
        assert_string_equal(text, "\2err");
        send_channel(client, 4, "{\"Width\":80,\"Height\":24}");
        rig_until(rig, is_resized, &rig->pool);
        assert_int_equal(exec->cols, 80);
        send_channel(client, 0, "ls\n");
        send_frame(client, 0x89, "hi", 2);
        send_frame(client, 0x82, "\377\0", 2);
        rig_until(rig, has_input_closed, &rig->pool);
        assert_int_equal(exec->input_length, 3);
        assert_memory_equal(exec->input, "ls\n", 3);
        assert_int_equal(next_frame(client, text, sizeof text), 0x8A); /* pong */
        assert_string_equal(text, "hi");
        exec->is_running = false;
        exec->sink.on_done(exec->arg, &DONE, NULL);
        assert_int_equal(next_frame(client, text, sizeof text), 0x82);
        assert_int_equal(text[0], 3);
        assert_non_null(strstr(text, "\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\""));
        assert_non_null(strstr(text, "\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"3\"}]"));
        assert_non_null(strstr(text, "\"exec_id\":\"e1\",\"cause\":\"exit\",\"exit_code\":3"));
        expect_close(client, 1000);
        send_frame(client, 0x88, "\x03\xe8", 2);
        client_await_close(client);
        assert_int_equal(rig->pool.exec_cancels, 0);
        rig_free(rig);
}

/* Messages in pieces, with a ping between, are messages all the same. */
static void test_fragments(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = open_socket(rig, TARGET);

        (void)state;
        send_frame(client, 0x02, "\0he", 3);
        send_frame(client, 0x89, "", 0);
        send_frame(client, 0x00, "ll", 2);
        send_frame(client, 0x80, "o", 1);
        send_frame(client, 0x82, "\377\0", 2);
        rig_until(rig, has_input_closed, &rig->pool);
        assert_int_equal(rig->pool.exec.input_length, 5);
        assert_memory_equal(rig->pool.exec.input, "hello", 5);
        rig_free(rig);
}

/* A message that breaks a rule closes the socket with its code, and ends the program. */
static void test_broken_rules(void **state)
{
        static char large[65537];
        static const struct {
                uint8_t first;
                const char *bytes;
                size_t length;
                unsigned code;
        } RULES[] = {
                { 0x81, "text", 4, 1003 },                          /* text */
                { 0x82, "", 0, 1008 },                              /* no channel */
                { 0x82, "\1x", 2, 1008 },                           /* channels of ours */
                { 0x82, "\3x", 2, 1008 },                           /**/
                { 0x82, "\4{}x", 4, 1008 },                         /* a size that is no JSON */
                { 0x82, "\4{\"Height\":-1}", 13, 1008 },            /**/
                { 0x82, "\4{\"Height\":1,\"Depth\":1}", 22, 1008 }, /**/
                { 0x82, "\377\1", 2, 1008 },                        /* closes what is not the client's */
                { 0xC2, "\0x", 2, 1002 },                           /* a reserved bit */
                { 0x83, "\0x", 2, 1002 },                           /* an opcode there is not */
                { 0x80, "\0x", 2, 1002 },                           /* goes on with nothing */
                { 0x09, "", 0, 0 },                                 /* a ping in pieces */
                { 0x89, large, 126, 0 },                            /* a ping that is too long */
                { 0x88, "\x03", 1, 0 },                             /* a close of one byte */
        };

        (void)state;
        for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++) {
                struct rig *rig = rig_new(NULL);
                struct client *client = open_socket(rig, TARGET);

                send_frame(client, RULES[i].first, RULES[i].bytes, RULES[i].length);
                expect_close(client, RULES[i].code);
                send_frame(client, 0x88, "\x03\xe8", 2);
                client_await_close(client);
                rig_until(rig, is_over, &rig->pool);
                assert_int_equal(rig->pool.exec_cancels, 1);
                rig_free(rig);
        }
}

/* RFC 6455, section 5.1: a server closes on a frame without a mask. */
static void test_unmasked(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = open_socket(rig, TARGET);

        (void)state;
        client_send(client, "\x82\x02\0x", 4);
        expect_close(client, 1002);
        client_close(client);
        rig_until(rig, is_over, &rig->pool);
        rig_free(rig);
}

static void test_too_long(void **state)
{
        static char large[60000];
        struct rig *rig = rig_new(NULL);
        struct client *client;

        (void)state;
        rig->pool.input_room = 1;
        client = open_socket(rig, TARGET);
        send_frame(client, 0x02, large, sizeof large);
        send_frame(client, 0x80, large, sizeof large);
        expect_close(client, 1009);
        client_close(client);
        rig_until(rig, is_over, &rig->pool);
        rig_free(rig);
}

static void test_client_leaves(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = open_socket(rig, TARGET);

        (void)state;
        client_close(client);
        rig_until(rig, is_over, &rig->pool);
        assert_int_equal(rig->pool.exec_cancels, 1);
        /* An orderly close is answered, and kills the program too. */
        client = open_socket(rig, TARGET);
        send_frame(client, 0x88, "\x03\xe8", 2);
        expect_close(client, 1000);
        client_await_close(client);
        rig_until(rig, is_over, &rig->pool);
        assert_int_equal(rig->pool.exec_cancels, 2);
        rig_free(rig);
}

/* ---- the request as a message ---- */

#define BY_MESSAGE "/v1/carrels/ada/exec?request=message"

static bool is_running(void *arg)
{
        return ((struct pool *)arg)->exec.is_running;
}

static bool waits(void *arg)
{
        return double_waiting(arg) == 1;
}

static void send_text(struct client *client, const char *text)
{
        send_frame(client, 0x81, text, strlen(text));
}

/* Its status, which has this part, and its close. */
static void expect_status(struct client *client, const char *part, unsigned code)
{
        char text[512];

        assert_int_equal(next_frame(client, text, sizeof text), 0x82);
        assert_int_equal(text[0], 3);
        if (strstr(text, part) == NULL)
                fail_msg("%s", text + 1);
        expect_close(client, code);
        send_frame(client, 0x88, "\x03\xe8", 2);
        client_await_close(client);
}

/* More arguments than any query holds, in frames as large as the test's client makes them. */
static void test_request_of_many_arguments(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = open_socket(rig, BY_MESSAGE);
        struct buffer message = { 0 };

        (void)state;
        (void)buffer_text(&message, "{\"argv\":[\"ls\"");
        for (unsigned i = 1; i < 7168; i++)
                (void)buffer_format(&message, ",\"a-file-with-some-name-%u\"", i);
        (void)buffer_text(&message, "]}");
        assert_false(message.has_failed);
        assert_true(message.length > 3 * 60000);
        for (size_t done = 0; done < message.length; done += 60000) {
                size_t left = message.length - done;

                send_frame(client, (uint8_t)((done == 0 ? 0x01 : 0x00) | (left <= 60000 ? 0x80 : 0)),
                           message.data + done, left < 60000 ? left : 60000);
        }
        buffer_free(&message);
        rig_until(rig, is_running, &rig->pool);
        assert_int_equal(rig->pool.n_arguments, 7168);
        assert_true(rig->pool.exec_id[0] != '\0');
        client_close(client);
        rig_until(rig, is_over, &rig->pool);
        rig_free(rig);
}

/* Input that arrives before the program starts waits for it. */
static void test_request_and_early_input(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct exec *exec = &rig->pool.exec;
        struct client *client = open_socket(rig, BY_MESSAGE);
        char text[16];

        (void)state;
        assert_int_equal(rig->pool.ensures, 0);
        rig->pool.answer = ANSWER_LATER;
        send_text(client, "{\"argv\":[\"cat\",\"-\"],\"tty\":true,\"rows\":50,\"cols\":132}");
        send_channel(client, 4, "{\"Width\":80,\"Height\":24}");
        send_channel(client, 0, "hello");
        send_channel(client, 0, " world");
        send_frame(client, 0x82, "\377\0", 2);
        rig_until(rig, waits, &rig->pool);
        for (int i = 0; i < 10; i++)
                rig_turn(rig);
        double_answer_all(&rig->pool);
        rig_until(rig, has_input_closed, &rig->pool);
        assert_string_equal(rig->pool.arguments, "cat|-|");
        assert_true(rig->pool.is_tty && exec->rows == 24 && exec->cols == 80);
        assert_int_equal(exec->input_length, 11);
        assert_memory_equal(exec->input, "hello world", 11);
        exec->sink.on_output(exec->arg, 1, "out", 3);
        assert_int_equal(next_frame(client, text, sizeof text), 0x82);
        assert_string_equal(text, "\1out");
        exec->is_running = false;
        exec->sink.on_done(exec->arg, &DONE, NULL);
        expect_status(client, "\"exit_code\":3", 1000);
        rig_free(rig);
}

static void test_requests_that_are_none(void **state)
{
        static const struct {
                uint8_t first;
                const char *bytes, *part;
        } CASES[] = {
                { 0x82, "{\"argv\":[\"a\"]}", "as text" },
                { 0x81, "{\"argv\":[\"a\"", "JSON" },
                { 0x81, "{}", "argv is missing" },
                { 0x81, "{\"argv\":[\"a\"],\"detach\":true}", "detach" },
                { 0x81, "{\"argv\":[\"a\"],\"tty\":1}", "tty" },
                { 0x81, "{\"argv\":[\"a\"],\"rows\":0}", "rows" },
        };
        struct rig *rig = rig_new(NULL);

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct client *client = open_socket(rig, BY_MESSAGE);

                send_frame(client, CASES[i].first, CASES[i].bytes, strlen(CASES[i].bytes));
                expect_status(client, CASES[i].part, 1008);
                client_close(client);
        }
        assert_int_equal(rig->pool.ensures, 0);
        rig_free(rig);
}

static void test_requests_that_fail_late(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = open_socket(rig, BY_MESSAGE);

        (void)state;
        (void)fault_set(&rig->pool.fault, FAULT_POOL_FULL, EAGAIN, "full");
        send_text(client, "{\"argv\":[\"a\"]}");
        expect_status(client, "\"code\":\"pool_full\"", 1000);
        client_close(client);
        rig->pool.fault.kind = FAULT_NONE;
        (void)fault_set(&rig->pool.exec_fault, FAULT_CARREL_LOST, EIO, "lost");
        client = open_socket(rig, BY_MESSAGE);
        send_text(client, "{\"argv\":[\"a\"]}");
        expect_status(client, "\"code\":\"carrel_lost\"", 1000);
        client_close(client);
        /* A client that leaves meanwhile, or breaks the protocol, gets no program. */
        rig->pool.exec_fault.kind = FAULT_NONE;
        rig->pool.answer = ANSWER_LATER;
        for (int i = 0; i < 2; i++) {
                client = open_socket(rig, BY_MESSAGE);
                send_text(client, "{\"argv\":[\"a\"]}");
                rig_until(rig, waits, &rig->pool);
                if (i == 0)
                        client_close(client);
                else
                        send_frame(client, 0x82, "\1x", 2);
                while (double_waiting(&rig->pool) > 0)
                        ev_run(rig->loop, EVRUN_ONCE);
                double_answer_all(&rig->pool);
        }
        assert_int_equal(rig->pool.execs, 0);
        rig_free(rig);
}

static void test_request_that_does_not_come(void **state)
{
        struct api_options options = { .admin_gid = (gid_t)-1, .read_deadline_s = 0.05 };
        struct rig *rig = rig_new(&options);
        struct client *client = open_socket(rig, BY_MESSAGE);

        (void)state;
        send_frame(client, 0x01, "{", 1);
        expect_status(client, "\"code\":\"deadline_exceeded\"", 1008);
        client_close(client);
        rig_free(rig);
}

/* ---- backpressure ---- */

static bool is_paused(void *arg)
{
        return ((struct pool *)arg)->exec.is_paused;
}

static bool is_going_on(void *arg)
{
        return !is_paused(arg);
}

static void test_slow_reader(void **state)
{
        static char piece[60000];
        struct rig *rig = rig_new(NULL);
        struct client *client = open_socket(rig, TARGET);
        struct exec *exec = &rig->pool.exec;
        size_t sent = 0, received = 0;

        (void)state;
        client_pause(client, true);
        while (!exec->is_paused) {
                exec->sink.on_output(exec->arg, 1, piece, sizeof piece);
                sent += sizeof piece;
                rig_turn(rig);
                assert_true(sent < 4 << 20);
        }
        client_pause(client, false);
        rig_until(rig, is_going_on, &rig->pool);
        while (received < sent) {
                char text[8];
                struct frame frame = { 0 };

                rig_until(rig, has_frame, client);
                assert_true(parse_frame(client, &frame));
                received += frame.length - 1;
                (void)next_frame(client, text, sizeof text);
        }
        assert_int_equal(received, sent);
        rig_free(rig);
}

/* A client that only pings, and reads nothing: carreld reads no further either. Each ping is answered in the end. */
static void test_pings_that_nobody_hears(void **state)
{
        enum { PINGS = 5000 };
        static const char payload[125];
        struct rig *rig = rig_new(NULL);
        struct client *client = open_socket(rig, TARGET);

        (void)state;
        client_pause(client, true);
        for (unsigned i = 0; i < PINGS; i++)
                send_frame(client, 0x89, payload, sizeof payload);
        for (unsigned i = 0; i < 200; i++)
                rig_turn(rig);
        assert_true(client->unsent.length > 64 << 10);
        client_pause(client, false);
        for (unsigned i = 0; i < PINGS; i++) {
                char text[8];

                assert_int_equal(next_frame(client, text, sizeof text), 0x8A);
        }
        send_channel(client, 0, "still here");
        while (rig->pool.exec.input_length < 10)
                ev_run(rig->loop, EVRUN_ONCE);
        rig_free(rig);
}

/* stdin takes three bytes, and no more until it is read. */
static void test_slow_program(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client;
        struct exec *exec = &rig->pool.exec;

        (void)state;
        rig->pool.input_room = 3;
        client = open_socket(rig, TARGET);
        send_channel(client, 0, "hello");
        send_channel(client, 0, " world");
        send_frame(client, 0x82, "\377\0", 2);
        while (exec->input_length < 3)
                ev_run(rig->loop, EVRUN_ONCE);
        rig_turn(rig);
        assert_false(exec->is_input_closed);
        exec->input_room = sizeof exec->input;
        exec->sink.on_input_ready(exec->arg);
        rig_until(rig, has_input_closed, &rig->pool);
        assert_int_equal(exec->input_length, 11);
        assert_memory_equal(exec->input, "hello world", 11);
        rig_free(rig);
}

/* The end may come before the socket: from inside of the turn in which the program was started. */
static void test_stop_of_carreld(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = open_socket(rig, TARGET);

        (void)state;
        rig->server = api_free(rig->server);
        assert_int_equal(rig->pool.exec_cancels, 1);
        expect_close(client, 1001);
        client_await_close(client);
        rig_free(rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_handshakes),
                cmocka_unit_test(test_queries),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_session),
                cmocka_unit_test(test_fragments),
                cmocka_unit_test(test_broken_rules),
                cmocka_unit_test(test_unmasked),
                cmocka_unit_test(test_too_long),
                cmocka_unit_test(test_client_leaves),
                cmocka_unit_test(test_slow_reader),
                cmocka_unit_test(test_pings_that_nobody_hears),
                cmocka_unit_test(test_slow_program),
                cmocka_unit_test(test_stop_of_carreld),
                cmocka_unit_test(test_request_of_many_arguments),
                cmocka_unit_test(test_request_and_early_input),
                cmocka_unit_test(test_requests_that_are_none),
                cmocka_unit_test(test_requests_that_fail_late),
                cmocka_unit_test(test_request_that_does_not_come),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
