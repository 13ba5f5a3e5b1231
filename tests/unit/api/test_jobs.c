/* Detached and resumable execs: an id at once, events by their numbers, lost events, and a retry that runs nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <nettle/sha2.h>

#include "clock.h"
#include "job-registry.h"
#include "job.h"
#include "rig.h"

#define START "POST /v1/carrels/ada/exec"
#define DETACHED "{\"argv\":[\"sh\"],\"detach\":true,\"exec_id\":\"job-0001\"}"
#define ATTACHED "{\"argv\":[\"sh\"],\"exec_id\":\"job-0001\"}"

static const struct exec_result DONE = { .exec_id = "x", .cause = EXEC_EXIT, .exit_code = 3, .duration_s = 0.0214 };

static void emit(struct rig *rig, int stream, const char *text)
{
        rig->pool.exec.sink.on_output(rig->pool.exec.arg, stream, text, strlen(text));
}

static void end(struct rig *rig)
{
        rig->pool.exec.is_running = false;
        rig->pool.exec.sink.on_done(rig->pool.exec.arg, &DONE, NULL);
}

static void expect(struct rig *rig, const char *line, const char *body, int status, const char *part)
{
        struct response response = rig_ask(rig, line, body);

        if (response.status != status || strstr(response.body, part) == NULL)
                fail_msg("%s %s: %d %s; expected %d %s", line, body == NULL ? "" : body, response.status, response.body,
                         status, part);
        response_free(&response);
}

static void test_detached(void **state)
{
        struct rig *rig = rig_new(NULL);

        (void)state;
        expect(rig, START, DETACHED, 202, "\"exec_id\":\"job-0001\",\"user\":\"ada\",\"program\":\"sh\"");
        assert_string_equal(rig->pool.exec_id, "job-0001");
        assert_true(rig->pool.is_streaming);
        expect(rig, "GET /v1/execs/job-0001", NULL, 200, "\"state\":\"running\",\"detached\":true");
        emit(rig, 1, "one\n");
        emit(rig, 2, "two\n");
        expect(rig, "GET /v1/execs/job-0001/output", NULL, 200,
               "{\"event\":\"start\",\"seq\":0,\"exec_id\":\"job-0001\"}\n"
               "{\"event\":\"stdout\",\"seq\":1,\"data\":\"one\\n\",\"encoding\":\"utf-8\"}\n"
               "{\"event\":\"stderr\",\"seq\":2,\"data\":\"two\\n\",\"encoding\":\"utf-8\"}\n");
        assert_int_equal(rig->pool.exec_cancels, 0);
        end(rig);
        expect(rig, "GET /v1/execs/job-0001/output?after=1&follow=1", NULL, 200,
               "{\"event\":\"stderr\",\"seq\":2,\"data\":\"two\\n\",\"encoding\":\"utf-8\"}\n"
               "{\"event\":\"exit\",\"seq\":3,\"exec_id\":\"job-0001\",\"cause\":\"exit\",\"exit_code\":3");
        expect(rig, "GET /v1/execs/job-0001/output?after=3&follow=1", NULL, 200, "");
        expect(rig, "GET /v1/execs/job-0001/output?after=4", NULL, 400, "beyond the last event, seq 3");
        expect(rig, "GET /v1/execs/job-0001", NULL, 200, "\"state\":\"ended\"");
        expect(rig, "GET /v1/execs/job-0001", NULL, 200, "\"cause\":\"exit\",\"exit_code\":3");
        rig_free(rig);
}

/* One program, whatever is tried again with its id. */
static void test_retries(void **state)
{
        struct rig *rig = rig_new(NULL);

        (void)state;
        for (int i = 0; i < 3; i++)
                expect(rig, START, DETACHED, 202, "job-0001");
        assert_int_equal(rig->pool.execs, 1);
        expect(rig, START, "{ \"exec_id\":\"job-0001\", \"detach\":true, \"argv\":[\"\\u0073h\"] }", 202, "job-0001");
        assert_int_equal(rig->pool.execs, 1);
        expect(rig, START, "{\"argv\":[\"sh\",\"\"],\"detach\":true,\"exec_id\":\"job-0001\"}", 409, "exec_id_taken");
        expect(rig, START, "{\"argv\":[\"sh\"],\"env\":{},\"detach\":true,\"exec_id\":\"job-0001\"}", 409,
               "exec_id_taken");
        expect(rig, START, ATTACHED, 409, "exec_id_taken");
        expect(rig, "POST /v1/carrels/bob/exec", DETACHED, 409, "exec_id_taken");
        end(rig);
        expect(rig, START, DETACHED, 202, "\"state\":\"ended\"");
        assert_int_equal(rig->pool.execs, 1);
        expect(rig, START, "{\"argv\":[\"sh\"],\"detach\":true,\"profile\":\"small\"}", 202, "\"state\":\"running\"");
        assert_string_equal(rig->pool.spec.profile, "small");
        assert_int_equal(rig->pool.execs, 2);
        rig_free(rig);
}

/* An immediate failure is the answer, and frees the id. */
static void test_failures(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct fault broken;

        (void)state;
        (void)fault_set(&rig->pool.fault, FAULT_POOL_FULL, EAGAIN, "the pool is full");
        expect(rig, START, DETACHED, 503, "pool_full");
        expect(rig, START, ATTACHED, 503, "pool_full");
        rig->pool.fault.kind = FAULT_NONE;
        expect(rig, START, DETACHED, 202, "job-0001");
        (void)fault_set(&broken, FAULT_ENGINE_UNAVAILABLE, EIO, "the engine went away");
        rig->pool.exec.sink.on_done(rig->pool.exec.arg, NULL, &broken);
        expect(rig, "GET /v1/execs/job-0001", NULL, 200, "\"state\":\"failed\"");
        expect(rig, "GET /v1/execs/job-0001/output?follow=1", NULL, 200,
               "{\"event\":\"error\",\"seq\":0,\"exec_id\":\"job-0001\",\"error\":{\"code\":\"engine_unavailable\"");
        /* Whether it ran is not known: however often it is asked for, it is not run again. */
        expect(rig, START, DETACHED, 503, "the engine went away");
        expect(rig, START, DETACHED, 503, "the engine went away");
        assert_int_equal(rig->pool.execs, 1);
        rig_free(rig);
}

static const struct {
        const char *body;
        const char *part;
} BAD[] = {
        { "{\"argv\":[\"a\"],\"detach\":1}", "detach must be true or false" },
        { "{\"argv\":[\"a\"],\"exec_id\":\"\"}", "exec_id must be a string of 1 to 64 bytes" },
        { "{\"argv\":[\"a\"],\"exec_id\":\"../../etc\"}", "exec_id may hold" },
        { "{\"argv\":[\"a\"],\"exec_id\":\".12345678\"}", "exec_id may hold" },
        { "{\"argv\":[\"a\"],\"exec_id\":\"a b c d e f\"}", "exec_id may hold" },
};

static void test_bad_requests(void **state)
{
        struct rig *rig = rig_new(NULL);

        (void)state;
        for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
                expect(rig, START, BAD[i].body, 400, BAD[i].part);
        expect(rig, "GET /v1/execs/nobody-1", NULL, 404, "not_found");
        expect(rig, "GET /v1/execs/nobody-1/output", NULL, 404, "not_found");
        expect(rig, START, DETACHED, 202, "");
        expect(rig, "GET /v1/execs/job-0001/output?after=-1", NULL, 400, "seq of an event");
        expect(rig, "GET /v1/execs/job-0001/output?follow=2", NULL, 400, "follow is 0 or 1");
        expect(rig, "GET /v1/execs/job-0001/output?user=ada", NULL, 400, "unknown parameter");
        rig_free(rig);
}

/* The ring holds 64 KiB: a late reader gets an error, and one without a place gets the kept events. */
static void test_history(void **state)
{
        struct rig *rig = rig_new(NULL);
        char text[1001];

        (void)state;
        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = '\0';
        expect(rig, START, DETACHED, 202, "");
        for (int i = 0; i < 1000; i++)
                emit(rig, 1, text);
        expect(rig, "GET /v1/execs/job-0001/output?after=0", NULL, 410, "history_gone");
        expect(rig, "GET /v1/execs/job-0001/output?after=999", NULL, 200, "\"seq\":1000");
        expect(rig, "GET /v1/execs/job-0001/output", NULL, 200, "\"seq\":1000");
        end(rig);
        rig_free(rig);
}

static bool is_cancelled(void *arg)
{
        return ((struct rig *)arg)->pool.exec_cancels > 0;
}

static bool is_started(void *arg)
{
        return ((struct rig *)arg)->pool.exec.is_running;
}

static bool has_line(void *arg)
{
        const struct client *client = arg;

        return client->received.data != NULL && strstr(client->received.data, "\"seq\":1") != NULL;
}

static struct client *begin(struct rig *rig, const char *headers, const char *body)
{
        struct client *client = rig_connect(rig);
        char head[256];

        (void)snprintf(head, sizeof head, START " HTTP/1.1\r\nHost: carrel\r\nContent-Length: %zu\r\n%s\r\n",
                       strlen(body), headers);
        client_say(client, head);
        client_say(client, body);
        return client;
}

/* It waited for its turn, and for too long: the same request is free to wait again. */
static void test_waited_in_vain(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client;
        struct response response;
        struct fault full;

        (void)state;
        (void)fault_set(&full, FAULT_QUEUE_FULL, ETIMEDOUT, "it waited");
        rig->pool.is_queueing = true;
        for (int i = 0; i < 2; i++) {
                client = begin(rig, "", ATTACHED);
                rig_until(rig, is_started, rig);
                rig->pool.exec.is_running = false;
                rig->pool.exec.sink.on_done(rig->pool.exec.arg, NULL, &full);
                response = client_response(client, false);
                assert_int_equal(response.status, 429);
                assert_non_null(strstr(response.head, "Retry-After: "));
                response_free(&response);
                client_close(client);
        }
        assert_int_equal(rig->pool.execs, 2);
        rig_free(rig);
}

/* Two hold the same exec: it is killed when the second has gone too, and its end is kept. */
static void test_attached(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *first = begin(rig, "Accept: application/x-ndjson\r\n", ATTACHED);
        struct client *second;

        (void)state;
        rig_until(rig, is_started, rig);
        emit(rig, 1, "hello");
        second = begin(rig, "Accept: application/x-ndjson\r\n", ATTACHED);
        rig_until(rig, has_line, second);
        rig_until(rig, has_line, first);
        assert_int_equal(rig->pool.execs, 1);
        client_close(first);
        rig_turn(rig);
        assert_int_equal(rig->pool.exec_cancels, 0);
        emit(rig, 1, "still here");
        client_close(second);
        rig_until(rig, is_cancelled, rig);
        expect(rig, "GET /v1/execs/job-0001", NULL, 200, "\"exit_code\":137");
        rig_free(rig);
}

static void test_buffered(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = begin(rig, "", ATTACHED);
        struct response response;

        (void)state;
        rig_until(rig, is_started, rig);
        emit(rig, 1, "out");
        emit(rig, 2, "err");
        end(rig);
        response = client_response(client, false);
        assert_int_equal(response.status, 200);
        assert_non_null(strstr(response.body, "\"exec_id\":\"job-0001\""));
        assert_non_null(strstr(response.body, "\"stdout\":\"out\",\"stderr\":\"err\""));
        response_free(&response);
        client_close(client);
        expect(rig, START, ATTACHED, 200, "\"stdout\":\"out\",\"stderr\":\"err\"");
        assert_int_equal(rig->pool.execs, 1);
        rig_free(rig);
}

/* One that is over at once; whether it was taken. */
static bool run(struct rig *rig, const char *user, int number, const char *output)
{
        char line[64], body[128];
        struct response response;
        bool is_taken;

        (void)snprintf(line, sizeof line, "POST /v1/carrels/%s/exec", user);
        (void)snprintf(body, sizeof body, "{\"argv\":[\"sh\"],\"detach\":true,\"exec_id\":\"%s-%d\"}", user, number);
        response = rig_ask(rig, line, body);
        is_taken = response.status == 202;
        if (!is_taken && (response.status != 429 || strstr(response.body, "on record") == NULL))
                fail_msg("%d %s", response.status, response.body);
        response_free(&response);
        if (is_taken) {
                emit(rig, 1, output);
                end(rig);
        }
        return is_taken;
}

/* Records are bounded (64; 16 a user) by taking no more, never by forgetting what is there: what has run is not run
 * again, whatever others do. Outputs (16; 4 a user) go, those of who has most of them. */
static void test_records(void **state)
{
        static const struct {
                const char *user;
                unsigned taken;
        } CROWD[] = { { "bob", 16 }, { "cyd", 16 }, { "dan", 15 }, { "eve", 1 } };
        struct rig *rig = rig_new(NULL);

        (void)state;
        expect(rig, START, DETACHED, 202, "");
        emit(rig, 1, "one\n");
        end(rig);
        for (size_t i = 0; i < sizeof CROWD / sizeof *CROWD; i++) {
                unsigned taken = 0;

                for (int number = 0; number < 20; number++)
                        taken += run(rig, CROWD[i].user, number, "two\n");
                assert_int_equal(taken, CROWD[i].taken);
        }
        for (int round = 0; round < 2; round++) {
                unsigned execs = rig->pool.execs;

                expect(rig, START, DETACHED, 202, "\"cause\":\"exit\",\"exit_code\":3");
                expect(rig, "GET /v1/execs/bob-0", NULL, 200, "\"first_seq\":2,\"next_seq\":3,\"cause\":\"exit\"");
                expect(rig, "GET /v1/execs/bob-0/output", NULL, 410, "history_gone");
                expect(rig, "GET /v1/execs/bob-0/output?after=1", NULL, 200, "{\"event\":\"exit\",\"seq\":2,");
                expect(rig, "POST /v1/carrels/bob/exec", "{\"argv\":[\"sh\"],\"detach\":true,\"exec_id\":\"bob-0\"}",
                       202, "its output is not kept");
                assert_int_equal(rig->pool.execs, execs);
                if (round > 0)
                        break;
                expect(rig, "GET /v1/execs/job-0001/output", NULL, 200, "\"data\":\"one\\n\"");
                expect(rig, "GET /v1/execs/bob-11/output", NULL, 410, "not kept any more");
                expect(rig, "GET /v1/execs/bob-12/output", NULL, 200, "two");
                rig_restart(rig);
                assert_false(run(rig, "bob", 20, ""));
        }
        assert_true(run(rig, "fay", 0, ""));
        rig_free(rig);
}

/* By bytes (256 KiB in all, 64 a user): his own output goes, ended first. */
static void test_history_in_shares(void **state)
{
        static char text[30001];
        struct rig *rig = rig_new(NULL);

        (void)state;
        memset(text, 'x', sizeof text - 1);
        expect(rig, START, DETACHED, 202, "");
        emit(rig, 1, "one\n");
        end(rig);
        for (int i = 0; i < 12; i++) {
                assert_true(run(rig, "bob", i, text));
                assert_true(run(rig, "cyd", i, text));
                assert_true(run(rig, "dan", i, text));
        }
        expect(rig, "GET /v1/execs/job-0001/output", NULL, 200, "\"data\":\"one\\n\"");
        expect(rig, "GET /v1/execs/bob-9/output", NULL, 410, "");
        expect(rig, "GET /v1/execs/bob-11/output", NULL, 200, "xxx");
        rig_free(rig);
}

/* Execs that wait for their carrels hold their requests, 64 KB each here: 256 KiB in all, and what has failed holds
 * none. */
static void test_waiting_is_bounded(void **state)
{
        struct rig *rig = rig_new(NULL);
        static char body[65 << 10];
        char text[64001];

        (void)state;
        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = '\0';
        rig->pool.answer = ANSWER_LATER;
        for (int round = 0; round < 2; round++) {
                for (int i = 0; i < 6; i++) {
                        (void)snprintf(body, sizeof body,
                                       "{\"argv\":[\"sh\",\"%s\"],\"detach\":true,\"exec_id\":\"number-%d\"}", text, i);
                        expect(rig, START, body, i < 4 ? 202 : 429, i < 4 ? "waiting" : "queue_full");
                }
                assert_int_equal(double_waiting(&rig->pool), 4);
                (void)fault_set(&rig->pool.fault, FAULT_ENGINE_UNAVAILABLE, EIO, "no engine");
                double_answer_all(&rig->pool);
                rig->pool.fault = (struct fault){ 0 };
        }
        rig_free(rig);
}

/* ---- another carreld ---- */

/* It had ended: the answer says so again, and that its output is gone; nothing runs twice. */
static void test_ended_outlives_carreld(void **state)
{
        struct rig *rig = rig_new(NULL);

        (void)state;
        expect(rig, START, DETACHED, 202, "");
        emit(rig, 1, "one\n");
        end(rig);
        rig_restart(rig);
        expect(rig, "GET /v1/execs/job-0001", NULL, 200, "\"state\":\"ended\",\"detached\":true");
        expect(rig, "GET /v1/execs/job-0001", NULL, 200,
               "\"first_seq\":2,\"next_seq\":3,\"cause\":\"exit\",\"exit_code\":3");
        expect(rig, START, DETACHED, 202, "its output is not kept");
        expect(rig, START, ATTACHED, 409, "exec_id_taken");
        expect(rig, "POST /v1/carrels/bob/exec", DETACHED, 409, "exec_id_taken");
        expect(rig, "GET /v1/execs/job-0001/output", NULL, 410, "history_gone");
        expect(rig, "GET /v1/execs/job-0001/output?after=0", NULL, 410, "carreld has been restarted since");
        expect(rig, "GET /v1/execs/job-0001/output?after=1&follow=1", NULL, 200, "{\"event\":\"exit\",\"seq\":2,");
        assert_int_equal(rig->pool.execs, 1);
        jobs_settle(rig->jobs);
        assert_int_equal(rig->pool.announcements, 0);
        rig_restart(rig);
        expect(rig, "GET /v1/execs/job-0001", NULL, 200, "\"exit_code\":3");
        rig_free(rig);
}

/* It ran: it is dead when the pool has reconciled, which is reported once; a retry waits until then. */
static void test_running_is_lost_with_carreld(void **state)
{
        static const char LOST[] = "\"cause\":\"carrel_lost\",\"exit_code\":137";
        struct rig *rig = rig_new(NULL);
        struct client *client;
        struct response response;

        (void)state;
        expect(rig, START, DETACHED, 202, "");
        emit(rig, 1, "one\n");
        rig_restart(rig);
        expect(rig, "GET /v1/execs/job-0001", NULL, 200, "\"state\":\"running\"");
        client = rig_connect(rig);
        client_say(client, "GET /v1/execs/job-0001/output?after=1&follow=1 HTTP/1.1\r\nHost: carrel\r\n\r\n");
        rig_turn(rig);
        jobs_settle(rig->jobs);
        response = client_response(client, false);
        assert_non_null(strstr(response.body, "{\"event\":\"exit\",\"seq\":2,"));
        assert_non_null(strstr(response.body, "carreld was restarted while it ran"));
        response_free(&response);
        client_close(client);
        assert_string_equal(rig->pool.announced, "ada carreld was restarted");
        expect(rig, "GET /v1/execs/job-0001", NULL, 200, LOST);
        expect(rig, START, DETACHED, 202, LOST);
        rig_restart(rig);
        jobs_settle(rig->jobs);
        expect(rig, "GET /v1/execs/job-0001", NULL, 200, LOST);
        expect(rig, "GET /v1/execs/job-0001", NULL, 200, "carreld was restarted while it ran");
        assert_int_equal(rig->pool.announcements, 1);
        assert_int_equal(rig->pool.execs, 1);
        rig_free(rig);
}

/* In a list: what runs, and what is kept, by state and user, the latest first. */
static void test_listed(void **state)
{
        struct rig *rig = rig_new(NULL);

        (void)state;
        rig->execs.running = 1;
        expect(rig, START, DETACHED, 202, "");
        end(rig);
        expect(rig, START, "{\"argv\":[\"make\"],\"detach\":true,\"exec_id\":\"second\"}", 202, "");
        end(rig);
        rig->pool.answer = ANSWER_LATER;
        expect(rig, "POST /v1/carrels/bob/exec", "{\"argv\":[\"ls\"],\"detach\":true,\"exec_id\":\"third\"}", 202,
               "\"state\":\"waiting\"");
        expect(rig, "GET /v1/execs", NULL, 200,
               "{\"execs\":[{\"exec_id\":\"e1\",\"user\":\"ada\",\"container_id\":\"c1\",\"program\":\"sleep\","
               "\"command\":\"sleep 60\",\"state\":\"running\",\"age_s\":1.5,\"running_s\":1.5}],\"truncated\":false}");
        expect(rig, "GET /v1/execs?state=ended&user=ada", NULL, 200, "{\"execs\":[{\"exec_id\":\"second\"");
        expect(rig, "GET /v1/execs?state=ended&user=ada", NULL, 200, "},{\"exec_id\":\"job-0001\"");
        expect(rig, "GET /v1/execs?state=ended", NULL, 200, "\"cause\":\"exit\",\"exit_code\":3");
        expect(rig, "GET /v1/execs?state=ended&user=bob", NULL, 200, "{\"execs\":[],");
        expect(rig, "GET /v1/execs?state=waiting", NULL, 200, "{\"execs\":[{\"exec_id\":\"third\",\"user\":\"bob\"");
        expect(rig, "GET /v1/execs?state=failed", NULL, 200, "{\"execs\":[],");
        expect(rig, "GET /v1/execs?state=all", NULL, 200, "{\"execs\":[{\"exec_id\":\"e1\"");
        expect(rig, "GET /v1/execs?state=all", NULL, 200, "},{\"exec_id\":\"third\"");
        expect(rig, "GET /v1/execs?state=over", NULL, 400, "state is one of waiting, running, ended, failed, all");
        rig->execs.running = 0;
        rig_restart(rig);
        expect(rig, "GET /v1/execs?state=failed", NULL, 200, "{\"execs\":[{\"exec_id\":\"third\"");
        expect(rig, "GET /v1/execs?state=ended", NULL, 200, "\"exec_id\":\"second\"");
        rig_free(rig);
}

static unsigned count_listed(struct rig *rig, const char *exec_id)
{
        struct response response = rig_ask(rig, "GET /v1/execs?state=all", NULL);
        char member[64];
        unsigned count = 0;

        (void)snprintf(member, sizeof member, "{\"exec_id\":\"%s\"", exec_id);
        for (const char *at = response.body; (at = strstr(at, member)) != NULL; at++)
                count++;
        response_free(&response);
        return count;
}

/* An exec is a job, too, and may be over before the list has come to the jobs. */
static void test_listed_once(void **state)
{
        struct rig *rig = rig_new(NULL);

        (void)state;
        expect(rig, START, "{\"argv\":[\"make\"],\"detach\":true,\"exec_id\":\"e1\"}", 202, "");
        assert_int_equal(count_listed(rig, "e1"), 1);
        rig->execs.running = 1; /* "e1" */
        assert_int_equal(count_listed(rig, "e1"), 1);
        end(rig);
        assert_int_equal(count_listed(rig, "e1"), 1);
        rig_free(rig);
}

/* Whole pieces of a list are empty where nothing that was looked at is asked for. */
static void test_few_of_many_are_listed(void **state)
{
        static const struct {
                const char *line, *begin;
        } CASES[] = {
                { "GET /v1/execs?user=cyd", "{\"execs\":[ " },
                { "GET /v1/execs?user=ada", "{\"execs\":[{\"exec_id\":\"e1\"" },
                { "GET /v1/execs?state=all&user=cyd", "{\"execs\":[ " },
        };
        struct rig *rig = rig_new(NULL);

        (void)state;
        rig->execs.running = 5000;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                expect(rig, CASES[i].line, NULL, 200, CASES[i].begin);
                expect(rig, CASES[i].line, NULL, 200, " ],\"truncated\":false}");
        }
        rig_free(rig);
}

static void test_a_walk_outlives_jobs(void **state)
{
        static const char *const IDS[] = { "first", "second", "third" };
        struct rig *rig = rig_new(NULL);
        struct jobs_walk walk, other;
        char body[96];

        (void)state;
        for (size_t i = 0; i < sizeof IDS / sizeof *IDS; i++) {
                (void)snprintf(body, sizeof body, "{\"argv\":[\"make\"],\"detach\":true,\"exec_id\":\"%s\"}", IDS[i]);
                expect(rig, START, body, 202, "");
                end(rig);
        }
        jobs_walk_begin(rig->jobs, &walk);
        jobs_walk_begin(rig->jobs, &other);
        assert_ptr_equal(jobs_walk_next(&walk), jobs_find(rig->jobs, "third"));
        job_free(jobs_find(rig->jobs, "second")); /* where it stands */
        job_free(jobs_find(rig->jobs, "third"));  /* after it, and where the other one is */
        expect(rig, START, DETACHED, 202, "");
        assert_ptr_equal(jobs_walk_next(&walk), jobs_find(rig->jobs, "first"));
        assert_null(jobs_walk_next(&walk));
        assert_ptr_equal(jobs_walk_next(&other), jobs_find(rig->jobs, "first"));
        jobs_walk_end(&walk);
        jobs_walk_end(&other);
        rig_free(rig);
}

/* The client of a buffered exec lost its connection with carreld, and asks again. */
static void test_buffered_retry_after_a_restart(void **state)
{
        struct rig *rig = rig_new(NULL);
        struct client *client = begin(rig, "", ATTACHED);
        struct response response;

        (void)state;
        rig_until(rig, is_started, rig);
        emit(rig, 1, "out");
        end(rig);
        response = client_response(client, false);
        response_free(&response);
        rig_restart(rig);
        expect(rig, START, ATTACHED, 200, "\"exit_code\":3");
        expect(rig, START, ATTACHED, 200, "its output is not kept");
        expect(rig, START, ATTACHED, 200, "\"stdout_truncated\":true,\"stderr_truncated\":false");
        assert_int_equal(rig->pool.execs, 1);
        rig_free(rig);
}

/* It asks again before the pool has reconciled, as a stream; and one that left by then has not killed anything. */
static void test_streamed_retry_after_a_restart(void **state)
{
        static const char STREAM[] = "Accept: application/x-ndjson\r\n";
        struct rig *rig = rig_new(NULL);
        struct client *client = begin(rig, STREAM, ATTACHED);
        struct response response;

        (void)state;
        rig_until(rig, is_started, rig);
        emit(rig, 1, "out");
        rig_until(rig, has_line, client);
        rig_restart(rig);
        client = begin(rig, STREAM, ATTACHED);
        rig_turn(rig);
        client_close(client);
        rig_turn(rig);
        client = begin(rig, STREAM, ATTACHED);
        rig_turn(rig);
        jobs_settle(rig->jobs);
        response = client_response(client, false);
        assert_int_equal(response.status, 200);
        assert_non_null(strstr(response.head, "\r\nCarrel-Exec-Id: job-0001\r\n"));
        assert_ptr_equal(strstr(response.body, "{\"event\":\"exit\",\"seq\":2,"), response.body);
        assert_non_null(strstr(response.body, "\"cause\":\"carrel_lost\""));
        response_free(&response);
        assert_int_equal(rig->pool.execs, 1);
        rig_free(rig);
}

/* Nothing had run: it is said to have failed, and the same request runs it. */
static void test_waiting_is_free_after_a_restart(void **state)
{
        struct rig *rig = rig_new(NULL);

        (void)state;
        rig->pool.is_queueing = true;
        expect(rig, START, DETACHED, 202, "");
        rig_restart(rig);
        expect(rig, "GET /v1/execs/job-0001", NULL, 200, "\"state\":\"failed\"");
        expect(rig, "GET /v1/execs/job-0001", NULL, 200, "carreld was restarted before the program was started");
        expect(rig, "GET /v1/execs/job-0001/output", NULL, 200, "{\"event\":\"error\",\"seq\":0");
        rig->pool.is_queueing = false;
        expect(rig, START, DETACHED, 202, "\"state\":\"running\"");
        assert_int_equal(rig->pool.execs, 2);
        end(rig);
        rig_restart(rig);
        expect(rig, "GET /v1/execs/job-0001", NULL, 200, "\"exit_code\":3");
        rig_free(rig);
}

/* carreld up to 0.1 made the digest of the body's bytes: the same bytes are the same request after an upgrade. */
static void test_former_digest(void **state)
{
        static const char BODY[] = "d" DETACHED; /* "d": detached */
        struct job_entry entry = { .exec_id = "job-0001", .user = "ada", .program = "sh", .is_detached = true };
        const struct job_end over = {
                .state = JOB_ENDED, .cause = EXEC_EXIT, .exit_code = 3, .ended_ms = clock_boottime_ms()
        };
        struct rig *rig = rig_new(NULL);
        struct sha256_ctx sha;
        int slot;

        (void)state;
        sha256_init(&sha);
        sha256_update(&sha, sizeof BODY - 1, (const uint8_t *)BODY);
        sha256_digest(&sha, sizeof entry.digest, entry.digest);
        assert_int_equal(job_registry_enter(rig->registry, &entry, &slot), 0);
        job_registry_launch(rig->registry, slot, 1);
        job_registry_end(rig->registry, slot, &over);
        rig_restart(rig);
        expect(rig, START, DETACHED, 202, "\"exit_code\":3");
        expect(rig, START, "{\"argv\":[\"ls\"],\"detach\":true,\"exec_id\":\"job-0001\"}", 409, "exec_id_taken");
        assert_int_equal(rig->pool.execs, 0);
        rig_free(rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_detached),
                cmocka_unit_test(test_retries),
                cmocka_unit_test(test_failures),
                cmocka_unit_test(test_bad_requests),
                cmocka_unit_test(test_history),
                cmocka_unit_test(test_waited_in_vain),
                cmocka_unit_test(test_attached),
                cmocka_unit_test(test_buffered),
                cmocka_unit_test(test_records),
                cmocka_unit_test(test_history_in_shares),
                cmocka_unit_test(test_waiting_is_bounded),
                cmocka_unit_test(test_listed),
                cmocka_unit_test(test_listed_once),
                cmocka_unit_test(test_few_of_many_are_listed),
                cmocka_unit_test(test_a_walk_outlives_jobs),
                cmocka_unit_test(test_ended_outlives_carreld),
                cmocka_unit_test(test_running_is_lost_with_carreld),
                cmocka_unit_test(test_buffered_retry_after_a_restart),
                cmocka_unit_test(test_streamed_retry_after_a_restart),
                cmocka_unit_test(test_waiting_is_free_after_a_restart),
                cmocka_unit_test(test_former_digest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
