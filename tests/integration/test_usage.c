/* The usage that carreld reports, compared with what the programs themselves have counted. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

static const char *const SETTINGS[] = { "CARREL_MEMORY=512m", "CARREL_EXEC_TIMEOUT_S=0.4", "CARREL_IDLE_TTL_S=10000",
                                        NULL };

static void set_up(void)
{
        char path[] = CARREL_USERS "/ada/probe";

        carreld_must_ensure("ada");
        MUST_RUN("install", "-m755", built_program("tests/integration/usage-probe"), path);
}

/* Counters are compared with a part of the expected value, and no wall clock is read. */
static void expect_near(const char *what, double is, double expected, double tolerance)
{
        if (!(fabs(is - expected) <= tolerance))
                fail_msg("%s is %.0f, not %.0f +- %.0f", what, is, expected, tolerance);
}

/* ---- of one exec ---- */

enum { MIB = 1 << 20 };

static void expect_used(const struct answer *answer)
{
        double own_us = strtod(answer_text(answer, "stdout"), NULL);

        assert_int_equal(answer_number(answer, "exit_code"), 0);
        assert_true(own_us >= 1e6);
        expect_near("usage.cpu_us", answer_number(answer, "usage.cpu_us"), own_us, own_us * 0.02);
        expect_near("usage.user_us + system_us",
                    answer_number(answer, "usage.user_us") + answer_number(answer, "usage.system_us"),
                    answer_number(answer, "usage.cpu_us"), 0);
        expect_near("usage.memory_peak_bytes", answer_number(answer, "usage.memory_peak_bytes"), 101.0 * MIB,
                    2.0 * MIB);
}

static void an_exec_says_what_it_used(void **state)
{
        /* The program itself, and a child that is waited for. */
        static const char *const SCRIPTS[] = { "exec ./probe 1000 100", "./probe 1000 100; exit 0" };

        (void)state;
        for (size_t i = 0; i < sizeof SCRIPTS / sizeof *SCRIPTS; i++) {
                struct answer answer = carreld_exec("ada", SCRIPTS[i], 60.0);

                expect_used(&answer);
                answer_release(&answer);
        }
}

/* Each exec has its own counters. */
static void an_exec_has_no_usage_of_the_one_before(void **state)
{
        struct answer answer = carreld_exec("ada", "exec ./probe 0 0", 60.0);

        (void)state;
        assert_int_equal(answer_number(&answer, "exit_code"), 0);
        assert_in_range((long)answer_number(&answer, "usage.cpu_us"), 1, 500000);
        assert_in_range((long)answer_number(&answer, "usage.memory_peak_bytes"), 1, 16 * MIB);
        answer_release(&answer);
}

/* ---- of a carrel ---- */

static struct answer usage_of(const char *user)
{
        char path[64];

        snprintf(path, sizeof path, "/v1/carrels/%s/usage", user);
        return request(CARREL_SOCKET, "GET", path, NULL);
}

static bool is_null(const struct answer *answer, const char *name)
{
        char text[64];

        snprintf(text, sizeof text, "\"%s\":null", name);
        return strstr(answer->body, text) != NULL;
}

static bool has_printed(void *arg)
{
        struct answer answer = request(CARREL_SOCKET, "GET", "/v1/execs/held/output", NULL);
        const char *line = strstr(answer.body, "\"data\":\"");

        if (line != NULL)
                *(double *)arg = strtod(line + strlen("\"data\":\""), NULL);
        answer_release(&answer);
        return line != NULL;
}

/* While the program lives, so that its memory is current; and its carrel may be frozen meanwhile. */
static void a_carrel_says_what_it_uses(void **state)
{
        struct answer before = usage_of("ada"), after;
        double own_us = 0, used_us;

        (void)state;
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/ada/exec",
                       "{\"argv\":[\"sh\",\"-c\",\"sleep 1000 | ./probe 500 100 hold\"],\"exec_id\":\"held\","
                       "\"detach\":true,\"timeout_s\":600}",
                       202);
        assert_true(wait_until(has_printed, &own_us, PATIENCE_S));
        after = usage_of("ada");
        assert_true(own_us >= 5e5);
        /* With the shell, sleep and the agent. */
        used_us = answer_number(&after, "cpu.usage_us") - answer_number(&before, "cpu.usage_us");
        if (!(used_us >= 0.98 * own_us && used_us <= 1.05 * own_us))
                fail_msg("cpu.usage_us has risen by %.0f, the program used %.0f", used_us, own_us);
        expect_near("cpu.user_us + system_us",
                    answer_number(&after, "cpu.user_us") + answer_number(&after, "cpu.system_us"),
                    answer_number(&after, "cpu.usage_us"), 1000);
        expect_near("memory.current_bytes",
                    answer_number(&after, "memory.current_bytes") - answer_number(&before, "memory.current_bytes"),
                    101.0 * MIB, 2.0 * MIB);
        assert_true(answer_number(&after, "memory.peak_bytes") >= answer_number(&after, "memory.current_bytes"));
        assert_int_equal(answer_number(&after, "memory.limit_bytes"), 512.0 * MIB);
        assert_int_equal(answer_number(&after, "memory.oom_kills"), 0);
        assert_in_range((long)answer_number(&after, "pids.current"), 3, 8);
        if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) != 0)
                assert_true(is_null(&after, "io"));
        assert_true(is_null(&after, "disk"));
        answer_release(&before);
        answer_release(&after);
        request_expect(CARREL_SOCKET, "POST", "/v1/execs/held/signal", "{\"signal\":9}", 200);
}

/* Directions are those of the carrel: it sends datagrams, and gets none. */
static void a_carrel_says_what_it_sends(void **state)
{
        char text[64];
        struct answer before, after;

        (void)state;
        before = usage_of("ada");
        if (is_null(&before, "net")) {
                answer_release(&before);
                fail_msg("ada has no network");
        }
        carreld_must_exec("ada", "./probe send 30", text, sizeof text);
        after = usage_of("ada");
        assert_true(answer_number(&after, "net.sent_bytes") - answer_number(&before, "net.sent_bytes") >= 30000);
        assert_true(answer_number(&after, "net.received_bytes") - answer_number(&before, "net.received_bytes") < 30000);
        answer_release(&before);
        answer_release(&after);
}

static void all_carrels_are_listed(void **state)
{
        struct answer answer;

        (void)state;
        carreld_must_ensure("bob");
        answer = request(CARREL_SOCKET, "GET", "/v1/usage?limit=1", NULL);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer_text(&answer, "next"), "ada");
        assert_non_null(strstr(answer.body, "{\"user\":\"ada\""));
        assert_non_null(strstr(answer.body, "\"usage_us\":"));
        assert_null(strstr(answer.body, "{\"user\":\"bob\""));
        answer_release(&answer);
        answer = request(CARREL_SOCKET, "GET", "/v1/usage?after=ada", NULL);
        assert_non_null(strstr(answer.body, "{\"user\":\"bob\""));
        assert_null(strstr(answer.body, "{\"user\":\"ada\""));
        answer_release(&answer);
        request_expect(CARREL_SOCKET, "GET", "/v1/carrels/nobody/usage", NULL, 404);
}

static double used_us(const char *user)
{
        struct answer answer = usage_of(user);
        double us = answer_number(&answer, "cpu.usage_us");

        answer_release(&answer);
        return us;
}

static bool has_used_more(void *arg)
{
        return used_us("bob") > *(double *)arg;
}

static void expect_frozen_in(const char *path)
{
        struct answer answer = request(CARREL_SOCKET, "GET", path, NULL);
        const char *bob = strstr(answer.body, "\"user\":\"bob\"");

        assert_int_equal(answer.status, 200);
        assert_non_null(bob);
        assert_non_null(strstr(bob, "\"state\":\"frozen\""));
        assert_non_null(strstr(bob, "\"usage_us\":"));
        answer_release(&answer);
}

/* If a reading thawed it, the CPU time of a program that never rests would rise. */
static void a_frozen_carrel_is_read_without_a_thaw(void **state)
{
        static const char *const READINGS[] = { "/v1/carrels/bob/usage", "/v1/carrels/bob", "/v1/carrels?usage=1",
                                                "/v1/usage" };
        char text[8];
        double us = used_us("bob");
        struct answer answer;

        (void)state;
        carreld_must_exec("bob", "(while :; do :; done) > /dev/null 2>&1 & echo $! > pid", text, sizeof text);
        us += 1e5; /* more than the exec that has begun it */
        assert_true(wait_until(has_used_more, &us, PATIENCE_S));
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/bob/freeze", NULL, 200);
        answer = usage_of("bob");
        us = answer_number(&answer, "cpu.usage_us");
        assert_true(answer_number(&answer, "memory.current_bytes") > 0);
        assert_int_equal(answer_number(&answer, "pids.current"), 2);
        answer_release(&answer);
        for (size_t i = 0; i < sizeof READINGS / sizeof *READINGS; i++)
                expect_frozen_in(READINGS[i]);
        assert_false(wait_until(has_used_more, &us, 0.2));
        expect_frozen_in("/v1/carrels/bob/usage");
        carreld_must_ensure("bob");
        assert_true(wait_until(has_used_more, &us, PATIENCE_S)); /* the control */
        carreld_must_exec("bob", "kill -9 $(cat pid)", text, sizeof text);
}

/* CPU % is that of the time between two readings: a program that never rests has one CPU at most. */
static void the_cli_shows_it(void **state)
{
        static struct output output;
        char user[16] = "", shown[16] = "";
        double cpu = -1;

        (void)state;
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/bob/exec",
                       "{\"argv\":[\"sh\",\"-c\",\"while :; do :; done\"],\"exec_id\":\"busy\",\"detach\":true,"
                       "\"timeout_s\":600}",
                       202);
        RUN(&output, built_program("cli/carrel"), "--socket", CARREL_SOCKET, "stats", "bob", "--interval", "0.1");
        assert_int_equal(output.status, 0);
        assert_non_null(strstr(output.text, "\nbob"));
        assert_int_equal(sscanf(strstr(output.text, "\nbob"), "%15s %15s %lf", user, shown, &cpu), 3);
        assert_string_equal(shown, "ready");
        assert_true(cpu >= 0);
        RUN(&output, built_program("cli/carrel"), "--socket", CARREL_SOCKET, "ls", "--usage");
        assert_int_equal(output.status, 0);
        assert_non_null(strstr(output.text, "512m"));
        request_expect(CARREL_SOCKET, "POST", "/v1/execs/busy/signal", "{\"signal\":9}", 200);
}

/* ---- the default deadline ---- */

struct ending {
        const char *exec_id;
        char cause[16];
};

static bool has_ended(void *arg)
{
        struct ending *ending = arg;
        struct answer answer;
        char path[64];
        bool is_over;

        (void)snprintf(path, sizeof path, "/v1/execs/%s", ending->exec_id);
        answer = request(CARREL_SOCKET, "GET", path, NULL);
        is_over = strcmp(answer_text(&answer, "state"), "ended") == 0;
        if (is_over)
                (void)snprintf(ending->cause, sizeof ending->cause, "%s", answer_text(&answer, "cause"));
        answer_release(&answer);
        return is_over;
}

/* The detached ones run at the same time as the one that is waited for. */
static void a_deadline_holds_for_execs_that_name_none(void **state)
{
        struct ending own = { .exec_id = "own" }, none = { .exec_id = "none" };
        struct answer answer;

        (void)state;
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/ada/exec",
                       "{\"argv\":[\"sleep\",\"0.8\"],\"exec_id\":\"own\",\"detach\":true,\"timeout_s\":60}", 202);
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/ada/exec",
                       "{\"argv\":[\"sleep\",\"1000\"],\"exec_id\":\"none\",\"detach\":true}", 202);
        answer = carreld_exec("ada", "sleep 1000", 0);
        assert_string_equal(answer_text(&answer, "cause"), "timeout");
        answer_release(&answer);
        assert_true(wait_until(has_ended, &none, PATIENCE_S));
        assert_string_equal(none.cause, "timeout");
        assert_true(wait_until(has_ended, &own, PATIENCE_S));
        assert_string_equal(own.cause, "exit");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_exec_says_what_it_used),
                cmocka_unit_test(an_exec_has_no_usage_of_the_one_before),
                cmocka_unit_test(a_carrel_says_what_it_uses),
                cmocka_unit_test(a_carrel_says_what_it_sends),
                cmocka_unit_test(all_carrels_are_listed),
                cmocka_unit_test(a_frozen_carrel_is_read_without_a_thaw),
                cmocka_unit_test(the_cli_shows_it),
                cmocka_unit_test(a_deadline_holds_for_execs_that_name_none),
        };

        return suite_run(&(struct suite){
                .name = "usage",
                .kind = SUITE_CARRELD,
                .settings = SETTINGS,
                .set_up = set_up,
                SUITE_TESTS(tests),
        });
}
