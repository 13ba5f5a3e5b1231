/* What a hostile program finds inside a carrel. Where a probe must fail, the same probe succeeds in a plain container
 * of the same engine and image, so that it is the template that stops it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "carreld.h"
#include "enclosure.h"
#include "process.h"
#include "request.h"
#include "test-engine.h"

static struct test_engine *engine;
static struct carreld *carreld;

static int start(void **state)
{
        (void)state;
        engine = engine_new();
        carreld =
                carreld_new((const char *const[]){ "CARREL_MEMORY=64m", "CARREL_PIDS=64", "CARREL_TMP_SIZE=1m", NULL });
        carreld_await_ready(carreld, PATIENCE_S);
        carreld_must_ensure("ada");
        return 0;
}

static int stop(void **state)
{
        (void)state;
        carreld = carreld_free(carreld);
        engine = engine_free(engine);
        return 0;
}

/* ---- what /proc says ---- */

static void every_process_is_confined(void **state)
{
        static const struct {
                const char *field, *expected;
        } cases[] = {
                { "CapInh", "0000000000000000" },
                { "CapPrm", "0000000000000000" },
                { "CapEff", "0000000000000000" },
                { "CapBnd", "0000000000000000" },
                { "CapAmb", "0000000000000000" },
                { "NoNewPrivs", "1" },
                { "Seccomp", "2" },
                { "Uid", "1000" },
                { "Gid", "1000" },
        };
        static const char *const processes[] = { "self", "1" };
        char script[128], text[64];

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                for (size_t j = 0; j < 2; j++) {
                        snprintf(script, sizeof(script), "awk '/^%s:/ {print $2}' /proc/%s/status", cases[i].field,
                                 processes[j]);
                        carreld_must_exec("ada", script, text, sizeof(text));
                        if (strcmp(text, cases[i].expected) != 0)
                                fail_msg("%s of process %s is %s", cases[i].field, processes[j], text);
                }
}

/* ---- what must fail ---- */

static int exit_code_inside(const char *script)
{
        struct answer answer = carreld_exec("ada", script, PATIENCE_S);
        int code = (int)answer_number(&answer, "exit_code");

        assert_int_equal(answer.status, 200);
        answer_release(&answer);
        return code;
}

static const char *const FORBIDDEN[] = {
        "touch /probe",
        "touch /etc/probe",
        "mkdir /bin/probe",
        "mount -t tmpfs none /run",
        "unshare -n true",
        "hostname other",
        "chown 0 /workspace",
        "chroot / true",
        "ip link set lo down",
        "mknod /workspace/probe b 8 0",
        "test $(head -c 1 /proc/kcore | wc -c) = 1", /* masked: as empty as /dev/null */
        "echo 1 >/proc/sys/kernel/printk",
        "dmesg >/dev/null",
        "ls /proc/1/fd/",
        "cat /proc/1/environ",
        "dd if=/dev/zero of=/tmp/full bs=1M count=4; code=$?; rm -f /tmp/full; exit $code",
};

static void what_is_forbidden_fails(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(FORBIDDEN) / sizeof(*FORBIDDEN); i++)
                if (exit_code_inside(FORBIDDEN[i]) == 0)
                        fail_msg("succeeded inside: %s", FORBIDDEN[i]);
}

static void the_same_probes_work_without_the_template(void **state)
{
        static const char *const works[] = { "touch /probe",        "touch /etc/probe",   "mount -t tmpfs none /run",
                                             "unshare -n true",     "hostname other",     "chroot / true",
                                             "ip link set lo down", "mknod /probe b 8 0", "ls /proc/1/fd/" };

        (void)state;
        for (size_t i = 0; i < sizeof(works) / sizeof(*works); i++)
                engine_run_plainly(works[i]);
}

static void what_a_user_needs_works(void **state)
{
        static const char *const works[] = {
                "touch /workspace/probe && rm /workspace/probe",
                "echo 'echo ran' >/tmp/program && chmod +x /tmp/program && sh /tmp/program && rm /tmp/program",
                "cp /bin/busybox /workspace/echo && /workspace/echo fine && rm /workspace/echo",
                "sleep 0.01 & wait",
                "dd if=/dev/zero of=/tmp/half bs=512k count=1 && rm /tmp/half",
                "ip address show dev eth0 | grep -q 'inet 10\\.213\\.'",
                "[ $(ulimit -n) = 1024 ] && [ $(ulimit -c) = 0 ]",
                "grep -q ' /tmp tmpfs .*nosuid.*nodev' /proc/mounts",
        };

        (void)state;
        for (size_t i = 0; i < sizeof(works) / sizeof(*works); i++)
                if (exit_code_inside(works[i]) != 0)
                        fail_msg("failed inside: %s", works[i]);
}

/* ---- limits, and the neighbour ---- */

static void expect_neighbour_answers(void)
{
        char text[32];

        carreld_must_exec("neighbour", "echo here", text, sizeof(text));
        assert_string_equal(text, "here");
}

static void a_fork_bomb_stops_at_the_limit(void **state)
{
        struct volley *bomb = volley_new(CARREL_SOCKET, 1);
        char text[32];

        (void)state;
        carreld_must_ensure("neighbour");
        carreld_must_ensure("bomber");
        volley_add(bomb, "POST", "/v1/carrels/bomber/exec",
                   "{\"argv\":[\"sh\",\"-c\",\"bomb() { bomb | bomb & }; bomb; sleep 20\"],\"timeout_s\":5}");
        volley_run(bomb, 1.0);
        expect_neighbour_answers();
        assert_int_equal(volley_run(bomb, PATIENCE_S), 0);
        assert_int_equal(volley_answer(bomb, 0)->status, 200);
        volley_free(bomb);
        /* Whatever it did, the user can have a clean one. */
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/bomber", NULL, 200);
        carreld_must_exec("bomber", "echo again", text, sizeof(text));
        assert_string_equal(text, "again");
        expect_neighbour_answers();
}

static void the_number_of_processes_is_the_limit(void **state)
{
        struct answer answer;
        char text[32];
        int count = 0;

        (void)state;
        /* busybox sh says "can't fork" and ends; what it has started is counted from inside by another exec. */
        carreld_must_ensure("counter");
        carreld_must_exec("counter",
                          "i=0; while [ $i -lt 50 ]; do sleep 300 & i=$((i+1)); done; ls -d /proc/[0-9]* | wc -l", text,
                          sizeof(text));
        assert_int_equal(sscanf(text, "%d", &count), 1);
        assert_in_range(count, 51, 64);
        answer = carreld_exec("counter", "i=0; while [ $i -lt 50 ]; do sleep 300 & i=$((i+1)); done; exit 0",
                              PATIENCE_S);
        /* 50 sleepers and 50 more do not fit into 64. */
        assert_true(answer.status != 200 || answer_number(&answer, "exit_code") != 0);
        answer_release(&answer);
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/counter", NULL, 200);
}

static void a_memory_hog_is_killed(void **state)
{
        struct answer answer;
        const char *cause;

        (void)state;
        carreld_must_ensure("neighbour");
        carreld_must_ensure("hog");
        answer = carreld_exec("hog", "dd if=/dev/zero of=/dev/null bs=256M count=1", PATIENCE_S);
        assert_int_equal(answer.status, 200);
        cause = answer_text(&answer, "cause");
        if (strcmp(cause, "oom") != 0)
                fail_msg("the hog's end: %s", answer.body);
        answer_release(&answer);
        expect_neighbour_answers();
        /* The control: half of the limit is his. */
        answer = carreld_exec("hog", "dd if=/dev/zero of=/dev/null bs=32M count=1", PATIENCE_S);
        assert_int_equal(answer_number(&answer, "exit_code"), 0);
        answer_release(&answer);
}

static void two_users_share_nothing(void **state)
{
        char text[64];

        (void)state;
        carreld_must_exec("ada", "echo secret >/workspace/secret; echo secret >/tmp/secret; sleep 5 >/dev/null 2>&1 &",
                          text, sizeof(text));
        carreld_must_exec("bob", "ls -A /workspace /tmp | grep -c secret || true; ls -d /proc/[0-9]* | wc -l", text,
                          sizeof(text));
        assert_int_equal(text[0], '0');
}

/* They are the whole host's: no engine's API bounds them. */
static void terminals_are_bounded(void **state)
{
        char text[256];

        (void)state;
        carreld_must_exec("ada", "grep ' /dev/pts devpts ' /proc/self/mounts", text, sizeof(text));
        if (strstr(text, "max=128") == NULL || strstr(text, "nosuid") == NULL || strstr(text, "noexec") == NULL)
                fail_msg("%s", text);
        carreld_must_exec("ada", "for i in $(seq 20); do exec 3<>/dev/ptmx || exit 1; done; echo opened", text,
                          sizeof(text));
        assert_string_equal(text, "opened");
}

static int inside(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_process_is_confined),
                cmocka_unit_test(what_is_forbidden_fails),
                cmocka_unit_test(terminals_are_bounded),
                cmocka_unit_test(the_same_probes_work_without_the_template),
                cmocka_unit_test(what_a_user_needs_works),
                cmocka_unit_test(the_number_of_processes_is_the_limit),
                cmocka_unit_test(a_fork_bomb_stops_at_the_limit),
                cmocka_unit_test(a_memory_hog_is_killed),
                cmocka_unit_test(two_users_share_nothing),
        };

        return cmocka_run_group_tests_name("hardening", tests, start, stop);
}

int main(void)
{
        return enclosure_run(inside);
}
