/* Frozen carrels on a real engine: nothing runs in them, their next use thaws them, and they outlive carreld. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

#define FREEZE "/v1/carrels/ada/freeze"
#define ENGINE_ADA "/v1.41/containers/" CARREL_PREFIX "ada"
#define THAW "/v1/carrels/ada/thaw"

static const char *const SETTINGS[] = { "CARREL_STARTUP=adopt", NULL };

/* A counter that runs in the background, and its value now. */
static const char COUNT[] = "(while :; do i=$((i+1)); echo $i > /tmp/n; done) > /dev/null 2>&1 &";

static void start_counting(void)
{
        char text[64];

        carreld_must_exec("ada", COUNT, text, sizeof text);
        carreld_must_exec("ada", "until [ -s /tmp/n ]; do :; done; echo yes", text, sizeof text);
        assert_string_equal(text, "yes");
}

/* The CPU time of everything in the carrel's process 1's pid namespace, in clock ticks. */
static long cpu_ticks(void)
{
        static const char SCRIPT[] =
                "n=$(readlink /proc/$1/ns/pid); t=0; for p in /proc/[0-9]*; do "
                "[ \"$(readlink $p/ns/pid 2>/dev/null)\" = \"$n\" ] || continue; "
                "set -- $(sed 's/.*) //' $p/stat 2>/dev/null); t=$((t + ${12:-0} + ${13:-0})); done; echo $t";
        static struct output output;
        char pid[16];

        (void)snprintf(pid, sizeof pid, "%d", engine_pid(CARREL_PREFIX "ada"));
        RUN(&output, "sh", "-c", SCRIPT, "sh", pid);
        assert_int_equal(output.status, 0);
        return strtol(output.text, NULL, 10);
}

static bool has_used_cpu(void *arg)
{
        return cpu_ticks() > *(long *)arg;
}

static void expect_frozen(void)
{
        struct answer answer = request(CARREL_SOCKET, "GET", "/v1/carrels/ada", NULL);

        assert_string_equal(answer_text(&answer, "state"), "frozen");
        assert_non_null(strstr(answer.body, "\"frozen\":true"));
        answer_release(&answer);
}

static void expect_outcome(const char *outcome)
{
        struct answer answer = carreld_ensure("ada");

        assert_string_equal(answer_text(&answer, "outcome"), outcome);
        answer_release(&answer);
}

static void nothing_runs_until_the_next_use(void **state)
{
        char text[16];
        long ticks;

        (void)state;
        carreld_must_ensure("ada");
        start_counting();
        ticks = cpu_ticks();
        assert_true(wait_until(has_used_cpu, &ticks, PATIENCE_S)); /* the control */
        request_expect(CARREL_SOCKET, "POST", FREEZE, NULL, 200);
        ticks = cpu_ticks();
        assert_false(wait_until(has_used_cpu, &ticks, 0.5));
        expect_frozen();
        request_expect(CARREL_SOCKET, "GET", "/v1/carrels", NULL, 200);
        request_expect(CARREL_SOCKET, "GET", "/v1/carrels/ada/why", NULL, 200);
        expect_frozen(); /* looking thaws nothing */
        expect_outcome("resumed");
        assert_true(wait_until(has_used_cpu, &ticks, PATIENCE_S));
        request_expect(CARREL_SOCKET, "POST", FREEZE, NULL, 200);
        carreld_must_exec("ada", "echo works", text, sizeof text);
        assert_string_equal(text, "works");
        request_expect(CARREL_SOCKET, "POST", FREEZE, NULL, 200);
        request_expect(CARREL_SOCKET, "PUT", "/v1/carrels/ada/files/f", "text", 200);
        assert_true(carreld_has_state("ada", "ready"));
        request_expect(CARREL_SOCKET, "POST", FREEZE, NULL, 200);
        request_expect(CARREL_SOCKET, "POST", THAW, NULL, 200);
        assert_true(carreld_has_state("ada", "ready"));
        assert_true(carreld_metric("carrel_freezes_total{reason=\"asked\"}") == 4);
        suite_end();
}

static void one_in_use_is_not_frozen(void **state)
{
        struct volley *busy = volley_new(CARREL_SOCKET, 1);
        char text[8];

        (void)state;
        carreld_must_ensure("ada");
        volley_add(busy, "POST", "/v1/carrels/ada/exec",
                   "{\"argv\":[\"sh\",\"-c\",\"until [ -e end ]; do sleep 0.1; done\"],\"timeout_s\":300}");
        (void)volley_run(busy, 0.2);
        request_expect(CARREL_SOCKET, "POST", FREEZE, NULL, 409);
        carreld_must_exec("ada", "touch end", text, sizeof text);
        assert_int_equal(volley_run(busy, PATIENCE_S), 0);
        volley_free(busy);
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/ada/touch", "{\"lease_s\":60}", 200);
        request_expect(CARREL_SOCKET, "POST", FREEZE, NULL, 409);
        suite_end();
}

static bool is_reclaimed(void *arg)
{
        (void)arg;
        return carreld_metric("carrel_reclaims_total") >= 1;
}

/* Frozen, reclaimed, reaped: all by idleness alone. */
static void an_idle_one_goes_down_the_ladder(void **state)
{
        (void)state;
        SUITE_START("CARREL_FREEZE_AFTER_S=0.5", "CARREL_RECLAIM_AFTER_S=1", "CARREL_IDLE_TTL_S=6",
                    "CARREL_REAP_INTERVAL_S=0.1");
        carreld_must_ensure("ada");
        start_counting();
        assert_true(carreld_await_state("ada", "frozen", PATIENCE_S));
        assert_true(wait_until(is_reclaimed, NULL, PATIENCE_S));
        assert_true(carreld_await_state("ada", "", PATIENCE_S));
        assert_true(carreld_metric("carrel_freezes_total{reason=\"idle\"}") >= 1);
        assert_true(carreld_metric("carrel_reaped_total{reason=\"idle\"}") == 1);
        assert_int_equal(engine_count(LABEL_USER "=ada"), 0);
        suite_end();
}

/* ---- memory ---- */

static bool has_swap(void)
{
        static struct output output;

        RUN(&output, "awk", "/^SwapTotal/ { print $2 }", "/proc/meminfo");
        return strtol(output.text, NULL, 10) > 200 << 10;
}

/* 100 MB that a program holds and does not use. Without swap only what is cached of files can be given back. */
static void an_idle_program_gives_its_memory_back(void **state)
{
        enum { HELD = 100000000 };
        char text[64];
        double bytes;

        (void)state;
        SUITE_START("CARREL_FREEZE_AFTER_S=0.5", "CARREL_RECLAIM_AFTER_S=1", "CARREL_REAP_INTERVAL_S=0.1");
        carreld_must_exec(
                "ada",
                "(x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo ${#x} > /tmp/held; read -r y < /tmp/go; "
                "echo ${#x} > /tmp/held) > /dev/null 2>&1 & mkfifo /tmp/go; until [ -s /tmp/held ]; do sleep 0.1; "
                "done; cat /tmp/held",
                text, sizeof text);
        assert_string_equal(text, "100000000");
        assert_true(carreld_await_state("ada", "frozen", PATIENCE_S));
        assert_true(wait_until(is_reclaimed, NULL, PATIENCE_S));
        bytes = carreld_metric("carrel_reclaimed_bytes_total");
        print_message("# %.1f MB given back, %s swap\n", bytes / 1e6, has_swap() ? "with" : "without");
        if (has_swap())
                assert_true(bytes >= 0.9 * HELD);
        /* It comes back, unharmed. */
        carreld_must_exec("ada",
                          "rm /tmp/held; echo go > /tmp/go; until [ -s /tmp/held ]; do sleep 0.1; done; cat /tmp/held",
                          text, sizeof text);
        assert_string_equal(text, "100000000");
        suite_end();
}

/* By the file, as somebody else would. */
static void freeze_from_outside(bool is_frozen)
{
        char pid[16];

        (void)snprintf(pid, sizeof pid, "%d", engine_pid(CARREL_PREFIX "ada"));
        MUST_RUN(
                "sh", "-c",
                "for f in freezer unified; do g=$(awk -F: -v f=$f '$2 ~ f || (f == \"unified\" && $1 == 0) "
                "{ print $3 }' /proc/$1/cgroup); for d in /sys/fs/cgroup/freezer /sys/fs/cgroup; do "
                "[ -e $d$g/freezer.state ] && [ -n \"$g\" ] && { echo $2 > $d$g/freezer.state; exit; }; "
                "[ -e $d$g/cgroup.freeze ] && [ $f = unified ] && { echo $3 > $d$g/cgroup.freeze; exit; }; done; done; "
                "exit 1",
                "sh", pid, is_frozen ? "FROZEN" : "THAWED", is_frozen ? "1" : "0");
}

static bool shows_frozen(void *arg)
{
        struct answer answer = request(CARREL_SOCKET, "GET", "/v1/carrels/ada", NULL);
        bool is_so = strstr(answer.body, "\"frozen\":true") != NULL;

        (void)arg;
        answer_release(&answer);
        return is_so;
}

static void what_froze_from_outside_is_named_and_thawed_on_request(void **state)
{
        char text[8];

        (void)state;
        carreld_must_ensure("ada");
        freeze_from_outside(true);
        assert_true(wait_until(shows_frozen, NULL, PATIENCE_S));
        request_expect(CARREL_SOCKET, "PUT", "/v1/carrels/ada", NULL, 503);
        request_expect(CARREL_SOCKET, "POST", FREEZE, NULL, 503);
        request_expect(CARREL_SOCKET, "POST", THAW, NULL, 200);
        carreld_must_exec("ada", "echo runs", text, sizeof text);
        assert_string_equal(text, "runs");
        if (engine_socket()[0] != '\0') { /* the engine's own pause */
                struct answer answer;

                request_expect(engine_socket(), "POST", ENGINE_ADA "/pause", NULL, 204);
                request_expect(CARREL_SOCKET, "PUT", "/v1/carrels/ada", NULL, 503);
                request_expect(CARREL_SOCKET, "POST", THAW, NULL, 200);
                carreld_must_exec("ada", "echo runs", text, sizeof text);
                assert_string_equal(text, "runs");
                answer = request(engine_socket(), "GET", ENGINE_ADA "/json", NULL);
                assert_non_null(strstr(answer.body, "\"Paused\":false"));
                answer_release(&answer);
        }
        suite_end();
}

/* ---- kill -9 ---- */

static void kill_and_start_again(const char *startup)
{
        carreld = carreld_kill(carreld);
        SUITE_START(startup);
}

static void a_frozen_one_outlives_carreld(void **state)
{
        struct answer answer = carreld_ensure("ada");
        char container[128], text[16];
        double began_s;

        (void)state;
        (void)snprintf(container, sizeof container, "%s", answer_text(&answer, "container_id"));
        answer_release(&answer);
        start_counting();
        request_expect(CARREL_SOCKET, "POST", FREEZE, NULL, 200);
        carreld = carreld_kill(carreld);
        began_s = now_s();
        suite_start(SETTINGS);
        carreld_must_exec("ada", "echo serves", text, sizeof text);
        print_message("serving %.2f s after the start\n", now_s() - began_s);
        assert_string_equal(text, "serves");
        answer = carreld_ensure("ada");
        assert_string_equal(answer_text(&answer, "container_id"), container);
        answer_release(&answer);
        /* And a carreld that does not adopt removes it. */
        request_expect(CARREL_SOCKET, "POST", FREEZE, NULL, 200);
        kill_and_start_again("CARREL_STARTUP=clear");
        assert_int_equal(engine_count(LABEL_USER "=ada"), 0);
        suite_end();
}

static void it_is_killed_at_every_step(void **state)
{
        static const char *const POINTS[] = { "freeze.freeze.before", "freeze.freeze.after", "thaw.thaw.before",
                                              "thaw.thaw.after" };
        char failpoint[64], text[16];

        (void)state;
        for (size_t i = 0; i < sizeof POINTS / sizeof *POINTS; i++) {
                struct answer answer;

                (void)snprintf(failpoint, sizeof failpoint, "CARREL_FAILPOINT=%s:kill", POINTS[i]);
                SUITE_START("CARREL_STARTUP=adopt", failpoint);
                carreld_must_ensure("ada");
                answer = request(CARREL_SOCKET, "POST", FREEZE, NULL);
                if (strncmp(POINTS[i], "thaw", 4) == 0) {
                        assert_int_equal(answer.status, 200);
                        answer_release(&answer);
                        answer = request(CARREL_SOCKET, "PUT", "/v1/carrels/ada", NULL);
                }
                if (answer.status != 0 || !carreld_await_death(carreld, PATIENCE_S))
                        fail_msg("%s: not killed, %d %s", POINTS[i], answer.status, answer.body);
                answer_release(&answer);
                kill_and_start_again("CARREL_STARTUP=adopt");
                carreld_must_exec("ada", "echo serves", text, sizeof text);
                assert_string_equal(text, "serves");
                assert_int_equal(engine_count(LABEL_USER "=ada"), 1);
                request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
                suite_end();
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_CARRELD(nothing_runs_until_the_next_use),
                WITH_CARRELD(one_in_use_is_not_frozen),
                WITH_ENGINE(an_idle_one_goes_down_the_ladder),
                WITH_ENGINE(an_idle_program_gives_its_memory_back),
                WITH_CARRELD(what_froze_from_outside_is_named_and_thawed_on_request),
                WITH_CARRELD(a_frozen_one_outlives_carreld),
                WITH_ENGINE(it_is_killed_at_every_step),
        };

        return suite_run(&(struct suite){
                .name = "freeze",
                .kind = SUITE_ENGINE,
                .settings = SETTINGS,
                SUITE_TESTS(tests),
        });
}
