/* http/client against a scripted server on the same loop: every way an answer can come, and the user who cancels,
 * pauses, sends and frees from inside his callbacks. */
#include <errno.h>
#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"
#include "server.h"

#define SHORT_S 0.05 /* a deadline that is meant to pass */
#define LONG_S 30.0  /* one that is not */

struct world {
        struct ev_loop *loop;
        struct server server;
        struct http_client *client;
};

/* The actions of a user inside a callback. */
enum conduct { LISTENS, CANCELS, FREES_CLIENT, PAUSES, SENDS };

struct user {
        struct world *world;
        enum conduct on_data;
        enum conduct on_done;
        struct http_call *call;
        struct user *other; /* whom CANCELS in done cancels, whose request SENDS sends */
        int status;
        struct fault why;
        struct buffer body;
        unsigned headers;
        unsigned dones;
        unsigned pieces;
};

static const struct http_request PLAIN = { .method = "GET", .path = "/thing", .deadline_s = LONG_S };

static void on_done(void *arg, const struct http_response *response, const struct fault *why);

static void send_for(struct user *user, const struct http_request *request)
{
        assert_int_equal(http_send(user->world->client, request, on_done, user, &user->call), 0);
        assert_int_equal(user->dones, 0);
}

static void act(struct user *user, enum conduct conduct)
{
        struct user *target = user->other != NULL ? user->other : user;

        switch (conduct) {
        case LISTENS:
                break;
        case CANCELS:
                target->call = http_cancel(target->call);
                break;
        case FREES_CLIENT:
                user->world->client = http_client_free(user->world->client);
                break;
        case PAUSES:
                http_pause(user->call, true);
                break;
        case SENDS:
                send_for(target, &PLAIN);
                break;
        }
}

static void on_done(void *arg, const struct http_response *response, const struct fault *why)
{
        struct user *user = arg;

        assert_true((response == NULL) != (why == NULL));
        user->call = NULL;
        user->dones++;
        if (why != NULL)
                user->why = *why;
        if (response != NULL) {
                user->status = response->status;
                assert_int_equal(strlen(response->body), response->body_length);
                buffer_append(&user->body, response->body, response->body_length);
        }
        act(user, user->on_done);
}

static void on_header(void *arg)
{
        struct user *user = arg;

        user->headers++;
        assert_int_equal(user->pieces, 0);
}

static void on_data(void *arg, const void *bytes, size_t length)
{
        struct user *user = arg;

        user->pieces++;
        buffer_append(&user->body, bytes, length);
        act(user, user->on_data);
}

static const struct http_request STREAM = {
        .method = "GET",
        .path = "/stream",
        .deadline_s = LONG_S,
        .on_header = on_header,
        .on_data = on_data,
};

static int setup(void **state)
{
        struct world *world = calloc(1, sizeof *world);

        world->loop = ev_loop_new(EVFLAG_AUTO);
        server_init(&world->server, world->loop);
        const struct http_client_options options = { .socket_path = world->server.path,
                                                     .authority = "engine",
                                                     .max_connections = 4 };
        *state = world;
        return http_client_new(&world->client, world->loop, &options);
}

static int teardown(void **state)
{
        struct world *world = *state;

        http_client_free(world->client);
        server_release(&world->server);
        ev_loop_destroy(world->loop);
        free(world);
        return 0;
}

static bool is_done(const void *user)
{
        return ((const struct user *)user)->dones > 0;
}

/* Turns the loop until it is so. Whatever hangs is ended by meson's timeout. */
static void await_that(struct world *world, bool (*is_so)(const void *subject), const void *subject)
{
        while (!is_so(subject))
                ev_run(world->loop, EVRUN_ONCE);
}

/* --- every way an answer can come -----------------------------------------------------------------------------------
 */

#define HEAD "HTTP/1.1 200 OK\r\n"
#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"

struct answer_case {
        const char *name;
        struct script script;
        int status; /* 0: a fault of this kind */
        enum fault_kind kind;
        const char *body;
        double deadline_s, idle_deadline_s;
        size_t max_response_bytes;
};

static const struct answer_case ANSWERS[] = {
        { "length", { .answer = HEAD "Content-Length: 5\r\n\r\nhello", .keeps_open = true }, 200, .body = "hello" },
        { "chunked", { .answer = CHUNKED "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n" }, 200, .body = "hello!" },
        { "until the end", { .answer = HEAD "\r\nhello" }, 200, .body = "hello" },
        { "a byte at a time",
          { .answer = HEAD "Content-Length: 5\r\n\r\nhello", .piece_bytes = 1 },
          200,
          .body = "hello" },
        { "chunks a byte at a time",
          { .answer = CHUNKED "2\r\nhi\r\n0\r\n\r\n", .piece_bytes = 1 },
          200,
          .body = "hi" },
        { "no content", { .answer = "HTTP/1.1 204 No Content\r\n\r\n", .keeps_open = true }, 204, .body = "" },
        { "not modified", { .answer = "HTTP/1.1 304 Not Modified\r\n\r\n", .keeps_open = true }, 304, .body = "" },
        { "not found", { .answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno" }, 404, .body = "no" },
        { "a redirect is not followed",
          { .answer = "HTTP/1.1 301 Moved\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n" },
          301,
          .body = "" },
        { "continue first",
          { .answer = "HTTP/1.1 100 Continue\r\n\r\n" HEAD "Content-Length: 1\r\n\r\ny" },
          200,
          .body = "y" },
        { "a bounded body", { .answer = HEAD "\r\n", .repeat = 3 }, 200, .body = "xxx", .max_response_bytes = 3 },
        { "a body over its bound",
          { .answer = HEAD "\r\n", .repeat = 4 },
          .kind = FAULT_ENGINE_UNAVAILABLE,
          .max_response_bytes = 3 },
        { "a huge body",
          { .answer = HEAD "\r\n", .repeat = 1 << 20 },
          .kind = FAULT_ENGINE_UNAVAILABLE,
          .max_response_bytes = 65536 },
        { "an error's body over its bound",
          { .answer = "HTTP/1.1 500 No\r\n\r\n", .repeat = 100 },
          .kind = FAULT_ENGINE_UNAVAILABLE,
          .max_response_bytes = 99 },
        { "a huge header", { .answer = HEAD "X: ", .repeat = 1 << 18 }, .kind = FAULT_ENGINE_UNAVAILABLE },
        { "nothing at all", { .answer = "" }, .kind = FAULT_ENGINE_UNAVAILABLE },
        { "garbage", { .answer = "yes, what?\r\n\r\n" }, .kind = FAULT_ENGINE_UNAVAILABLE },
        { "truncated header", { .answer = "HTTP/1.1 20" }, .kind = FAULT_ENGINE_UNAVAILABLE },
        { "truncated body", { .answer = HEAD "Content-Length: 6\r\n\r\nhello" }, .kind = FAULT_ENGINE_UNAVAILABLE },
        { "truncated chunk", { .answer = CHUNKED "ff\r\nhello" }, .kind = FAULT_ENGINE_UNAVAILABLE },
        { "a bad chunk", { .answer = CHUNKED "zz\r\n" }, .kind = FAULT_ENGINE_UNAVAILABLE },
        { "never", { .answer = NULL }, .kind = FAULT_DEADLINE, .deadline_s = SHORT_S },
        { "never, idle", { .answer = NULL }, .kind = FAULT_DEADLINE, .idle_deadline_s = SHORT_S },
        { "half, then nothing",
          { .answer = HEAD "Content-Length: 6\r\n\r\nhello", .keeps_open = true },
          .kind = FAULT_DEADLINE,
          .deadline_s = SHORT_S },
        { "half, then idle",
          { .answer = HEAD "Content-Length: 6\r\n\r\nhello", .keeps_open = true },
          .kind = FAULT_DEADLINE,
          .idle_deadline_s = SHORT_S },
};

static void test_answers(void **state)
{
        struct world *world = *state;

        for (size_t i = 0; i < sizeof ANSWERS / sizeof ANSWERS[0]; i++) {
                const struct answer_case *at = &ANSWERS[i];
                const struct http_request request = { .method = "GET",
                                                      .path = "/thing",
                                                      .deadline_s = at->deadline_s,
                                                      .idle_deadline_s = at->idle_deadline_s,
                                                      .max_response_bytes = at->max_response_bytes };
                struct user user = { .world = world };

                world->server.script = at->script;
                send_for(&user, &request);
                await_that(world, is_done, &user);
                if (user.dones != 1 || user.status != at->status || user.why.kind != at->kind)
                        fail_msg("%s: status %d, %s: %s", at->name, user.status, fault_code(user.why.kind),
                                 user.why.message);
                if (at->status != 0)
                        assert_string_equal(user.body.data != NULL ? user.body.data : "", at->body);
                buffer_free(&user.body);
        }
}

static void test_no_such_socket(void **state)
{
        struct world *world = *state;
        const struct http_client_options options = { .socket_path = "/nonexistent/engine.sock", .authority = "engine" };
        struct user user = { .world = world };

        http_client_free(world->client);
        assert_int_equal(http_client_new(&world->client, world->loop, &options), 0);
        send_for(&user, &PLAIN);
        await_that(world, is_done, &user);
        assert_int_equal(user.why.kind, FAULT_ENGINE_UNAVAILABLE);
        assert_int_equal(user.why.err, ENOENT);
}

/* --- what is sent ------------------------------------------------------------------------------------------------ */

static int open_file(const char *text)
{
        int fd = memfd_create("body", MFD_CLOEXEC);

        assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        return fd;
}

static void test_requests_as_sent(void **state)
{
        int fd = open_file("from a file");
        const struct {
                struct http_request request;
                const char *sent;
        } CASES[] = {
                { { .method = "GET", .path = "/a?b=%20" }, "GET /a?b=%20 HTTP/1.1\r\nHost: engine\r\n\r\n" },
                { { .method = "GET", .path = "/a/../b" }, "GET /a/../b HTTP/1.1\r\nHost: engine\r\n\r\n" },
                { { .method = "DELETE", .path = "/a" }, "DELETE /a HTTP/1.1\r\nHost: engine\r\n\r\n" },
                { { .method = "GET", .path = "/a", .accept = "text/plain" },
                  "GET /a HTTP/1.1\r\nHost: engine\r\nAccept: text/plain\r\n\r\n" },
                { { .method = "POST", .path = "/a" }, "POST /a HTTP/1.1\r\nHost: engine\r\nContent-Length: 0\r\n\r\n" },
                { { .method = "POST",
                    .path = "/a",
                    .content_type = "application/json",
                    .body = "{}",
                    .body_length = 2 },
                  "POST /a HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}" },
                { { .method = "PUT", .path = "/a", .content_type = "text/plain", .body = "x", .body_length = 1 },
                  "PUT /a HTTP/1.1\r\nHost: engine\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx" },
                { { .method = "POST", .path = "/a", .content_type = "application/x-tar", .body_fd = fd },
                  "POST /a HTTP/1.1\r\nHost: engine\r\nContent-Type: application/x-tar\r\nContent-Length: 11\r\n\r\n"
                  "from a file" },
                /* The server is silent, so the body follows after a second. */
                { { .method = "POST", .path = "/a", .body_fd = fd, .asks_first = true },
                  "POST /a HTTP/1.1\r\nHost: engine\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\nfrom a file" },
        };
        struct world *world = *state;

        world->server.script = (struct script){ .answer = "HTTP/1.1 204 No Content\r\n\r\n", .keeps_open = true };
        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                struct user user = { .world = world };

                send_for(&user, &CASES[i].request);
                await_that(world, is_done, &user);
                assert_int_equal(user.status, 204);
                assert_string_equal(world->server.request.data, CASES[i].sent);
                buffer_free(&user.body);
        }
        assert_int_equal(world->server.accepted, 1); /* all on one connection */
        close(fd);
}

static void test_invalid_requests(void **state)
{
        static const struct http_request CASES[] = {
                { .method = NULL, .path = "/" },
                { .method = "", .path = "/" },
                { .method = "GE T", .path = "/" },
                { .method = "GET", .path = NULL },
                { .method = "GET", .path = "thing" },
                { .method = "GET", .path = "/a b" },
                { .method = "GET", .path = "/a\r\nX: y" },
                { .method = "GET", .path = "/\xc3\xa4" },
                { .method = "GET", .path = "/", .accept = "a\r\nX: y" },
                { .method = "GET", .path = "/", .content_type = "a\nX: y" },
                { .method = "GET", .path = "/", .deadline_s = -1 },
                { .method = "POST", .path = "/", .body_length = 1 },
        };
        struct world *world = *state;
        struct http_call *call;

        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
                assert_int_equal(http_send(world->client, &CASES[i], on_done, NULL, &call), -EINVAL);
}

/* A taken-over connection: the bytes come after the answer's header, never before, and then the end. */
static void test_bytes_after_the_header(void **state)
{
        static const size_t LENGTHS[] = { 0, 1, 5, 1 << 20 };
        struct world *world = *state;
        char *input = calloc(1, 1 << 20);

        assert_non_null(input);
        for (size_t i = 0; i < sizeof LENGTHS / sizeof LENGTHS[0]; i++) {
                struct http_request request = STREAM;
                struct user user = { .world = world };

                request.method = "POST";
                request.after_header = input;
                request.after_header_length = LENGTHS[i];
                request.is_hijacked = true;
                world->server.script = (struct script){ .answer = HEAD "\r\n", .expects_more = true };
                world->server.has_seen_end = false;
                buffer_consume(&world->server.more, world->server.more.length);
                send_for(&user, &request);
                await_that(world, is_done, &user);
                assert_int_equal(user.status, 200);
                assert_true(world->server.has_seen_end);
                assert_false(world->server.has_more_before_answer);
                assert_int_equal(world->server.more.length, LENGTHS[i]);
                assert_string_equal(user.body.data, HEAD "\r\n"); /* what the server said when it had seen the end */
                assert_int_equal(world->server.accepted, i + 1);  /* a connection each */
                buffer_free(&user.body);
        }
        free(input);
}

/* --- streams -------------------------------------------------------------------------------------------------------
 */

static void test_stream(void **state)
{
        struct world *world = *state;
        struct user user = { .world = world };

        world->server.script = (struct script){ .answer = HEAD "\r\n", .repeat = 300000, .piece_bytes = 1000 };
        send_for(&user, &STREAM);
        await_that(world, is_done, &user);
        assert_int_equal(user.status, 200);
        assert_int_equal(user.headers, 1);
        assert_true(user.pieces > 1);
        assert_int_equal(user.body.length, 300000);
        buffer_free(&user.body);
}

static void test_stream_refused(void **state)
{
        struct world *world = *state;
        struct user user = { .world = world };

        world->server.script = (struct script){ .answer = "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno" };
        send_for(&user, &STREAM);
        await_that(world, is_done, &user);
        assert_int_equal(user.status, 500);
        assert_int_equal(user.pieces + user.headers, 0); /* an error's body is no piece of the stream */
        assert_string_equal(user.body.data, "no");
        buffer_free(&user.body);
}

static void test_pause(void **state)
{
        struct world *world = *state;
        struct user user = { .world = world, .on_data = PAUSES };

        world->server.script = (struct script){ .answer = HEAD "\r\n", .repeat = 1 << 20 };
        send_for(&user, &STREAM);
        for (unsigned paused = 1; user.dones == 0; paused++) {
                while (user.pieces < paused && user.dones == 0)
                        ev_run(world->loop, EVRUN_ONCE);
                for (int turn = 0; turn < 20 && user.dones == 0; turn++)
                        ev_run(world->loop, EVRUN_NOWAIT);
                assert_true(user.pieces <= paused); /* none while paused */
                if (user.dones == 0)
                        http_pause(user.call, false);
        }
        assert_true(user.pieces > 2);
        assert_int_equal(user.status, 200);
        assert_int_equal(user.body.length, 1 << 20);
        buffer_free(&user.body);
}

/* --- from inside callbacks ------------------------------------------------------------------------------------------
 */

static void test_cancel_from_on_data(void **state)
{
        struct world *world = *state;
        struct user user = { .world = world, .on_data = CANCELS };
        struct user next = { .world = world };

        world->server.script = (struct script){ .answer = HEAD "\r\n", .repeat = 1 << 20 };
        send_for(&user, &STREAM);
        while (user.pieces == 0)
                ev_run(world->loop, EVRUN_ONCE);
        world->server.script = (struct script){ .answer = HEAD "Content-Length: 1\r\n\r\ny" };
        send_for(&next, &PLAIN);
        await_that(world, is_done, &next);
        assert_int_equal(next.status, 200);
        assert_int_equal(user.pieces, 1);
        assert_int_equal(user.dones, 0);
        buffer_free(&user.body);
        buffer_free(&next.body);
}

/* Two calls end in one turn of the loop; the first one's callback cancels the second. */
static void test_cancel_of_another_that_has_ended(void **state)
{
        struct world *world = *state;
        struct user second = { .world = world };
        struct user first = { .world = world, .on_done = CANCELS, .other = &second };
        const struct http_request hopeless = { .method = "GET", .path = "/", .deadline_s = LONG_S };
        const struct http_client_options options = { .socket_path = "/nonexistent/engine.sock", .authority = "engine" };

        http_client_free(world->client);
        assert_int_equal(http_client_new(&world->client, world->loop, &options), 0);
        send_for(&first, &hopeless);
        send_for(&second, &hopeless);
        ev_run(world->loop, 0); /* until nothing is left to do */
        assert_int_equal(first.dones, 1);
        assert_int_equal(second.dones, 0);
}

static void test_cancel_before_it_was_sent(void **state)
{
        struct world *world = *state;
        struct user user = { .world = world };

        send_for(&user, &PLAIN);
        assert_null(http_cancel(user.call));
        assert_null(http_cancel(NULL));
        ev_run(world->loop, 0);
        assert_int_equal(user.dones, 0);
        assert_int_equal(world->server.accepted, 0);
}

static void test_free_from_on_data(void **state)
{
        struct world *world = *state;
        struct user user = { .world = world, .on_data = FREES_CLIENT };
        struct user other = { .world = world };

        world->server.script = (struct script){ .answer = HEAD "\r\n", .repeat = 1 << 20 };
        send_for(&user, &STREAM);
        send_for(&other, &PLAIN);
        while (world->client != NULL)
                ev_run(world->loop, EVRUN_ONCE);
        for (int turn = 0; turn < 20; turn++)
                ev_run(world->loop, EVRUN_NOWAIT);
        assert_int_equal(user.pieces, 1);
        assert_int_equal(user.dones + other.dones, 0);
        buffer_free(&user.body);
}

static void test_free_from_done(void **state)
{
        struct world *world = *state;
        struct user user = { .world = world, .on_done = FREES_CLIENT };
        struct user other = { .world = world };

        world->server.script = (struct script){ .answer = NULL };
        send_for(&other, &PLAIN);
        const struct http_request brief = { .method = "GET", .path = "/", .deadline_s = SHORT_S };
        send_for(&user, &brief);
        await_that(world, is_done, &user);
        for (int turn = 0; turn < 20; turn++)
                ev_run(world->loop, EVRUN_NOWAIT);
        assert_int_equal(other.dones, 0);
        assert_null(world->client);
}

static void test_send_from_done(void **state)
{
        struct world *world = *state;
        struct user next = { .world = world };
        struct user user = { .world = world, .on_done = SENDS, .other = &next };

        world->server.script = (struct script){ .answer = HEAD "Content-Length: 1\r\n\r\ny", .keeps_open = true };
        send_for(&user, &PLAIN);
        await_that(world, is_done, &next);
        assert_int_equal(next.status, 200);
        buffer_free(&user.body);
        buffer_free(&next.body);
}

/* A call that waits for a connection has its deadline too, and takes its turn when another has ended. */
static void test_waiting_for_a_connection(void **state)
{
        struct world *world = *state;
        struct user holders[4];
        struct user waiting = { .world = world };
        struct user late = { .world = world };
        const struct http_request brief = { .method = "GET", .path = "/", .deadline_s = SHORT_S };

        for (size_t i = 0; i < 4; i++) {
                holders[i] = (struct user){ .world = world };
                send_for(&holders[i], &PLAIN);
        }
        while (world->server.accepted < 4)
                ev_run(world->loop, EVRUN_ONCE);
        send_for(&late, &brief);
        await_that(world, is_done, &late);
        assert_int_equal(late.why.kind, FAULT_DEADLINE);
        assert_int_equal(world->server.accepted, 4);

        world->server.script = (struct script){ .answer = HEAD "Content-Length: 1\r\n\r\ny" };
        send_for(&waiting, &PLAIN);
        for (size_t i = 0; i < 4; i++)
                holders[i].call = http_cancel(holders[i].call);
        await_that(world, is_done, &waiting);
        assert_int_equal(waiting.status, 200);
        buffer_free(&waiting.body);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(test_answers),
                CASE(test_no_such_socket),
                CASE(test_requests_as_sent),
                CASE(test_invalid_requests),
                CASE(test_bytes_after_the_header),
                CASE(test_stream),
                CASE(test_stream_refused),
                CASE(test_pause),
                CASE(test_cancel_from_on_data),
                CASE(test_cancel_of_another_that_has_ended),
                CASE(test_cancel_before_it_was_sent),
                CASE(test_free_from_on_data),
                CASE(test_free_from_done),
                CASE(test_send_from_done),
                CASE(test_waiting_for_a_connection),
        };

        return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
