/* Output in Docker's frames, pulled from the pipes of real programs: whole, in order, bounded, and with its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "suite.h"

enum { REQUEST_BYTES = 1024, ANSWER_BYTES = 48 << 20, TEXT_BYTES = 256, HEAD_BYTES = 8 };
enum { OUTPUT = 1, ERRORS = 2, REPORT = 3 };

static void set_up(void)
{
        carreld_must_ensure("ada");
}

/* ---- a client ---- */

struct heard {
        char texts[REPORT + 1][TEXT_BYTES]; /* the beginning of each */
        size_t lengths[REPORT + 1];
        uint64_t sum; /* of stdout's bytes, weighed by their place */
        bool has_closed;
        cJSON *report;
};

static size_t write_request(char request[static REQUEST_BYTES], const char *script, double timeout_s)
{
        cJSON *body = cJSON_CreateObject();
        cJSON *argv = cJSON_AddArrayToObject(body, "argv");
        char *text;
        int length;

        cJSON_AddItemToArray(argv, cJSON_CreateString("sh"));
        cJSON_AddItemToArray(argv, cJSON_CreateString("-c"));
        cJSON_AddItemToArray(argv, cJSON_CreateString(script));
        if (timeout_s > 0)
                cJSON_AddNumberToObject(body, "timeout_s", timeout_s);
        text = cJSON_PrintUnformatted(body);
        assert_non_null(text);
        length = snprintf(request, REQUEST_BYTES,
                          "POST /v1/carrels/ada/exec HTTP/1.1\r\nHost: c\r\n"
                          "Accept: application/vnd.docker.multiplexed-stream\r\nContent-Length: %zu\r\n\r\n%s",
                          strlen(text), text);
        assert_in_range(length, 1, REQUEST_BYTES - 1);
        cJSON_free(text);
        cJSON_Delete(body);
        return (size_t)length;
}

static void keep(struct heard *heard, unsigned type, const char *bytes, size_t length)
{
        size_t at = heard->lengths[type];
        size_t room = at < TEXT_BYTES - 1 ? TEXT_BYTES - 1 - at : 0;

        if (room > 0)
                memcpy(heard->texts[type] + at, bytes, length < room ? length : room);
        for (size_t i = 0; type == OUTPUT && i < length; i++)
                heard->sum += (at + i + 1) * (unsigned char)bytes[i];
        heard->lengths[type] += length;
}

static void parse(struct heard *heard, const char *at, size_t left)
{
        while (left > 0) {
                const unsigned char *head = (const unsigned char *)at;
                size_t length;

                assert_true(left >= HEAD_BYTES && head[0] >= OUTPUT && head[0] <= REPORT);
                assert_int_equal(heard->lengths[REPORT], 0); /* it is the last */
                length = (size_t)head[4] << 24 | (size_t)head[5] << 16 | (size_t)head[6] << 8 | head[7];
                assert_true(left - HEAD_BYTES >= length);
                keep(heard, head[0], at + HEAD_BYTES, length);
                at += HEAD_BYTES + length;
                left -= HEAD_BYTES + length;
        }
}

static void hear(struct heard *heard, const char *script, double timeout_s)
{
        static char answer[ANSWER_BYTES];
        char request[REQUEST_BYTES];
        size_t length = write_request(request, script, timeout_s);
        const char *body;

        *heard = (struct heard){ 0 };
        length = raw_request(CARREL_SOCKET, request, length, answer, sizeof answer, 60.0, &heard->has_closed);
        body = strstr(answer, "\r\n\r\n");
        if (!heard->has_closed || body == NULL || strncmp(answer, "HTTP/1.1 200 ", 13) != 0)
                fail_msg("%s: %zu bytes, %.300s", script, length, answer);
        body += 4;
        parse(heard, body, length - (size_t)(body - answer));
        heard->report = cJSON_Parse(heard->texts[REPORT]);
        if (heard->report == NULL)
                fail_msg("%s: no report", script);
}

static const char *report_text(const struct heard *heard, const char *name)
{
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(heard->report, name));

        return text != NULL ? text : "";
}

/* ---- the cases ---- */

static void output_and_end(void **state)
{
        static const struct {
                const char *script, *output, *errors, *cause;
                int exit_code; /* -1: any */
                double timeout_s;
        } CASES[] = {
                { "echo out; echo err >&2; exit 3", "out\n", "err\n", "exit", 3, 20 },
                { "true", "", "", "exit", 0, 20 },
                { "exec /no/such", "", NULL, "exit", 127, 20 },
                { "echo x; kill -KILL $$", "x\n", "", "signal", -1, 20 },
                { "echo before; sleep 1000", "before\n", "", "timeout", 124, 0.5 },
                { "echo mine; sleep 1000 &", "mine\n", "", "exit", 0, 20 },
                { "sleep 0.1; echo late >&2; sleep 0.1; echo later", "later\n", "late\n", "exit", 0, 20 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct heard heard;

                hear(&heard, CASES[i].script, CASES[i].timeout_s);
                assert_string_equal(heard.texts[OUTPUT], CASES[i].output);
                if (CASES[i].errors != NULL)
                        assert_string_equal(heard.texts[ERRORS], CASES[i].errors);
                if (strcmp(report_text(&heard, "cause"), CASES[i].cause) != 0)
                        fail_msg("%s: %s", CASES[i].script, heard.texts[REPORT]);
                if (CASES[i].exit_code >= 0)
                        assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(heard.report, "exit_code")),
                                         CASES[i].exit_code);
                assert_string_equal(report_text(&heard, "event"), "exit");
                cJSON_Delete(heard.report);
        }
}

/* Every byte, whatever its value, in its place; the other stream beside it. */
static void a_flood_is_whole(void **state)
{
        enum { LINES = 2000000, BYTES = 8 * LINES };
        struct heard heard;
        uint64_t sum = 0, at = 0;

        (void)state;
        hear(&heard, "(yes error | head -c 3000000 >&2) & seq -w 1 2000000; wait", 0);
        assert_int_equal(heard.lengths[OUTPUT], BYTES);
        assert_int_equal(heard.lengths[ERRORS], 3000000);
        for (unsigned line = 1; line <= LINES; line++) {
                char text[16];

                (void)snprintf(text, sizeof text, "%07u\n", line);
                for (const char *byte = text; *byte != '\0'; byte++)
                        sum += ++at * (unsigned char)*byte;
        }
        assert_true(heard.sum == sum);
        cJSON_Delete(heard.report);
}

static int begin(const char *script, double timeout_s)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = CARREL_SOCKET };
        char request[REQUEST_BYTES];
        size_t length = write_request(request, script, timeout_s);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(write(fd, request, length), (ssize_t)length);
        return fd;
}

/* A program that writes without end is ended by its deadline or by the end of the program that started it, however fast
 * its output is read. */
static void what_never_ends_ends(void **state)
{
        static const struct {
                const char *script, *cause;
                double timeout_s;
        } CASES[] = {
                { "yes", "\"cause\":\"timeout\"", 0.3 },
                { "trap '' TERM; while :; do echo x; done", "\"cause\":\"timeout\"", 0.3 },
                { "yes & exit 0", "\"cause\":\"exit\"", 100 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                static char bytes[TEXT_BYTES + (1 << 18)];
                int fd = begin(CASES[i].script, CASES[i].timeout_s);
                size_t held = 0;
                ssize_t n;

                while ((n = read(fd, bytes + held, sizeof bytes - held)) > 0) {
                        size_t kept = held + (size_t)n < TEXT_BYTES ? held + (size_t)n : TEXT_BYTES;

                        memmove(bytes, bytes + held + (size_t)n - kept, kept);
                        held = kept;
                }
                close(fd);
                assert_int_equal(n, 0);
                if (memmem(bytes, held, CASES[i].cause, strlen(CASES[i].cause)) == NULL)
                        fail_msg("%s: %.*s", CASES[i].script, (int)held, bytes);
        }
}

/* Of the program below, and not of this one, which does not match itself. */
static int count_unread(void)
{
        char text[64];

        carreld_must_exec("ada", "grep -ls 'yes.unrea[d]' /proc/[0-9]*/cmdline | wc -l", text, sizeof text);
        return atoi(text);
}

static bool is_there(void *arg)
{
        (void)arg;
        return count_unread() == 1;
}

static bool is_gone(void *arg)
{
        (void)arg;
        return count_unread() == 0;
}

/* A client that never reads stops the program, and when it goes the program goes, too. */
static void a_client_that_does_not_read(void **state)
{
        int fd = begin("exec yes unread", 0);
        char byte;

        (void)state;
        assert_int_equal(read(fd, &byte, 1), 1); /* it is started, and about to execve */
        assert_true(wait_until(is_there, NULL, PATIENCE_S));
        close(fd);
        assert_true(wait_until(is_gone, NULL, PATIENCE_S));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(output_and_end),
                cmocka_unit_test(a_flood_is_whole),
                cmocka_unit_test(what_never_ends_ends),
                cmocka_unit_test(a_client_that_does_not_read),
        };

        return suite_run(&(struct suite){
                .name = "exec_frames",
                .kind = SUITE_CARRELD,
                .set_up = set_up,
                SUITE_TESTS(tests),
        });
}
