/* Bad input over the real socket gets one clear error and no memory, and its connection is closed where it must be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

enum {
        MIB = 1 << 20,
        LARGE_BODY_BYTES = MIB + 4096,
        HEADER_BYTES = 20000,
        ANSWER_BYTES = 65536,
        FLOODS = 100,
        RSS_SLACK_KB = 32 * 1024
};

/* ---- requests that are HTTP ---- */

#define LONG_ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 65 */
#define EXEC "/v1/carrels/ada/exec"

static const struct {
        const char *method, *path, *body;
        int status;
        const char *code;
} REQUESTS[] = {
        { "PUT", "/v1/carrels/..", NULL, 400, "user_id_invalid" },
        { "PUT", "/v1/carrels/%2e%2e", NULL, 400, "user_id_invalid" },
        { "PUT", "/v1/carrels/a%2fb", NULL, 400, "user_id_invalid" },
        { "PUT", "/v1/carrels/a%00b", NULL, 400, "user_id_invalid" },
        { "PUT", "/v1/carrels/a%0ab", NULL, 400, "user_id_invalid" },
        { "PUT", "/v1/carrels/a%1b%5b31m", NULL, 400, "user_id_invalid" },
        { "PUT", "/v1/carrels/%c3%a9", NULL, 400, "user_id_invalid" },
        { "PUT", "/v1/carrels/-dash", NULL, 400, "user_id_invalid" },
        { "PUT", "/v1/carrels/" LONG_ID, NULL, 400, "user_id_invalid" },
        { "PUT", "/v1/carrels/ada", "{", 400, "request_invalid" },
        { "PUT", "/v1/carrels/ada", "[]", 400, "request_invalid" },
        { "PUT", "/v1/carrels/ada", "null", 400, "request_invalid" },
        { "PUT", "/v1/carrels/ada", "{} {}", 400, "request_invalid" },
        { "PUT", "/v1/carrels/ada", "{\"unknown\":1}", 400, "request_invalid" },
        { "PUT", "/v1/carrels/ada", "{\"policy\":\"internet\",\"policy\":\"none\"}", 400, "request_invalid" },
        { "PUT", "/v1/carrels/ada", "{\"policy\":\"open\"}", 400, "request_invalid" },
        { "PUT", "/v1/carrels/ada", "{\"policy\":7}", 400, "request_invalid" },
        { "PUT", "/v1/carrels/ada", "{\"image\":\"a\\u0000b\"}", 400, "request_invalid" },
        { "PUT", "/v1/carrels/ada", "{\"limits\":{\"memory\":\"1t\"}}", 400, "request_invalid" },
        { "PUT", "/v1/carrels/ada", "{\"limits\":{\"memory\":\"1000g\"}}", 400, "request_invalid" },
        { "PUT", "/v1/carrels/ada", "{\"limits\":{\"pids\":-1}}", 400, "request_invalid" },
        { "PUT", "/v1/carrels/ada", "{\"limits\":{\"pids\":1e99}}", 400, "request_invalid" },
        { "PUT", "/v1/carrels/ada", "{\"limits\":{\"cpus\":\"1\"}}", 400, "request_invalid" },
        { "PUT", "/v1/carrels/ada", "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]", 400, "request_invalid" },
        { "PUT", "/v1/carrels/ada", "{\"a\":\"\xff\xfe\"}", 400, "request_invalid" },
        { "PUT", "/v1/carrels/ada?x=1", NULL, 400, "request_invalid" },
        { "GET", "/v1/carrels?limit=0", NULL, 400, "request_invalid" },
        { "GET", "/v1/carrels?limit=9999999999999999999999", NULL, 400, "request_invalid" },
        { "GET", "/v1/carrels?state=none", NULL, 400, "request_invalid" },
        { "GET", "/v1/carrels/ada", NULL, 404, "not_found" },
        { "GET", "/nowhere", NULL, 404, "not_found" },
        { "GET", "/v1", NULL, 404, "not_found" },
        { "POST", "/v1/carrels/ada", NULL, 405, "method_not_allowed" },
        { "BREW", "/v1/info", NULL, 405, "method_not_allowed" },
        { "POST", EXEC, "{}", 400, "request_invalid" },
        { "POST", EXEC, "{\"argv\":[]}", 400, "request_invalid" },
        { "POST", EXEC, "{\"argv\":[1]}", 400, "request_invalid" },
        { "POST", EXEC, "{\"argv\":\"true\"}", 400, "request_invalid" },
        { "POST", EXEC, "{\"argv\":[\"true\"],\"cwd\":\"relative\"}", 400, "request_invalid" },
        { "POST", EXEC, "{\"argv\":[\"true\"],\"timeout_s\":-1}", 400, "request_invalid" },
        { "POST", EXEC, "{\"argv\":[\"true\"],\"stdin\":\"a\",\"stdin_b64\":\"YQ==\"}", 400, "request_invalid" },
        { "POST", EXEC, "{\"argv\":[\"true\"],\"stdin_b64\":\"!\"}", 400, "request_invalid" },
        { "POST", EXEC, "{\"argv\":[\"true\"],\"env\":{\"A=B\":\"c\"}}", 400, "request_invalid" },
        { "POST", "/v1/carrels/ada/touch", "{\"lease_s\":86401}", 400, "request_invalid" },
        { "POST", "/v1/carrels/ada/touch", "{}", 404, "not_found" },
        { "POST", "/v1/execs/nope/signal", "{\"signal\":15}", 404, "not_found" },
        { "POST", "/v1/execs/nope/signal", "{\"signal\":65}", 400, "request_invalid" },
        { "POST", "/v1/reap", "{\"idle_s\":-1}", 400, "request_invalid" },
};

static void bad_requests_get_one_clear_error(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof REQUESTS / sizeof *REQUESTS; i++) {
                struct answer answer = request(CARREL_SOCKET, REQUESTS[i].method, REQUESTS[i].path, REQUESTS[i].body);

                if (answer.status != REQUESTS[i].status ||
                    strcmp(answer_text(&answer, "error.code"), REQUESTS[i].code) != 0 ||
                    answer_text(&answer, "error.message")[0] == '\0')
                        fail_msg("%s %s %s: %d %s", REQUESTS[i].method, REQUESTS[i].path,
                                 REQUESTS[i].body != NULL ? REQUESTS[i].body : "", answer.status, answer.body);
                answer_release(&answer);
        }
        assert_int_equal(engine_count(LABEL_PRODUCT), 0);
}

/* ---- bytes that are hardly HTTP; status 0: closed without a word ---- */

static char big[MIB + MIB];

static void expect_raw(const char *bytes, size_t length, int status, double deadline_s)
{
        static char answer[ANSWER_BYTES];
        bool has_closed = false;
        int seen = 0;

        raw_request(CARREL_SOCKET, bytes, length, answer, sizeof answer, deadline_s, &has_closed);
        (void)sscanf(answer, "HTTP/1.%*d %d", &seen);
        if (seen != status || !has_closed)
                fail_msg("%.60s...: %d, %s; %.200s", bytes, seen, has_closed ? "closed" : "left open", answer);
}

#define BYTES(text) text, sizeof text - 1

static void malformed_bytes_are_refused_and_cut(void **state)
{
        static const struct {
                const char *bytes;
                size_t length;
                int status;
        } cases[] = {
                { BYTES("nonsense\r\n\r\n"), 0 },
                { BYTES("PUT /v1/carrels/ada HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                  400 },
                { BYTES("PUT /v1/carrels/ada HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n"), 400 },
                { BYTES("PUT /v1/carrels/ada HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"), 413 },
                { BYTES("PUT /v1/carrels/ada\0b HTTP/1.1\r\nHost: x\r\n\r\n"), 400 },
                { BYTES("PUT /v1/carrels/ada HTTP/1.1\nHost: x\n\n"), 400 },
                { BYTES("PUT /v1/carrels/ada HTTP/1.1\r\nHost: x\r\nX-Continued: a\r\n b\r\n\r\n"), 400 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
                expect_raw(cases[i].bytes, cases[i].length, cases[i].status, PATIENCE_S);
        assert_int_equal(engine_count(LABEL_PRODUCT), 0);
}

/* Head, `length` times the filler, tail, in `big`; returns the whole length. */
static size_t compose(const char *head, char filler, size_t length, const char *tail)
{
        FILE *file = fmemopen(big, sizeof big, "w");
        size_t whole = strlen(head) + length + strlen(tail);

        assert_true(file != NULL && whole < sizeof big);
        fputs(head, file);
        for (size_t i = 0; i < length; i++)
                fputc(filler, file);
        fputs(tail, file);
        fclose(file);
        return whole;
}

static void large_headers_are_refused(void **state)
{
        size_t length = compose("GET /v1/info HTTP/1.1\r\nHost: x\r\nX-Large: ", 'a', HEADER_BYTES, "\r\n\r\n");

        (void)state;
        expect_raw(big, length, 431, PATIENCE_S);
}

static size_t large_body(void)
{
        char head[128];

        snprintf(head, sizeof head, "POST " EXEC " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n",
                 LARGE_BODY_BYTES);
        return compose(head, ' ', LARGE_BODY_BYTES, "\r\n0\r\n\r\n");
}

static long rss_kb(void)
{
        char path[64];
        long pages = 0;
        FILE *file;

        snprintf(path, sizeof path, "/proc/%d/statm", carreld_pid(carreld));
        file = fopen(path, "re");
        assert_non_null(file);
        assert_int_equal(fscanf(file, "%*d %ld", &pages), 1);
        fclose(file);
        return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A megabyte and more each time, and memory stays where the first one left it. */
static void large_bodies_are_refused_and_forgotten(void **state)
{
        size_t length = large_body();
        long before_kb;

        (void)state;
        expect_raw(big, length, 413, PATIENCE_S);
        before_kb = rss_kb();
        for (unsigned i = 0; i < FLOODS; i++)
                expect_raw(big, length, 413, PATIENCE_S);
        assert_in_range(rss_kb(), 1, before_kb + RSS_SLACK_KB);
}

static void slow_clients_are_cut(void **state)
{
        static const char half[] = "PUT /v1/carrels/ada HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{";
        double began_s = now_s();

        (void)state;
        expect_raw(half, sizeof half - 1, 408, PATIENCE_S);
        assert_true(now_s() - began_s > 5.0);
}

static void the_socket_is_for_its_group_alone(void **state)
{
        static struct output output;

        (void)state;
        RUN(&output, "stat", "--format=%a %U", CARREL_SOCKET);
        assert_string_equal(output.text, "660 root\n");
        RUN(&output, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-s", "--unix-socket",
            CARREL_SOCKET, "http://carrel/healthz");
        assert_int_not_equal(output.status, 0);
        RUN(&output, "curl", "-s", "--unix-socket", CARREL_SOCKET, "http://carrel/healthz");
        assert_int_equal(output.status, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(bad_requests_get_one_clear_error),
                cmocka_unit_test(malformed_bytes_are_refused_and_cut),
                cmocka_unit_test(large_headers_are_refused),
                cmocka_unit_test(large_bodies_are_refused_and_forgotten),
                cmocka_unit_test(slow_clients_are_cut),
                cmocka_unit_test(the_socket_is_for_its_group_alone),
        };

        return suite_run(&(struct suite){
                .name = "api-limits",
                .kind = SUITE_CARRELD,
                SUITE_TESTS(tests),
        });
}
