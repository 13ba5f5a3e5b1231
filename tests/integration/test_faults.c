/* carreld killed at every named step, and an engine that stops, hangs and restarts. After each fault: at most one
 * container per user, nothing foreign touched, and the next ensure works. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "suite.h"

#define ENSURE_TIMEOUT_S 6.0
#define ENSURE_TIMEOUT "CARREL_ENSURE_TIMEOUT_S=6"
#define ANSWER_SLACK_S 5.0 /* less than another timeout */
#define CONVERGE_S 10.0

/* ---- what must not be touched ---- */

static const struct {
        const char *name, *label, *other_label;
} DECOYS[] = {
        { "decoy-product", LABEL_PRODUCT "=else", LABEL_POOL "=default" },
        { "decoy-pool", LABEL_PRODUCT "=carrel", LABEL_POOL "=other" },
        { "carrel-decoy", NULL, NULL },
};
enum { N_DECOYS = sizeof DECOYS / sizeof *DECOYS };

static char decoy_ids[N_DECOYS][80];
static struct output rules_before;

static void add_decoys(void)
{
        for (size_t i = 0; i < N_DECOYS; i++) {
                engine_decoy(DECOYS[i].name, DECOYS[i].label, DECOYS[i].other_label);
                engine_id(DECOYS[i].name, decoy_ids[i]);
        }
        engine_add_foreign_network();
        MUST_RUN("iptables-legacy", "-w", "-t", "raw", "-A", "PREROUTING", "-s", "198.51.100.77", "-j", "DROP");
        MUST_RUN("iptables-legacy", "-w", "-N", "DECOY");
        MUST_RUN("iptables-legacy", "-w", "-A", "DECOY", "-d", "198.51.100.78", "-j", "REJECT");
        MUST_RUN("nft", "add", "table", "inet", "decoy");
        RUN(&rules_before, "iptables-legacy", "-w", "-S", "DECOY");
}

static void expect_decoys(void)
{
        static struct output output;
        char id[80];

        for (size_t i = 0; i < N_DECOYS; i++) {
                engine_id(DECOYS[i].name, id);
                assert_string_equal(id, decoy_ids[i]);
                assert_true(engine_is_running(DECOYS[i].name));
        }
        engine_expect_foreign_network();
        MUST_RUN("iptables-legacy", "-w", "-t", "raw", "-C", "PREROUTING", "-s", "198.51.100.77", "-j", "DROP");
        RUN(&output, "iptables-legacy", "-w", "-S", "DECOY");
        assert_string_equal(output.text, rules_before.text);
        MUST_RUN("nft", "list", "table", "inet", "decoy");
}

/* ---- life ---- */

static const char *const SETTINGS[] = { "CARREL_STARTUP=clear", ENSURE_TIMEOUT, NULL };

/* `other`: a failpoint, or another setting; NULL: none. */
static void start_daemon(const char *startup, const char *other)
{
        SUITE_START(startup, other);
}

/* I1 and I6, seen from the engine: one container for the user, and no other of this pool. */
static void expect_one(const char *user)
{
        char label[128];

        snprintf(label, sizeof label, LABEL_USER "=%s", user);
        assert_int_equal(engine_count(label), 1);
        expect_decoys();
}

/* ---- kill -9 ---- */

static const char *const STARTUPS[] = { "CARREL_STARTUP=clear", "CARREL_STARTUP=adopt" };

static const char *const ENSURE_STEPS[] = { "clear",    "directory", "create", "confine", "start",
                                            "identify", "verify",    "seal",   "plug",    "confirm" };
static const char *const RETIRE_STEPS[] = { "quiesce", "remove" };
static const char *const MOMENTS[] = { "before", "after" };

enum {
        N_ENSURE_STEPS = sizeof ENSURE_STEPS / sizeof *ENSURE_STEPS,
        N_RETIRE_STEPS = sizeof RETIRE_STEPS / sizeof *RETIRE_STEPS
};

static double seconds_until_ensured(const char *startup)
{
        double began_s = now_s();

        start_daemon(startup, NULL);
        carreld_must_ensure("ada");
        return now_s() - began_s;
}

static void expect_death(const char *method, const char *failpoint)
{
        struct answer answer = carreld_request(method, "/v1/carrels/ada", NULL, 300.0);

        /* No answer: the connection died with carreld. Any answer means that the failpoint was not reached. */
        if (answer.status != 0 || !carreld_await_death(carreld, PATIENCE_S))
                fail_msg("%s: not killed, %d %s", failpoint, answer.status, answer.body);
        answer_release(&answer);
        carreld = carreld_kill(carreld);
}

static double kill_and_converge_once(const char *startup, const char *method, const char *failpoint)
{
        double duration_s;

        start_daemon(startup, failpoint);
        if (strcmp(method, "DELETE") == 0)
                carreld_must_ensure("ada");
        expect_death(method, failpoint);
        assert_in_range(engine_count(LABEL_USER "=ada"), 0, 1);
        duration_s = seconds_until_ensured(startup);
        expect_one("ada");
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        assert_int_equal(engine_count(LABEL_USER), 0);
        suite_end();
        return duration_s;
}

static void kill_and_converge(const char *startup, const char *method, const char *failpoint)
{
        double duration_s = CONVERGE_S + 1.0;

        for (int try = 0; try < TIMED_TRIES && duration_s > CONVERGE_S; try++)
                duration_s = kill_and_converge_once(startup, method, failpoint);
        if (duration_s > CONVERGE_S)
                fail_msg("%s, %s: converged after %.1f s only", failpoint, startup, duration_s);
}

static void killed_at_every_step_of(const char *flow, const char *const *steps, size_t n_steps, const char *method)
{
        char failpoint[128];

        for (size_t i = 0; i < 4 * n_steps; i++) {
                snprintf(failpoint, sizeof failpoint, "CARREL_FAILPOINT=%s.%s.%s:kill", flow, steps[i / 4],
                         MOMENTS[i / 2 % 2]);
                kill_and_converge(STARTUPS[i % 2], method, failpoint);
        }
}

static void killed_at_every_step_of_ensure(void **state)
{
        (void)state;
        killed_at_every_step_of("ensure", ENSURE_STEPS, N_ENSURE_STEPS, "PUT");
}

static void killed_at_every_step_of_retire(void **state)
{
        (void)state;
        killed_at_every_step_of("retire", RETIRE_STEPS, N_RETIRE_STEPS, "DELETE");
}

/* The unwinding of a failed ensure is cut short too. */
static void killed_in_the_undo_of_create(void **state)
{
        (void)state;
        for (size_t i = 0; i < 2; i++)
                kill_and_converge(STARTUPS[i], "PUT",
                                  "CARREL_FAILPOINT=ensure.confirm.after:error,ensure.create.undo:kill");
}

/* ---- kill -9, and the execs that are to be found again ---- */

static void restart_daemon(const char *startup)
{
        carreld = carreld_kill(carreld);
        start_daemon(startup, NULL);
}

static void expect_answer(const char *method, const char *path, const char *body, int status, const char *part)
{
        struct answer answer = carreld_request(method, path, body, 300.0);

        if (answer.status != status || strstr(answer.body, part) == NULL)
                fail_msg("%s %s: %d %s; expected %d %s", method, path, answer.status, answer.body, status, part);
        answer_release(&answer);
}

static void expect_runs(unsigned runs)
{
        char text[16];

        carreld_must_exec("ada", "cat ran 2>/dev/null | wc -l", text, sizeof text);
        assert_int_equal(atoi(text), runs);
}

/* Whichever word of its record carreld dies at: the next one knows how it ended, or that it did not begin, and the same
 * request does not run a program again that may have run. */
static void an_exec_of_a_killed_carreld_runs_once(void **state)
{
        static const char RUN[] = "{\"argv\":[\"sh\",\"-c\",\"echo x >> ran; exit 3\"],\"exec_id\":\"kill-1\"}";
        static const char LOST[] = "\"cause\":\"carrel_lost\"", DONE[] = "\"cause\":\"exit\",\"exit_code\":3";
        static const struct {
                const char *moment, *found, *again;
                unsigned runs;
        } DEATHS[] = {
                { "enter.after", "carreld was restarted before", DONE, 1 },
                { "launch.before", "carreld was restarted before", DONE, 1 },
                { "launch.after", LOST, LOST, 0 },
                { "end.before", LOST, LOST, 1 },
                { "end.torn", LOST, LOST, 1 },
                { "end.after", DONE, DONE, 1 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof DEATHS / sizeof *DEATHS; i++) {
                const char *startup = STARTUPS[i % 2];
                char failpoint[128], text[16];
                struct answer answer;

                snprintf(failpoint, sizeof failpoint, "CARREL_FAILPOINT=registry.%s:kill", DEATHS[i].moment);
                start_daemon(startup, failpoint);
                carreld_must_exec("ada", "rm -f ran", text, sizeof text);
                answer = carreld_request("POST", "/v1/carrels/ada/exec", RUN, 300.0);
                if (answer.status != 0 || !carreld_await_death(carreld, PATIENCE_S))
                        fail_msg("%s: not killed, %d %s", failpoint, answer.status, answer.body);
                answer_release(&answer);
                restart_daemon(startup);
                expect_answer("GET", "/v1/execs/kill-1", NULL, 200, DEATHS[i].found);
                for (int again = 0; again < 2; again++)
                        expect_answer("POST", "/v1/carrels/ada/exec", RUN, 200, DEATHS[i].again);
                expect_runs(DEATHS[i].runs);
                expect_one("ada");
                request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
                suite_end();
                assert_int_equal(unlink(CARREL_RUNTIME "/default.execs"), 0); /* the next row has the same id */
        }
}

static bool has_run(void *arg)
{
        struct answer answer = carreld_exec("ada", "test -s ran", 20.0);
        bool is_so = answer_number(&answer, "exit_code") == 0;

        (void)arg;
        answer_release(&answer);
        return is_so;
}

/* It is dead, with what hid from it, and that is reported once. */
static void an_exec_that_ran_is_lost_and_leaves_nothing(void **state)
{
        static const char RUN[] =
                "{\"argv\":[\"sh\",\"-c\",\"echo x >> ran; (setsid sh -c 'trap \\\"\\\" TERM HUP; while :; do sleep 1; "
                "done' &); sleep 1000\"],\"detach\":true,\"exec_id\":\"kill-2\"}";
        static const char LOST_SERIES[] = "carrel_exec_total{cause=\"carrel_lost\"}";
        char text[16];

        (void)state;
        for (size_t i = 0; i < 2; i++) {
                start_daemon(STARTUPS[i], NULL);
                carreld_must_exec("ada", "rm -f ran", text, sizeof text);
                expect_answer("POST", "/v1/carrels/ada/exec", RUN, 202, "kill-2");
                assert_true(wait_until(has_run, NULL, PATIENCE_S));
                restart_daemon(STARTUPS[i]);
                assert_true(carreld_metric(LOST_SERIES) == 1);
                expect_answer("GET", "/v1/execs/kill-2", NULL, 200, "\"state\":\"ended\"");
                expect_answer("GET", "/v1/execs/kill-2/output", NULL, 410, "carreld has been restarted");
                expect_answer("POST", "/v1/carrels/ada/exec", RUN, 202, "\"cause\":\"carrel_lost\"");
                carreld_must_exec("ada", "pidof sleep || echo none", text, sizeof text);
                assert_string_equal(text, "none");
                expect_runs(1);
                restart_daemon(STARTUPS[i]);
                assert_true(carreld_metric(LOST_SERIES) <= 0);
                expect_answer("GET", "/v1/execs/kill-2", NULL, 200, "\"cause\":\"carrel_lost\"");
                expect_runs(1);
                request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
                suite_end();
                assert_int_equal(unlink(CARREL_RUNTIME "/default.execs"), 0);
        }
}

/* ---- a step that fails ---- */

static void a_failure_at_any_step_leaves_nothing(void **state)
{
        char failpoint[128];

        (void)state;
        for (unsigned i = 0; i < 2 * N_ENSURE_STEPS; i++) {
                struct answer answer;

                snprintf(failpoint, sizeof failpoint, "CARREL_FAILPOINT=ensure.%s.%s:error", ENSURE_STEPS[i / 2],
                         MOMENTS[i % 2]);
                start_daemon(STARTUPS[0], failpoint);
                answer = carreld_request("PUT", "/v1/carrels/ada", NULL, 300.0);
                if (answer.status < 500 || engine_count(LABEL_USER "=ada") != 0)
                        fail_msg("%s: %d %s", failpoint, answer.status, answer.body);
                answer_release(&answer);
                expect_decoys();
                suite_end();
        }
}

/* ---- the engine ---- */

static bool is_ready(void *arg)
{
        struct answer answer = request(CARREL_SOCKET, "GET", "/readyz", NULL);
        bool is_so = answer.status == 200;

        (void)arg;
        answer_release(&answer);
        return is_so;
}

/* A code a client can act on. */
static void expect_retryable(const struct answer *answer)
{
        if (answer->status != 503 && answer->status != 504)
                fail_msg("answered %d: %s", answer->status, answer->body);
        assert_true(cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetObjectItem(answer->json, "error"), "retryable")));
}

static void a_hanging_engine_costs_only_time(void **state)
{
        struct answer answer;

        (void)state;
        carreld_must_ensure("ada");
        engine_signal(engine, SIGSTOP);
        answer = request(CARREL_SOCKET, "PUT", "/v1/carrels/bob", NULL);
        expect_retryable(&answer);
        assert_true(answer.duration_s < ENSURE_TIMEOUT_S + ANSWER_SLACK_S);
        answer_release(&answer);
        /* The loop turns, and what is known is known. */
        request_expect(CARREL_SOCKET, "GET", "/healthz", NULL, 200);
        request_expect(CARREL_SOCKET, "GET", "/readyz", NULL, 503);
        carreld_must_ensure("ada");
        engine_signal(engine, SIGCONT);
        assert_true(wait_until(is_ready, NULL, PATIENCE_S));
        carreld_must_ensure("bob");
        expect_one("ada");
        expect_one("bob");
        suite_end();
}

static void an_absent_engine_is_said_so_and_comes_back(void **state)
{
        struct answer answer;

        (void)state;
        carreld_must_ensure("ada");
        engine_stop(engine, SIGTERM);
        /* A carrel that outlives its engine's daemon needs it for nothing. */
        if (engine_keeps_containers())
                carreld_must_ensure("ada");
        answer = request(CARREL_SOCKET, "PUT", engine_keeps_containers() ? "/v1/carrels/bob" : "/v1/carrels/ada", NULL);
        expect_retryable(&answer);
        assert_string_equal(answer_text(&answer, "error.code"), "engine_unavailable");
        assert_in_range(answer.retry_after_s, 1, 60);
        answer_release(&answer);
        engine_start(engine);
        for (size_t i = 0; i < N_DECOYS; i++)
                engine_revive(DECOYS[i].name);
        assert_true(wait_until(is_ready, NULL, PATIENCE_S));
        carreld_must_ensure("ada");
        expect_one("ada");
        suite_end();
}

static void an_engine_that_restarts_mid_ensure_loses_nobody(void **state)
{
        enum { N_USERS = 12 };
        struct volley *volley = volley_new(CARREL_SOCKET, N_USERS);
        char text[64];

        (void)state;
        for (unsigned i = 0; i < N_USERS; i++) {
                snprintf(text, sizeof text, "/v1/carrels/user-%u", i);
                volley_add(volley, "PUT", text, NULL);
        }
        assert_int_not_equal(volley_run(volley, 0.3), 0);
        engine_restart(engine, SIGKILL);
        /* I4: everybody has an answer by then, whatever it is. */
        assert_int_equal(volley_run(volley, ENSURE_TIMEOUT_S + ANSWER_SLACK_S), 0);
        for (unsigned i = 0; i < N_USERS; i++)
                if (volley_answer(volley, i)->status != 200)
                        expect_retryable(volley_answer(volley, i));
        volley_free(volley);
        for (size_t i = 0; i < N_DECOYS; i++)
                engine_revive(DECOYS[i].name);
        assert_true(wait_until(is_ready, NULL, PATIENCE_S));
        for (unsigned i = 0; i < N_USERS; i++) {
                snprintf(text, sizeof text, "user-%u", i);
                carreld_must_ensure(text);
                expect_one(text);
        }
        suite_end();
}

static void carreld_waits_for_an_engine_that_is_not_there_yet(void **state)
{
        (void)state;
        engine_stop(engine, SIGTERM);
        carreld = carreld_new(NULL);
        assert_false(wait_until(is_ready, NULL, 1.0));
        engine_start(engine);
        for (size_t i = 0; i < N_DECOYS; i++)
                engine_revive(DECOYS[i].name);
        carreld_await_ready(carreld, PATIENCE_S);
        carreld_must_ensure("ada");
        suite_end();
}

int main(void)
{
#define WITH_BOTH(test)                                                                                                \
        {                                                                                                              \
#test, test, suite_begin_test, suite_end_test, ENGINE_DAEMON                                           \
        }
        const struct CMUnitTest tests[] = {
                WITH_ENGINE(killed_at_every_step_of_ensure),
                WITH_ENGINE(killed_at_every_step_of_retire),
                WITH_ENGINE(killed_in_the_undo_of_create),
                WITH_ENGINE(an_exec_of_a_killed_carreld_runs_once),
                WITH_ENGINE(an_exec_that_ran_is_lost_and_leaves_nothing),
                WITH_ENGINE(a_failure_at_any_step_leaves_nothing),
                WITH_BOTH(a_hanging_engine_costs_only_time),
                WITH_BOTH(an_absent_engine_is_said_so_and_comes_back),
                WITH_BOTH(an_engine_that_restarts_mid_ensure_loses_nobody),
                WITH_ENGINE_DAEMON(carreld_waits_for_an_engine_that_is_not_there_yet),
        };

        return suite_run(&(struct suite){
                .name = "faults",
                .kind = SUITE_ENGINE,
                .settings = SETTINGS,
                .set_up = add_decoys,
                SUITE_TESTS(tests),
        });
}
