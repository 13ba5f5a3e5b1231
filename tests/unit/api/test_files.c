/* Files and archives: what the operation inside is asked, what becomes of what it says, and of its lies. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api.h"
#include "exchange.h"
#include "file-answer.h"
#include "rig.h"
#include "spool.h"

#define FILES "/v1/carrels/ada/files/"
#define ARCHIVE "/v1/carrels/ada/archive"

static struct rig *open_rig(void)
{
        static const struct api_options OPTIONS = { .admin_gid = (gid_t)-1,
                                                    .spool_dir = "/tmp",
                                                    .spool_max_bytes = 4 << 20 };

        return rig_new(&OPTIONS);
}

static bool is_started(void *arg)
{
        return ((struct pool *)arg)->exec.is_running;
}

static void emit(struct rig *rig, const char *bytes, size_t length)
{
        struct exec *exec = &rig->pool.exec;

        if (exec->is_running)
                exec->sink.on_output(exec->arg, 1, bytes, length);
}

static void end(struct rig *rig, int exit_code)
{
        const struct exec_result result = { .exec_id = "e1", .cause = EXEC_EXIT, .exit_code = exit_code };
        struct exec *exec = &rig->pool.exec;

        if (!exec->is_running)
                return;
        exec->is_running = false;
        exec->sink.on_done(exec->arg, &result, NULL);
}

static struct client *ask(struct rig *rig, const char *line, const char *headers, const char *body, size_t length)
{
        struct client *client = rig_connect(rig);
        char head[512];

        (void)snprintf(head, sizeof head, "%s HTTP/1.1\r\nHost: carrel\r\n%sContent-Length: %zu\r\n\r\n", line, headers,
                       length);
        client_say(client, head);
        client_send(client, body, length);
        return client;
}

/* A request, what the operation says to it and how it exits, and the answer. */
static const struct file_case {
        const char *line, *headers, *body;
        const char *arguments; /* expected of the operation */
        const char *output;
        int exit_code;
        int status;
        const char *head_part, *body_part;
} FILE_CASES[] = {
        { "GET " FILES "a%20b/c", "", "", "/.carrel/init|file|get|a b/c|0|-1|", "ok 5 640 1000 0 5\nhello", 0, 200,
          "Content-Length: 5\r\n", "hello" },
        { "GET " FILES "/tmp/x", "", "", "/.carrel/init|file|get|/tmp/x|0|-1|", "ok 0 4755 0 0 0\n", 0, 200,
          "Carrel-File-Mode: 4755\r\n", "" },
        { "GET " FILES "a", "", "", "/.carrel/init|file|get|a|0|-1|", "ok 5 640 1000 0 5\nhello", 0, 200,
          "Last-Modified: Thu, 01 Jan 1970 00:16:40 GMT\r\n", "hello" },
        { "GET " FILES "a", "Range: bytes=1-2\r\n", "", "/.carrel/init|file|get|a|1|2|", "ok 5 644 1 1 2\nel", 0, 206,
          "Content-Range: bytes 1-2/5\r\n", "el" },
        { "GET " FILES "a", "Range: bytes=-2\r\n", "", "/.carrel/init|file|get|a|-1|2|", "ok 5 644 1 3 2\nlo", 0, 206,
          "Content-Range: bytes 3-4/5\r\n", "lo" },
        { "GET " FILES "a", "Range: bytes=9-\r\n", "", "/.carrel/init|file|get|a|9|-1|", "range 5\n", 1, 416,
          "Content-Range: bytes */5\r\n", "the file has only 5 bytes" },
        { "GET " FILES "a", "Range: bytes=0-\r\n", "", "/.carrel/init|file|get|a|0|-1|", "ok 0 644 1 0 0\n", 0, 200,
          "Content-Length: 0\r\n", "" },
        { "GET " FILES "a", "Range: bytes=2-1\r\n", "", "/.carrel/init|file|get|a|0|-1|", "ok 1 644 1 0 1\nx", 0, 200,
          "", "x" },
        { "GET " FILES "a", "Range: lines=1-2\r\n", "", "/.carrel/init|file|get|a|0|-1|", "ok 1 644 1 0 1\nx", 0, 200,
          "", "x" },
        { "GET " FILES "a", "", "", "/.carrel/init|file|get|a|0|-1|", "error 2 No such file or directory: a\n", 1, 404,
          "", "\"code\":\"not_found\",\"message\":\"No such file or directory: a\"" },
        { "GET " FILES "a", "", "", "/.carrel/init|file|get|a|0|-1|", "error 22 it is not a regular file: a\n", 1, 409,
          "", "file_refused" },
        { "GET " FILES "?list=1", "", "", "/.carrel/init|file|list|.|", "ok\nf 644 5 1000  a\n", 0, 409, "",
          "malformed" }, /* without its NUL: see the next test */
        { "PUT " FILES "d/a?mode=0600&parents=1", "", "hello", "/.carrel/init|file|put|d/a|5|384|1|", "ok 5\n", 0, 200,
          "", "{\"path\":\"d/a\",\"size\":5}" },
        { "PUT " FILES "a", "", "", "/.carrel/init|file|put|a|0|-1|0|", "ok 0\n", 0, 200, "", "\"size\":0" },
        { "PUT " FILES "a", "", "x", "/.carrel/init|file|put|a|1|-1|0|", "error 28 No space left on device: a\n", 1,
          507, "", "no room on the disk that all users share (users_dir)" },
        { "PUT " FILES "/tmp/a", "", "x", "/.carrel/init|file|put|/tmp/a|1|-1|0|", "error 28 No space left on device\n",
          1, 507, "", "storage_full\",\"message\":\"the carrel's own /tmp is full" },
        { "PUT " ARCHIVE "?path=d", "", "TAR", "/.carrel/init|file|unpack|d|", "error 122 Disk quota exceeded: x\n", 1,
          507, "", "no room on the disk" },
        { "PUT " FILES "a", "", "x", "/.carrel/init|file|put|a|1|-1|0|", "ok 1\n", 1, 409, "", "gave no answer" },
        { "DELETE " FILES "a", "", "", "/.carrel/init|file|remove|a|0|", "ok\n", 0, 200, "", "{\"path\":\"a\"}" },
        { "DELETE " FILES "a?recursive=1", "", "", "/.carrel/init|file|remove|a|1|", "ok\n", 0, 200, "", "" },
        { "DELETE " FILES "a?recursive=1", "", "", "/.carrel/init|file|remove|a|1|", "on\non\nok\n", 0, 200, "", "" },
        { "DELETE " FILES "a?recursive=1", "", "", "/.carrel/init|file|remove|a|1|", "on\nerror 13 no: x\n", 1, 409, "",
          "file_refused" },
        { "DELETE " FILES "a?recursive=1", "", "", "/.carrel/init|file|remove|a|1|", "on\n", 0, 409, "",
          "ended with exit" },
        { "GET " ARCHIVE, "", "", "/.carrel/init|file|pack|.|", "ok d\nTAR", 0, 200,
          "Content-Type: application/x-tar\r\n", "TAR" },
        { "GET " ARCHIVE "?path=/tmp/x", "", "", "/.carrel/init|file|pack|/tmp/x|", "error 2 No\n", 1, 404, "", "No" },
        { "PUT " ARCHIVE "?path=d", "", "TAR", "/.carrel/init|file|unpack|d|", "ok 9\n", 0, 200, "",
          "{\"path\":\"d\",\"entries\":9}" },
        { "PUT " ARCHIVE "?path=d", "", "TAR", "/.carrel/init|file|unpack|d|", "error 22 a name with \"..\": ../a\n", 1,
          409, "", "a name with \\\"..\\\": ../a" },
        /* lies */
        { "GET " FILES "a", "", "", "/.carrel/init|file|get|a|0|-1|", "hello\n", 0, 409, "", "gave no answer" },
        { "GET " FILES "a", "", "", "/.carrel/init|file|get|a|0|-1|", "", 0, 409, "", "ended with exit" },
        { "GET " FILES "a", "", "", "/.carrel/init|file|get|a|0|-1|", "ok 2 644 1 0 2\nmuch more", 0, 200,
          "Content-Length: 2\r\n", "mu" },
        { "GET " FILES "a", "Range: bytes=1-\r\n", "", "/.carrel/init|file|get|a|1|-1|",
          "ok 9223372036854775807 644 1 9223372036854775807 9223372036854775807\n", 0, 409, "",
          "does not describe a part of a file" },
        { "GET " FILES "a", "", "", "/.carrel/init|file|get|a|0|-1|", "ok 2 644 1 1 2\nxx", 0, 409, "",
          "does not describe a part of a file" },
        { "GET " FILES "a", "", "", "/.carrel/init|file|get|a|0|-1|", "error 99999 x\n", 1, 409, "", "gave no answer" },
        { "GET " FILES "a", "", "", "/.carrel/init|file|get|a|0|-1|", "error 2 \xff\n", 1, 404, "", "\"?\"" },
};

static void check_case(const struct file_case *one)
{
        struct rig *rig = open_rig();
        struct client *client = ask(rig, one->line, one->headers, one->body, strlen(one->body));
        struct response response;

        rig_until(rig, is_started, &rig->pool);
        assert_string_equal(rig->pool.arguments, one->arguments);
        assert_memory_equal(rig->pool.given, one->body, strlen(one->body));
        emit(rig, one->output, strlen(one->output));
        end(rig, one->exit_code);
        response = client_response(client, false);
        if (response.status != one->status || strstr(response.head, one->head_part) == NULL ||
            strstr(response.body, one->body_part) == NULL)
                fail_msg("%s: %d\n%s%s", one->line, response.status, response.head, response.body);
        response_free(&response);
        rig_free(rig);
}

static void test_cases(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof FILE_CASES / sizeof *FILE_CASES; i++)
                check_case(&FILE_CASES[i]);
}

static void test_listing(void **state)
{
        static const char OUTPUT[] = "ok\nf 644 5 1000  a b\0d 755 4096 1 d\0l 777 1 1 \xff\0o 600 0 0 o";
        struct rig *rig = open_rig();
        struct client *client = ask(rig, "GET " FILES "?list=1", "", "", 0);
        struct response response;

        (void)state;
        rig_until(rig, is_started, &rig->pool);
        for (size_t i = 0; i < sizeof OUTPUT; i++)
                emit(rig, OUTPUT + i, 1);
        end(rig, 0);
        response = client_response(client, false);
        assert_int_equal(response.status, 200);
        assert_string_equal(response.body,
                            "{\"path\":\".\",\"truncated\":false,\"entries\":["
                            "{\"name\":\" a b\",\"kind\":\"file\",\"mode\":\"0644\",\"size\":5,\"mtime\":1000},"
                            "{\"name\":\"d\",\"kind\":\"directory\",\"mode\":\"0755\",\"size\":4096,\"mtime\":1},"
                            "{\"name_b64\":\"/w==\",\"kind\":\"link\",\"mode\":\"0777\",\"size\":1,\"mtime\":1},"
                            "{\"name\":\"o\",\"kind\":\"other\",\"mode\":\"0600\",\"size\":0,\"mtime\":0}]}");
        response_free(&response);
        rig_free(rig);
}

/* So many entries as carrel-init says at most, and what somebody else says in its place. */
static void test_long_listing(void **state)
{
        static const struct {
                int n_records, exit_code, status, cancels;
                const char *body_part;
        } CASES[] = {
                { FILE_LIST_MAX_ENTRIES, 0, 200, 0, "\"truncated\":true" },
                { FILE_LIST_MAX_ENTRIES - 1, 0, 200, 0, "\"truncated\":false" },
                { FILE_LIST_MAX_ENTRIES, 1, 409, 0, "malformed" },
                { FILE_LIST_MAX_ENTRIES + 1, 0, 409, 1, "malformed" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct rig *rig = open_rig();
                struct client *client = ask(rig, "GET " FILES "?list=1", "", "", 0);
                struct response response;

                rig_until(rig, is_started, &rig->pool);
                emit(rig, "ok\n", 3);
                for (int n = 0; n < CASES[i].n_records; n++)
                        emit(rig, "f 644 0 0 a", sizeof "f 644 0 0 a");
                assert_int_equal(rig->pool.exec_cancels, CASES[i].cancels);
                end(rig, CASES[i].exit_code);
                response = client_response(client, false);
                assert_int_equal(response.status, CASES[i].status);
                assert_non_null(strstr(response.body, CASES[i].body_part));
                response_free(&response);
                rig_free(rig);
        }
}

static const char *const BAD[] = {
        "GET " FILES "a%00b",
        "GET " FILES "a%zz",
        "GET " FILES "a?list=2",
        "GET " FILES "a?mode=0644",
        "GET " FILES "a?list=1&list=1",
        "PUT " FILES "a?mode=999",
        "PUT " FILES "a?mode=77777",
        "PUT " FILES "a?parents",
        "DELETE " FILES "a?recursive=yes",
        "GET " ARCHIVE "?path=",
        "GET " ARCHIVE "?path=%00",
        "GET /v1/carrels/..%2fx/files/a",
};

static void test_bad_requests(void **state)
{
        struct rig *rig = open_rig();

        (void)state;
        for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
                struct response response = rig_ask(rig, BAD[i], NULL);

                if (response.status != 400)
                        fail_msg("%s: %d", BAD[i], response.status);
                response_free(&response);
        }
        assert_int_equal(rig->pool.execs, 0);
        rig_free(rig);
}

/* A file of which a part is missing must not look complete. */
static void test_cut_file(void **state)
{
        struct rig *rig = open_rig();
        struct client *client = ask(rig, "GET " FILES "a", "", "", 0);

        (void)state;
        rig_until(rig, is_started, &rig->pool);
        emit(rig, "ok 5 640 1000 0 5\nhel", 21);
        end(rig, 1);
        client_await_close(client);
        assert_non_null(strstr(client->received.data, "Content-Length: 5"));
        assert_null(strstr(client->received.data, "hello"));
        client_close(client);
        client = ask(rig, "GET " ARCHIVE, "", "", 0);
        rig_until(rig, is_started, &rig->pool);
        emit(rig, "ok d\nTA", 7);
        end(rig, 1);
        client_await_close(client);
        assert_null(strstr(client->received.data, "\r\n0\r\n"));
        rig_free(rig);
}

static bool has_taken_all(void *arg)
{
        return ((struct pool *)arg)->exec.is_input_closed;
}

/* A long body comes through stdin, piece by piece, as it is taken. */
static void test_long_body(void **state)
{
        enum { LENGTH = 1000000 };
        static char body[LENGTH];
        struct rig *rig = open_rig();
        struct exec *exec = &rig->pool.exec;
        struct client *client;
        struct response response;
        size_t taken = 0;

        (void)state;
        rig->pool.input_room = 100;
        client = ask(rig, "PUT " FILES "a", "", body, LENGTH);
        rig_until(rig, is_started, &rig->pool);
        assert_true(rig->pool.is_input_open);
        assert_int_equal(exec->input_length, 100);
        while (!exec->is_input_closed) {
                taken += exec->input_length;
                exec->input_length = 0;
                exec->input_room = sizeof exec->input;
                exec->sink.on_input_ready(exec->arg);
        }
        rig_until(rig, has_taken_all, &rig->pool);
        assert_int_equal(taken + exec->input_length, LENGTH);
        emit(rig, "ok 1000000\n", 11);
        end(rig, 0);
        response = client_response(client, false);
        assert_int_equal(response.status, 200);
        response_free(&response);
        rig_free(rig);
}

static bool is_over(void *arg)
{
        return !((struct pool *)arg)->exec.is_running;
}

static void test_client_leaves(void **state)
{
        struct rig *rig = open_rig();
        struct client *client = ask(rig, "GET " FILES "a", "", "", 0);

        (void)state;
        rig_until(rig, is_started, &rig->pool);
        client_close(client);
        rig_until(rig, is_over, &rig->pool);
        assert_int_equal(rig->pool.exec_cancels, 1);
        rig_free(rig);
}

static void expect_refusal(struct client *client, int status, const char *part)
{
        struct response response = client_response(client, false);

        if (response.status != status || strstr(response.body, part) == NULL)
                fail_msg("%d %s, expected %d %s", response.status, response.body, status, part);
        response_free(&response);
        client_close(client);
}

/* A file of which only the first `sent` bytes come. */
static struct client *begin(struct rig *rig, const char *user, size_t length, size_t sent)
{
        static char bytes[40 << 10];
        struct client *client = rig_connect(rig);
        char head[256];

        (void)snprintf(head, sizeof head,
                       "PUT /v1/carrels/%s/files/a HTTP/1.1\r\nHost: c\r\nContent-Length: %zu\r\n\r\n", user, length);
        client_say(client, head);
        client_send(client, bytes, sent);
        for (int i = 0; i < 10; i++)
                rig_turn(rig);
        return client;
}

/* One user's files that do not get on leave places to the others: his part is a quarter, and the last quarter is for
 * who has none. */
static void test_shares(void **state)
{
        static const struct api_options OPTIONS = { .admin_gid = (gid_t)-1,
                                                    .spool_dir = "/nonexistent",
                                                    .spool_max_bytes = 4 << 20,
                                                    .file_max_bytes = 64 << 10,
                                                    .spools_max_bytes = 256 << 10,
                                                    .max_spools = 8 };
        static const char *const USERS[] = { "ada", "ada", "bob", "bob", "cyd", "cyd", "dan", "eve" };
        enum { N_USERS = sizeof USERS / sizeof *USERS, BEFORE_THE_LAST_QUARTER = 7 };
        struct rig *rig = rig_new(&OPTIONS);
        struct client *waiting[N_USERS];

        (void)state;
        for (size_t i = 0; i < N_USERS; i++) {
                waiting[i] = begin(rig, USERS[i], 1000, 1);
                if (i == 1)
                        expect_refusal(begin(rig, "ada", 1000, 1000), 429, "2 uploads of ada are in progress");
                if (i == BEFORE_THE_LAST_QUARTER - 1)
                        expect_refusal(begin(rig, "dan", 1000, 1000), 429, "7 uploads of files and images");
        }
        expect_refusal(begin(rig, "fay", 1000, 1000), 429, "8 uploads of files and images");
        for (size_t i = 0; i < N_USERS; i++)
                client_close(waiting[i]);
        for (int i = 0; i < 20; i++)
                rig_turn(rig);
        /* By bytes: a quarter, too; and the next user has room. */
        waiting[0] = begin(rig, "ada", 40 << 10, (40 << 10) - 1);
        waiting[1] = begin(rig, "ada", 40 << 10, 40 << 10);
        expect_refusal(waiting[1], 429, "the uploads of ada would take more than 64k");
        waiting[1] = begin(rig, "bob", 40 << 10, 40 << 10);
        rig_until(rig, is_started, &rig->pool);
        emit(rig, "ok 40960\n", 9);
        end(rig, 0);
        expect_refusal(waiting[1], 200, "40960");
        client_close(waiting[0]);
        rig_free(rig);
}

static void expect_no_progress(struct client *client)
{
        expect_refusal(client, 504, "made no progress for 0.05 s and was killed");
}

enum { STANDSTILLS = 8 };

static bool have_all_been_killed(void *arg)
{
        return ((struct rig *)arg)->pool.exec_cancels == STANDSTILLS;
}

/* A user who stops his own file operations gets a plain error for each, which frees its place. */
static void test_standstill(void **state)
{
        static const struct api_options OPTIONS = { .admin_gid = (gid_t)-1,
                                                    .spool_dir = "/tmp",
                                                    .spool_max_bytes = 4 << 20,
                                                    .max_spools = 1,
                                                    .progress_deadline_s = 0.05 };
        static const char *const LINES[] = { "GET " FILES "a", "GET " FILES "a?list=1", "PUT " FILES "a",
                                             "GET " ARCHIVE, "PUT " ARCHIVE };
        struct rig *rig = rig_new(&OPTIONS);
        char *body = calloc(1, 600 << 10);
        struct response response;
        struct client *client;

        (void)state;
        assert_non_null(body);
        for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++) {
                client = ask(rig, LINES[i], "", "x", LINES[i][0] == 'P');
                expect_no_progress(client);
        }
        /* In the middle: of what goes in, */
        rig->pool.input_room = 100;
        expect_no_progress(ask(rig, "PUT " FILES "a", "", body, 600 << 10));
        /* and of what comes out; the listing has its first line. */
        client = ask(rig, "GET " FILES "a?list=1", "", "", 0);
        rig_until(rig, is_started, &rig->pool);
        emit(rig, "ok\nf 644 5 ", 11);
        expect_no_progress(client);
        client = ask(rig, "GET " FILES "a", "", "", 0);
        rig_until(rig, is_started, &rig->pool);
        emit(rig, "ok 5 640 1000 0 5\nhel", 21);
        response = client_response(client, true);
        assert_int_equal(response.status, 200);
        response_free(&response);
        rig_until(rig, have_all_been_killed, rig);
        free(body);
        rig_free(rig);
}

/* A slow sender gets a new deadline with every PROGRESS_BYTES, one that trickles does not. The test compares the
 * deadlines, each of which has to be later than the one before. */
static void test_slow_body(void **state)
{
        struct rig *rig = open_rig();
        struct client *client = begin(rig, "ada", 40 << 10, PROGRESS_BYTES - 1);
        const struct exchange *exchange = LIST_ENTRY(rig->server->httpd->exchanges.next, struct exchange, node);
        ev_tstamp first = ev_timer_remaining(rig->loop, &exchange->connection->deadline) + ev_now(rig->loop);
        ev_tstamp later;

        (void)state;
        assert_int_equal(exchange->timed_bytes, 0);
        client_send(client, "x", 1);
        while (exchange->received_bytes < PROGRESS_BYTES)
                rig_turn(rig);
        assert_int_equal(exchange->timed_bytes, PROGRESS_BYTES);
        later = ev_timer_remaining(rig->loop, &exchange->connection->deadline) + ev_now(rig->loop);
        assert_true(later > first);
        client_close(client);
        rig_free(rig);
}

/* A short body needs no disk; the error of a longer one names the full disk. */
static void test_spool_in_memory(void **state)
{
        static const struct api_options OPTIONS = { .admin_gid = (gid_t)-1,
                                                    .spool_dir = "/nonexistent",
                                                    .spool_max_bytes = 4 << 20 };
        enum { LARGE = 600 << 10 };
        struct rig *rig = rig_new(&OPTIONS);
        char *body = calloc(1, LARGE);
        struct response response;
        struct client *client;

        (void)state;
        assert_non_null(body);
        client = ask(rig, "PUT " FILES "a", "", body, SPOOL_MEMORY_BYTES);
        rig_until(rig, is_started, &rig->pool);
        emit(rig, "ok 524288\n", 10);
        end(rig, 0);
        response = client_response(client, false);
        assert_int_equal(response.status, 200);
        response_free(&response);
        client_close(client);
        expect_refusal(ask(rig, "PUT " FILES "a", "", body, LARGE), 503, "spool_dir");
        free(body);
        rig_free(rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cases),           cmocka_unit_test(test_listing),
                cmocka_unit_test(test_long_listing),    cmocka_unit_test(test_bad_requests),
                cmocka_unit_test(test_cut_file),        cmocka_unit_test(test_long_body),
                cmocka_unit_test(test_client_leaves),   cmocka_unit_test(test_shares),
                cmocka_unit_test(test_spool_in_memory), cmocka_unit_test(test_slow_body),
                cmocka_unit_test(test_standstill),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
