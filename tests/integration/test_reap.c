/* Which carrels are reaped and which are not. The TTL is a second or a few, and the reaper looks every 0.1 s. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

#define LOOK_OFTEN "CARREL_REAP_INTERVAL_S=0.1"

static const char *const SETTINGS[] = { "CARREL_IDLE_TTL_S=1", "CARREL_MAX_LIFETIME_S=0", LOOK_OFTEN, NULL };

static void start_daemon(const char *ttl, const char *lifetime)
{
        SUITE_START(ttl, lifetime, LOOK_OFTEN);
}

/* Both are judged on the same clock by the same carreld: when the idle control has gone, the other one's time is over
 * too, were it not held. */
static void expect_only_the_control_is_reaped(const char *held)
{
        assert_true(carreld_await_state("control", "", PATIENCE_S));
        assert_true(carreld_has_state(held, "ready"));
}

static void an_idle_one_is_reaped_after_its_ttl(void **state)
{
        double began_s;

        (void)state;
        carreld_must_ensure("ada");
        began_s = now_s();
        assert_true(carreld_await_state("ada", "", PATIENCE_S));
        /* Not earlier than its TTL, counted from before the answer came. */
        assert_true(now_s() - began_s > 0.9);
        assert_int_equal(engine_count(LABEL_USER "=ada"), 0);
        suite_end();
}

static void a_busy_one_is_not(void **state)
{
        struct volley *busy = volley_new(CARREL_SOCKET, 1);
        char text[8];

        (void)state;
        carreld_must_ensure("ada");
        volley_add(busy, "POST", "/v1/carrels/ada/exec",
                   "{\"argv\":[\"sh\",\"-c\",\"until [ -e end ]; do sleep 0.1; done; rm end\"],\"timeout_s\":300}");
        volley_run(busy, 0.2);
        carreld_must_ensure("control");
        expect_only_the_control_is_reaped("ada");
        assert_int_equal(volley_run(busy, 0), 1);
        carreld_must_exec("ada", "touch end", text, sizeof text);
        assert_int_equal(volley_run(busy, PATIENCE_S), 0);
        assert_string_equal(answer_text(volley_answer(busy, 0), "cause"), "exit");
        /* And when the program has ended it is idle like any other. */
        assert_true(carreld_await_state("ada", "", PATIENCE_S));
        volley_free(busy);
        suite_end();
}

static double background_of(const char *user)
{
        char path[64];
        struct answer answer;
        double background;

        snprintf(path, sizeof path, "/v1/carrels/%s", user);
        answer = request(CARREL_SOCKET, "GET", path, NULL);
        background = answer_number(&answer, "background");
        answer_release(&answer);
        return background;
}

static bool has_nothing_left(void *arg)
{
        return background_of(arg) == 0;
}

static void leave_behind(const char *user, const char *script)
{
        char text[8];

        carreld_must_ensure(user);
        assert_true(background_of(user) == 0);
        carreld_must_exec(user, script, text, sizeof text);
        assert_true(background_of(user) >= 1);
}

static void one_with_a_program_in_the_background(void **state)
{
        struct answer answer;

        (void)state;
        leave_behind("ada", "sleep 1000 >/dev/null 2>&1 &");
        answer = request(CARREL_SOCKET, "GET", "/v1/carrels/ada/why", NULL);
        assert_non_null(strstr(answer_text(&answer, "reaper"), "Background programs do not count."));
        answer_release(&answer);
        assert_true(carreld_await_state("ada", "", PATIENCE_S));
        suite_end();
}

static int start_counting(void **state)
{
        (void)state;
        SUITE_START("CARREL_IDLE_TTL_S=1", "CARREL_BUSY=processes", LOOK_OFTEN);
        return 0;
}

static void one_with_a_program_that_counts_is_not(void **state)
{
        (void)state;
        leave_behind("ada", "(until [ -e end ]; do sleep 0.1; done; rm end; exec sleep 0.1) >/dev/null 2>&1 &");
        carreld_must_ensure("control");
        expect_only_the_control_is_reaped("ada");
        request_expect(CARREL_SOCKET, "POST", "/v1/reap", "{\"idle_s\":0}", 200);
        assert_true(carreld_has_state("ada", "ready"));
        request_expect(CARREL_SOCKET, "PUT", "/v1/carrels/ada/files/end", "", 200);
        assert_true(wait_until(has_nothing_left, (void *)"ada", PATIENCE_S));
        assert_true(carreld_await_state("ada", "", PATIENCE_S));
        suite_end();
}

static void a_leased_one_is_not(void **state)
{
        (void)state;
        carreld_must_ensure("ada");
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/ada/touch", "{\"lease_s\":600}", 200);
        carreld_must_ensure("control");
        expect_only_the_control_is_reaped("ada");
        request_expect(CARREL_SOCKET, "POST", "/v1/reap", "{\"idle_s\":0}", 200);
        assert_true(carreld_has_state("ada", "ready"));
        /* A shorter lease replaces a longer one. */
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/ada/touch", "{\"lease_s\":1}", 200);
        assert_true(carreld_await_state("ada", "", PATIENCE_S));
        suite_end();
}

static bool is_control_gone(void *arg)
{
        (void)arg;
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/ada/touch", "{}", 200);
        return carreld_has_state("control", "");
}

/* A TTL that no stall of the machine between two touches outlasts. */
static void a_touched_one_is_not(void **state)
{
        (void)state;
        start_daemon("CARREL_IDLE_TTL_S=5", "CARREL_MAX_LIFETIME_S=0");
        carreld_must_ensure("control");
        carreld_must_ensure("ada");
        assert_true(wait_until(is_control_gone, NULL, PATIENCE_S));
        assert_true(carreld_has_state("ada", "ready"));
        suite_end();
}

static bool is_gone_while_listed(void *arg)
{
        (void)arg;
        request_expect(CARREL_SOCKET, "GET", "/v1/carrels", NULL, 200);
        return carreld_has_state("ada", "");
}

static void looking_is_no_activity(void **state)
{
        (void)state;
        carreld_must_ensure("ada");
        assert_true(wait_until(is_gone_while_listed, NULL, PATIENCE_S));
        suite_end();
}

static void nobody_outlives_his_lifetime(void **state)
{
        (void)state;
        start_daemon("CARREL_IDLE_TTL_S=1000", "CARREL_MAX_LIFETIME_S=1");
        carreld_must_ensure("ada");
        assert_true(carreld_await_state("ada", "", PATIENCE_S));
        suite_end();
}

static void reap_takes_the_idle_now(void **state)
{
        struct answer answer;

        (void)state;
        start_daemon("CARREL_IDLE_TTL_S=1000", "CARREL_MAX_LIFETIME_S=0");
        carreld_must_ensure("ada");
        carreld_must_ensure("bob");
        answer = request(CARREL_SOCKET, "POST", "/v1/reap", "{\"idle_s\":900}");
        assert_int_equal(answer_number(&answer, "retiring"), 0);
        answer_release(&answer);
        answer = request(CARREL_SOCKET, "POST", "/v1/reap", "{\"idle_s\":0}");
        assert_int_equal(answer_number(&answer, "retiring"), 2);
        answer_release(&answer);
        assert_true(carreld_await_state("ada", "", PATIENCE_S) && carreld_await_state("bob", "", PATIENCE_S));
        assert_int_equal(engine_count(LABEL_PRODUCT), 0);
        suite_end();
}

static void a_sweep_removes_orphans_alone(void **state)
{
        (void)state;
        start_daemon("CARREL_IDLE_TTL_S=1000", "CARREL_MAX_LIFETIME_S=0");
        carreld_must_ensure("ada");
        engine_decoy("orphan", LABEL_PRODUCT "=carrel", LABEL_POOL "=default");
        engine_decoy("neighbour", LABEL_PRODUCT "=carrel", LABEL_POOL "=other");
        engine_decoy("stranger", LABEL_PRODUCT "=else", LABEL_POOL "=default");
        request_expect(CARREL_SOCKET, "POST", "/v1/sweep", NULL, 200);
        assert_false(engine_is_running("orphan"));
        assert_true(engine_is_running("neighbour"));
        assert_true(engine_is_running("stranger"));
        assert_true(carreld_has_state("ada", "ready"));
        engine_remove("neighbour");
        engine_remove("stranger");
        suite_end();
}

/* Connections take memory of the host's beyond the kernel's bound: a few are borne, many are not. */
static void one_that_floods_its_sockets_is_reaped(void **state)
{
        static const char V1[] = "/sys/fs/cgroup/memory/memory.kmem.tcp.limit_in_bytes";
        static const char FEW[] = "(sleep 600 | ./fill connections 450 >out) 2>/dev/null & "
                                  "until [ -s out ]; do sleep 0.1; done; cat out";
        static const char MANY[] =
                "for i in 1 2 3 4 5 6; do (sleep 600 | ./fill connections 450) >/dev/null 2>&1 & done";
        static const char *const USERS[] = { "ada", "bob" };
        char text[128];

        (void)state;
        if (access(V1, F_OK) != 0)
                skip(); /* v2 has them in the memory limit */
        SUITE_START("CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m", "CARREL_IDLE_TTL_S=600", LOOK_OFTEN);
        for (size_t i = 0; i < sizeof USERS / sizeof *USERS; i++) {
                carreld_must_ensure(USERS[i]);
                snprintf(text, sizeof text, CARREL_USERS "/%s/fill", USERS[i]);
                MUST_RUN("install", "-m755", built_program("tests/integration/fill-counter"), text);
        }
        carreld_must_exec("bob", FEW, text, sizeof text);
        assert_string_equal(text, "450 all");
        carreld_must_exec("ada", MANY, text, sizeof text);
        assert_true(carreld_await_state("ada", "", PATIENCE_S));
        assert_true(carreld_metric("carrel_reaped_total{reason=\"sockets\"}") == 1);
        assert_true(carreld_has_state("bob", "ready"));
        suite_end();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_CARRELD(an_idle_one_is_reaped_after_its_ttl),
                WITH_CARRELD(a_busy_one_is_not),
                WITH_CARRELD(one_with_a_program_in_the_background),
                cmocka_unit_test_setup_teardown(one_with_a_program_that_counts_is_not, start_counting, suite_end_test),
                WITH_CARRELD(a_leased_one_is_not),
                WITH_ENGINE(a_touched_one_is_not),
                WITH_CARRELD(looking_is_no_activity),
                WITH_ENGINE(nobody_outlives_his_lifetime),
                WITH_ENGINE(one_that_floods_its_sockets_is_reaped),
                WITH_ENGINE(reap_takes_the_idle_now),
                WITH_ENGINE(a_sweep_removes_orphans_alone),
        };

        return suite_run(&(struct suite){
                .name = "reap",
                .kind = SUITE_ENGINE,
                .settings = SETTINGS,
                SUITE_TESTS(tests),
        });
}
