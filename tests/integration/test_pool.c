/* One carrel for each user, whatever happens: on a real engine, under load, and when others touch containers. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "suite.h"

/* A sanitizer looks for other things than numbers. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

enum { ENSURES = 10000, CONNECTIONS = 200, USERS = IS_SANITIZED ? 40 : 200, STARTS = 4, RETRIES_MAX = 3 };

/* carreld notices within a second what others did to a container. */
#define KNOWN_S 1.0

static const char *const SETTINGS[] = { "CARREL_MAX_CONCURRENT_STARTS=4", "CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m",
                                        "CARREL_ENSURE_TIMEOUT_S=900", NULL };

static void expect_outcome(const char *user, const char *outcome)
{
        struct answer answer = carreld_ensure(user);

        assert_string_equal(answer_text(&answer, "outcome"), outcome);
        assert_string_equal(answer_text(&answer, "state"), "ready");
        answer_release(&answer);
}

/* ---- many at once ---- */

static void ten_thousand_ensures_of_one_user_make_one_container(void **state)
{
        struct engine_events *events = engine_events_new();
        struct volley *volley = volley_new(CARREL_SOCKET, CONNECTIONS);
        const char *id;

        (void)state;
        assert_int_equal(engine_events_count(events, "create", CARREL_PREFIX), 0);
        for (unsigned i = 0; i < ENSURES; i++)
                volley_add(volley, "PUT", "/v1/carrels/ada", "{}");
        assert_int_equal(volley_run(volley, 300.0), 0);
        id = answer_text(volley_answer(volley, 0), "container_id");
        assert_int_equal(strlen(id), 64);
        for (unsigned i = 0; i < ENSURES; i++) {
                assert_int_equal(volley_answer(volley, i)->status, 200);
                assert_string_equal(answer_text(volley_answer(volley, i), "container_id"), id);
        }
        assert_int_equal(engine_events_count(events, "create", CARREL_PREFIX), 1);
        assert_int_equal(engine_events_count(events, "start", CARREL_PREFIX), 1);
        assert_int_equal(engine_count(LABEL_USER "=ada"), 1);
        volley_free(volley);
        engine_events_free(events);
        suite_end();
}

static size_t ask_for(struct volley *volley, unsigned user)
{
        char path[64];

        snprintf(path, sizeof path, "/v1/carrels/user-%u", user);
        return volley_add(volley, "PUT", path, "{}");
}

static void expect_retryable(unsigned user, const struct answer *answer)
{
        if (!cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetObjectItem(answer->json, "error"), "retryable")))
                fail_msg("user %u: %d %s", user, answer->status, answer->body);
}

/* A start can take longer than the engine's deadline when the host is busy. The answer is then retryable, and the
 * client tries again. */
static void two_hundred_users_at_once_all_get_theirs(void **state)
{
        struct engine_events *events = engine_events_new();
        struct volley *volley = volley_new(CARREL_SOCKET, USERS);
        size_t requests[USERS]; /* the last one of each user */
        unsigned n_failed = USERS;
        unsigned n_retries = 0;

        (void)state;
        assert_int_equal(engine_events_count(events, "create", CARREL_PREFIX), 0);
        for (unsigned i = 0; i < USERS; i++)
                requests[i] = ask_for(volley, i);
        for (unsigned round = 0; n_failed > 0; round++) {
                assert_in_range(round, 0, RETRIES_MAX);
                for (size_t left = USERS; left > 0; left = volley_run(volley, 0.05))
                        assert_in_range(carreld_metric("carrel_starts_in_flight"), 0, STARTS);
                n_failed = 0;
                for (unsigned i = 0; i < USERS; i++) {
                        const struct answer *answer = volley_answer(volley, requests[i]);

                        if (answer->status == 200)
                                continue;
                        expect_retryable(i, answer);
                        requests[i] = ask_for(volley, i);
                        n_failed++;
                }
                n_retries += n_failed;
        }
        assert_int_equal(engine_count(LABEL_PRODUCT), USERS);
        /* A failed start may have created a container, and the engine may not have reported that it started. */
        assert_in_range(engine_events_count(events, "create", CARREL_PREFIX), USERS, USERS + n_retries);
        assert_in_range(engine_events_peak(events, CARREL_PREFIX), 1, STARTS + n_retries);
        volley_free(volley);
        engine_events_free(events);
        suite_end();
}

static void a_waiter_that_leaves_takes_nobody_along(void **state)
{
        struct volley *leaving = volley_new(CARREL_SOCKET, 20);
        struct volley *staying = volley_new(CARREL_SOCKET, 20);

        (void)state;
        for (unsigned i = 0; i < 20; i++) {
                volley_add(leaving, "PUT", "/v1/carrels/ada", "{}");
                volley_add(staying, "PUT", "/v1/carrels/ada", "{}");
        }
        /* The leaving ones come first, so that one of them is the one the flow was started for. */
        assert_int_equal(volley_run(leaving, 0.01), 20);
        volley_run(staying, 0.01);
        volley_free(leaving);
        assert_int_equal(volley_run(staying, PATIENCE_S), 0);
        for (unsigned i = 0; i < 20; i++)
                assert_int_equal(volley_answer(staying, i)->status, 200);
        volley_free(staying);
        suite_end();
}

/* ---- another spec ---- */

static void another_spec_replaces_or_conflicts(void **state)
{
        struct answer first, kept, replaced;

        (void)state;
        first = carreld_ensure("ada");
        request_expect(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{\"limits\":{\"pids\":64},\"on_conflict\":\"fail\"}",
                       409);
        kept = carreld_ensure("ada");
        assert_string_equal(answer_text(&kept, "container_id"), answer_text(&first, "container_id"));
        replaced = request(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{\"limits\":{\"pids\":64}}");
        assert_int_equal(replaced.status, 200);
        assert_string_equal(answer_text(&replaced, "outcome"), "replaced");
        assert_non_null(strstr(replaced.body, "\"killed\":[]"));
        assert_string_not_equal(answer_text(&replaced, "container_id"), answer_text(&first, "container_id"));
        assert_int_equal(engine_count(LABEL_USER "=ada"), 1);
        /* Omitted fields keep their values. */
        expect_outcome("ada", "reused");
        answer_release(&first);
        answer_release(&kept);
        answer_release(&replaced);
        suite_end();
}

/* By default what runs is in the way of another spec, and so is a lease; who wants it all the same learns what it
 * ended.
 */
static void what_runs_is_not_killed_by_default(void **state)
{
        struct answer first, refused, replaced;

        (void)state;
        first = carreld_ensure("ada");
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/ada/exec",
                       "{\"argv\":[\"sleep\",\"600\"],\"detach\":true,\"exec_id\":\"long-one\"}", 202);
        refused = request(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{\"limits\":{\"pids\":64}}");
        assert_int_equal(refused.status, 409);
        assert_non_null(strstr(refused.body, "spec_conflict"));
        assert_non_null(strstr(refused.body, "long-one"));
        request_expect(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{}", 200); /* it still runs as it was */
        replaced = request(CARREL_SOCKET, "PUT", "/v1/carrels/ada",
                           "{\"limits\":{\"pids\":64},\"on_conflict\":\"replace\"}");
        assert_int_equal(replaced.status, 200);
        assert_non_null(strstr(replaced.body, "\"killed\":[\"long-one\"]"));
        assert_string_not_equal(answer_text(&replaced, "container_id"), answer_text(&first, "container_id"));
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/ada/touch", "{\"lease_s\":600}", 200);
        request_expect(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{\"limits\":{\"pids\":32}}", 409);
        answer_release(&first);
        answer_release(&refused);
        answer_release(&replaced);
        suite_end();
}

static void files_outlive_the_container(void **state)
{
        char text[64];

        (void)state;
        carreld_must_ensure("ada");
        carreld_must_exec("ada", "echo kept > /workspace/note; echo gone > /tmp/note", text, sizeof text);
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        assert_int_equal(engine_count(LABEL_USER "=ada"), 0);
        carreld_must_exec("ada", "cat /workspace/note; ls /tmp | wc -l", text, sizeof text);
        assert_string_equal(text, "kept\n0");
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/nobody", NULL, 404);
        suite_end();
}

/* ---- whose the files are ---- */

#define NOW "61001"
#define WRITE "echo more >> /workspace/note && chmod 600 /workspace/note && stat -c %U /workspace/note && id -un"

static void expect_owner(const char *path, unsigned uid)
{
        struct stat status;

        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_uid, uid);
        assert_int_equal(status.st_gid, uid);
}

/* The account of the settings changes under live carrels and their files, as it does with an upgrade: what is there
 * keeps its owner and serves on, what is new belongs to the new one, and what is a stranger's is nobody's. */
static void files_keep_their_owner(void **state)
{
        static const char *const later[] = { "CARREL_STARTUP=adopt", "CARREL_UID=" NOW, "CARREL_GID=" NOW,
                                             "CARREL_UID_IS_SHARED=no", NULL };
        struct answer made, answer;
        char text[64];

        (void)state;
        suite_start(NULL);
        made = carreld_ensure("ada");
        carreld_must_exec("ada", WRITE, text, sizeof text);
        assert_string_equal(text, "user\nuser");
        expect_owner(CARREL_USERS "/ada/note", 1000);
        suite_restart(later);
        answer = carreld_ensure("ada");
        assert_string_equal(answer_text(&answer, "container_id"), answer_text(&made, "container_id"));
        answer_release(&answer);
        answer_release(&made);
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        carreld_must_exec("ada", WRITE, text, sizeof text);
        assert_string_equal(text, "user\nuser");
        expect_owner(CARREL_USERS "/ada/note", 1000);

        carreld_must_exec("bob", WRITE "; id -u; id -gn; echo $USER", text, sizeof text);
        assert_string_equal(text, strcmp(engine_kind(), "oci") == 0 ? "user\nuser\n1000\nuser\nuser"
                                                                    : "user\nuser\n" NOW "\nuser\nuser");
        expect_owner(CARREL_USERS "/bob", 61001);
        expect_owner(CARREL_USERS "/bob/note", 61001);

        MUST_RUN("install", "-d", "-o", "4242", "-g", "4242", CARREL_USERS "/eve");
        answer = carreld_request("PUT", "/v1/carrels/eve", "{}", PATIENCE_S);
        assert_int_not_equal(answer.status, 200);
        if (strstr(answer.body, "chown -R") == NULL)
                fail_msg("names no way out: %s", answer.body);
        answer_release(&answer);
        expect_owner(CARREL_USERS "/eve", 4242);
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/bob", NULL, 200);
        MUST_RUN("rm", "-r", CARREL_USERS "/bob", CARREL_USERS "/eve");
        suite_end();
}

/* ---- what others do to a container ---- */

static void remove_it(void)
{
        engine_remove(CARREL_PREFIX "ada");
}

/* As the kernel's OOM killer does to process 1. */
static void kill_it(void)
{
        int pid = engine_pid(CARREL_PREFIX "ada");

        assert_true(pid > 0);
        kill(pid, SIGKILL);
}

static void stop_it(void)
{
        engine_end(CARREL_PREFIX "ada");
}

/* Containers that outlive their engine's daemon end as well while it is away. */
static void restart_engine(void)
{
        int pid = engine_pid(CARREL_PREFIX "ada");

        engine_stop(engine, SIGTERM);
        if (engine_keeps_containers())
                kill(pid, SIGKILL);
        engine_start(engine);
}

static void crash_engine_and_kill_it(void)
{
        int pid = engine_pid(CARREL_PREFIX "ada");

        engine_signal(engine, SIGSTOP);
        kill(pid, SIGKILL);
        engine_signal(engine, SIGCONT);
        engine_restart(engine, SIGKILL);
}

static bool is_not_ready(void *arg)
{
        (void)arg;
        return !carreld_has_state("ada", "ready");
}

static bool is_ready(void *arg)
{
        struct answer answer = request(CARREL_SOCKET, "GET", "/readyz", NULL);
        bool is_so = answer.status == 200;

        (void)arg;
        answer_release(&answer);
        return is_so;
}

struct vanishing {
        const char *what;
        void (*act)(void);
        bool is_of_daemon;
};

/* How long it takes until carreld knows. */
static double vanish_and_return(const struct vanishing *how)
{
        struct answer before = carreld_ensure("ada"), after;
        double began_s, known_s;

        how->act();
        began_s = now_s();
        if (!wait_until(is_not_ready, NULL, PATIENCE_S))
                fail_msg("%s: still ready", how->what);
        known_s = now_s() - began_s;
        assert_true(wait_until(is_ready, NULL, PATIENCE_S));
        after = carreld_ensure("ada");
        assert_string_not_equal(answer_text(&after, "container_id"), answer_text(&before, "container_id"));
        assert_true(engine_is_running(CARREL_PREFIX "ada"));
        assert_int_equal(engine_count(LABEL_USER "=ada"), 1);
        answer_release(&before);
        answer_release(&after);
        return known_s;
}

static void a_carrel_that_vanishes_is_made_anew(void **state)
{
        static const struct vanishing cases[] = {
                { "removed", remove_it, false },
                { "killed", kill_it, false },
                { "stopped", stop_it, false },
                { "engine restarted", restart_engine, true },
                { "engine crashed, container killed", crash_engine_and_kill_it, true },
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                double known_s = KNOWN_S + 1.0;

                if (cases[i].is_of_daemon && !engine_has_daemon())
                        continue;
                for (int try = 0; try < TIMED_TRIES && known_s > KNOWN_S; try++)
                        known_s = vanish_and_return(&cases[i]);
                if (known_s > KNOWN_S)
                        fail_msg("%s: known after %.1f s only", cases[i].what, known_s);
        }
        suite_end();
}

static void a_foreign_container_of_that_name_is_left_alone(void **state)
{
        struct answer answer;

        (void)state;
        engine_decoy(CARREL_PREFIX "ada", NULL, NULL);
        answer = request_within(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{}", 300.0);
        assert_in_range(answer.status, 409, 503);
        assert_string_equal(answer_text(&answer, "error.code"), "name_taken");
        answer_release(&answer);
        assert_true(engine_is_running(CARREL_PREFIX "ada"));
        engine_remove(CARREL_PREFIX "ada");
        expect_outcome("ada", "created");
        suite_end();
}

/* ---- limits of the pool ---- */

static void expect_refusal(const char *user, int status, const char *code)
{
        struct answer answer;
        char path[128];

        snprintf(path, sizeof path, "/v1/carrels/%s", user);
        answer = request(CARREL_SOCKET, "PUT", path, "{}");
        assert_int_equal(answer.status, status);
        assert_string_equal(answer_text(&answer, "error.code"), code);
        assert_in_range(answer.retry_after_s, 1, 600);
        answer_release(&answer);
}

static void a_full_pool_says_so_and_recovers(void **state)
{
        (void)state;
        SUITE_START("CARREL_MAX_CARRELS=2");
        carreld_must_ensure("ada");
        carreld_must_ensure("bob");
        expect_refusal("eve", 503, "pool_full");
        expect_outcome("ada", "reused");
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/bob", NULL, 200);
        expect_outcome("eve", "created");
        suite_end();
}

static void a_full_queue_says_so(void **state)
{
        struct volley *volley = volley_new(CARREL_SOCKET, 4);
        unsigned answers[2] = { 0, 0 };

        (void)state;
        SUITE_START("CARREL_MAX_CONCURRENT_STARTS=1", "CARREL_MAX_QUEUED_STARTS=1");
        for (unsigned i = 0; i < 4; i++) {
                char path[64];

                snprintf(path, sizeof path, "/v1/carrels/user-%u", i);
                volley_add(volley, "PUT", path, "{}");
        }
        assert_int_equal(volley_run(volley, PATIENCE_S), 0);
        for (unsigned i = 0; i < 4; i++) {
                const struct answer *answer = volley_answer(volley, i);

                assert_true(answer->status == 200 || strcmp(answer_text(answer, "error.code"), "queue_full") == 0);
                answers[answer->status == 200]++;
        }
        /* One started, one queued; the others came while both places were taken. */
        assert_int_equal(answers[1], 2);
        assert_int_equal(answers[0], 2);
        volley_free(volley);
        suite_end();
}

static void a_missing_image_is_named_with_its_remedy(void **state)
{
        struct answer answer;

        (void)state;
        answer = request(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{\"image\":\"no-such-image:1\"}");
        assert_in_range(answer.status, 400, 599);
        assert_string_equal(answer_text(&answer, "error.code"), "image_missing");
        assert_non_null(strstr(answer_text(&answer, "error.message"), "no-such-image:1"));
        answer_release(&answer);
        assert_int_equal(engine_count(LABEL_USER "=ada"), 0);
        expect_outcome("ada", "created");
        suite_end();
}

/* By the engine's own pause, across a restart. */
static void what_is_paused_is_adopted(void **state)
{
        static const char *const adopting[] = { "CARREL_STARTUP=adopt", NULL };
        struct answer before, after;

        (void)state;
        suite_start(adopting);
        before = carreld_ensure("ada");
        carreld = carreld_kill(carreld);
        request_expect(engine_socket(), "POST", "/v1.41/containers/" CARREL_PREFIX "ada/pause", NULL, 204);
        suite_start(adopting);
        after = carreld_ensure("ada");
        assert_string_equal(answer_text(&after, "outcome"), "reused");
        assert_string_equal(answer_text(&after, "container_id"), answer_text(&before, "container_id"));
        carreld_must_exec("ada", "true", (char[8]){ 0 }, 8);
        assert_true(engine_is_running(CARREL_PREFIX "ada"));
        answer_release(&before);
        answer_release(&after);
        suite_end();
}

/* ---- what an operator asks ---- */

static bool shows_ttl(void *arg)
{
        struct answer info = request(CARREL_SOCKET, "GET", "/v1/info", NULL);
        bool is_shown = strcmp(answer_text(&info, "settings.idle_ttl_s"), arg) == 0;

        answer_release(&info);
        return is_shown;
}

static void a_reload_is_seen(void **state)
{
        FILE *file;

        (void)state;
        suite_start(NULL);
        assert_true(shows_ttl((char[]){ "300" }));
        file = fopen("/run/testbed/carrel.conf", "we");
        assert_non_null(file);
        assert_true(fputs("idle_ttl_s = 77\n", file) >= 0);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(kill(carreld_pid(carreld), SIGHUP), 0);
        assert_true(wait_until(shows_ttl, (char[]){ "77" }, PATIENCE_S));
        suite_end();
}

/* ---- profiles ---- */

/* The limit of the user's carrel in the kernel: memory, or pids. */
static void expect_limit_of(const char *user, const char *controller, const char *limit)
{
        static struct output output;
        char container[64], pid[16], text[32];

        (void)snprintf(container, sizeof container, "%s%s", CARREL_PREFIX, user);
        (void)snprintf(pid, sizeof pid, "%d", engine_pid(container));
        (void)snprintf(text, sizeof text, "%s\n", limit);
        RUN(&output, "sh", "-c",
            "g=$(sed -n \"s/^[0-9]*:$2://p\" /proc/$1/cgroup); d=/sys/fs/cgroup/$2; "
            "[ -n \"$g\" ] || { g=$(sed -n 's/^0:://p' /proc/$1/cgroup); d=/sys/fs/cgroup; }; "
            "while [ -n \"$g\" ]; do for f in $2.max $2.limit_in_bytes; do l=$(cat $d$g/$f 2>/dev/null) && "
            "[ $l != max ] && { echo $l; exit; }; done; g=${g%/*}; done",
            "sh", pid, controller);
        assert_string_equal(output.text, text);
}

static void expect_limit(const char *controller, const char *limit)
{
        expect_limit_of("ada", controller, limit);
}

static bool shows_memory_of_large(void *arg)
{
        struct answer info = request(CARREL_SOCKET, "GET", "/v1/info", NULL);
        bool is_shown = strcmp(answer_text(&info, "sections.profile.large.memory"), arg) == 0;

        answer_release(&info);
        return is_shown;
}

/* Has carreld read these sections and [profile large] with this memory, which is another one each time. */
static void reload_profiles(const char *sections, char *memory)
{
        FILE *file = fopen("/run/testbed/carrel.conf", "we");

        assert_non_null(file);
        assert_true(fprintf(file, "%s[profile large]\nmemory = %s\n", sections, memory) > 0);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(kill(carreld_pid(carreld), SIGHUP), 0);
        assert_true(wait_until(shows_memory_of_large, memory, PATIENCE_S));
}

static void expect_profile_of(const char *user, const char *body, const char *outcome, const char *profile)
{
        char path[64];
        struct answer answer;

        (void)snprintf(path, sizeof path, "/v1/carrels/%s", user);
        answer = request(CARREL_SOCKET, "PUT", path, body);
        if (answer.status != 200)
                fail_msg("%s: %s", body, answer.body);
        assert_string_equal(answer_text(&answer, "outcome"), outcome);
        assert_string_equal(answer_text(&answer, "profile"), profile);
        answer_release(&answer);
}

static void expect_profile(const char *body, const char *outcome, const char *profile)
{
        expect_profile_of("ada", body, outcome, profile);
}

static bool has_two_warm(void *arg)
{
        (void)arg;
        return carreld_metric("carrel_carrels{state=\"warm\"}") > 1;
}

static void expect_variable(const char *variable, const char *value)
{
        char script[64], text[64];

        (void)snprintf(script, sizeof script, "echo $%s", variable);
        carreld_must_exec("ada", script, text, sizeof text);
        assert_string_equal(text, value);
}

/* A profile's limits are the kernel's, a reload changes them, and a restart knows whose they are. */
static void profiles_hold_in_the_kernel(void **state)
{
        static const char *const adopting[] = { "CARREL_STARTUP=adopt", "CARREL_TMP_SIZE=8m", NULL };
        struct answer refused;

        (void)state;
        suite_start(adopting);
        reload_profiles("[profile small]\nmemory = 64m\npids = 40\npolicy = none\nenv = LEVEL=1\nenv = HOME=/tmp\n",
                        (char[]){ "3g" });
        expect_profile("{\"profile\":\"small\"}", "created", "small");
        expect_limit("memory", "67108864");
        expect_limit("pids", "40");
        expect_variable("LEVEL", "1");
        expect_variable("HOME", "/tmp");
        request_expect(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{\"profile\":\"small\",\"policy\":\"internet\"}", 400);
        request_expect(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{\"limits\":{\"memory\":\"65m\"}}", 400);
        expect_profile("{\"limits\":{\"pids\":32}}", "replaced", "small");
        expect_limit("pids", "32");
        refused =
                request(CARREL_SOCKET, "POST", "/v1/carrels/ada/exec", "{\"argv\":[\"true\"],\"profile\":\"medium\"}");
        assert_int_equal(refused.status, 400);
        assert_non_null(strstr(refused.body, "there is: small, large"));
        answer_release(&refused);
        reload_profiles("[profile small]\nmemory = 96m\npids = 40\npolicy = none\nenv = LEVEL=2\n", (char[]){ "4g" });
        expect_variable("LEVEL", "2"); /* at once, in the same carrel */
        expect_profile("{}", "reused", "small");
        expect_limit("memory", "67108864");
        expect_profile("{\"profile\":\"small\"}", "replaced", "small");
        expect_limit("memory", "100663296");
        suite_restart(adopting); /* without any profile: the testbed empties the file */
        expect_profile("{}", "reused", "small");
        expect_limit("memory", "100663296");
        expect_variable("LEVEL", "");
        request_expect(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{\"profile\":\"small\"}", 400);
        reload_profiles("", (char[]){ "5g" });
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/ada/exec", "{\"argv\":[\"true\"],\"profile\":\"large\"}",
                       200);
        expect_profile("{}", "reused", "large");
        expect_limit("memory", "5368709120"); /* above the pool's */
        suite_end();
}

/* A warm carrel of a profile is claimed with its limits, and adopted with its name, also where labels cannot change. */
static void profiles_have_warm_carrels(void **state)
{
        static const char *const adopting[] = { "CARREL_STARTUP=adopt", "CARREL_TMP_SIZE=8m", "CARREL_WARM=1", NULL };

        (void)state;
        suite_start(adopting);
        reload_profiles("[profile ready]\nmemory = 80m\nwarm = 1\n", (char[]){ "3g" });
        assert_true(wait_until(has_two_warm, NULL, PATIENCE_S));
        expect_profile_of("bob", "{\"profile\":\"ready\"}", "claimed", "ready");
        expect_limit_of("bob", "memory", "83886080");
        suite_restart(adopting);
        expect_profile_of("bob", "{}", "reused", "ready");
        suite_end();
}

static void why_remembers_what_failed(void **state)
{
        struct answer answer;

        (void)state;
        suite_start(NULL);
        request_expect(CARREL_SOCKET, "GET", "/v1/carrels/ada/why", NULL, 404);
        answer = request(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{\"image\":\"nosuch:latest\"}");
        assert_true(answer.status >= 400);
        answer_release(&answer);
        answer = request(CARREL_SOCKET, "GET", "/v1/carrels/ada/why", NULL);
        assert_int_equal(answer.status, 200);
        if (strstr(answer_text(&answer, "reason"), "the last ensure failed") == NULL)
                fail_msg("%s", answer.body);
        assert_non_null(strstr(answer_text(&answer, "last_fault"), "nosuch"));
        answer_release(&answer);
        carreld_must_ensure("ada");
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        answer = request(CARREL_SOCKET, "GET", "/v1/carrels/ada/why", NULL);
        assert_non_null(strstr(answer_text(&answer, "reason"), "was removed"));
        answer_release(&answer);
        suite_end();
}

/* ---- two pools on one engine ---- */

static void pools_do_not_touch_each_other(void **state)
{
        char id[80], id_after[80];

        (void)state;
        SUITE_START("CARREL_POOL=other", "CARREL_PREFIX=other-");
        carreld_must_ensure("ada");
        /* Left on purpose: the next carreld clears only its own pool at start. */
        carreld = carreld_kill(carreld);
        engine_id("other-ada", id);
        suite_start(NULL);
        carreld_must_ensure("ada");
        request_expect(CARREL_SOCKET, "POST", "/v1/sweep", NULL, 200);
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        engine_id("other-ada", id_after);
        assert_string_equal(id_after, id);
        assert_true(engine_is_running("other-ada"));
        suite_end();
        SUITE_START("CARREL_POOL=other", "CARREL_PREFIX=other-");
        assert_int_equal(engine_count(LABEL_POOL "=other"), 0);
        suite_end();
}

static void what_matches_is_adopted(void **state)
{
        static const char *const adopting[] = { "CARREL_STARTUP=adopt", NULL };
        struct answer before, after;
        struct timespec began, now;
        double kept_s;

        (void)state;
        suite_start(adopting);
        before = carreld_ensure("ada");
        clock_gettime(CLOCK_BOOTTIME, &began);
        carreld_must_ensure("bob");
        carreld = carreld_kill(carreld);
        engine_end(CARREL_PREFIX "bob");
        suite_start(adopting);
        clock_gettime(CLOCK_BOOTTIME, &now);
        kept_s = (double)(now.tv_sec - began.tv_sec) + (double)(now.tv_nsec - began.tv_nsec) / 1e9;
        after = carreld_ensure("ada");
        assert_string_equal(answer_text(&after, "outcome"), "reused");
        assert_string_equal(answer_text(&after, "container_id"), answer_text(&before, "container_id"));
        /* A restart makes nobody younger: max_lifetime_s would never come. The kernel counts the start in ticks of 10
         * ms. */
        assert_true(answer_number(&after, "age_s") > answer_number(&before, "age_s"));
        assert_true(answer_number(&after, "age_s") > kept_s - 0.02);
        assert_true(carreld_has_state("bob", ""));
        assert_int_equal(engine_count(LABEL_USER "=bob"), 0);
        answer_release(&before);
        answer_release(&after);
        suite_end();
        suite_start(NULL);
        assert_int_equal(engine_count(LABEL_PRODUCT), 0);
        suite_end();
}

static void labels_alone_are_not_adopted(void **state)
{
        static const char *const adopting[] = { "CARREL_STARTUP=adopt", "CARREL_POLICY=none", NULL };
        static const struct {
                struct forgery forgery;
                const char *outcome;
        } ROWS[] = {
                { { "ada", "none", 64 }, "reused" },      { { "bob", "none", 64 }, "created" },
                { { "ada", "host", 64 }, "created" },     { { "ada", "bridge", 64 }, "created" },
                { { "ada", "none", 100000 }, "created" },
        };

        (void)state;
        suite_start(adopting);
        carreld_must_ensure("bob");
        carreld_must_ensure("ada");
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                carreld = carreld_kill(carreld);
                engine_forge("ada", &ROWS[i].forgery);
                suite_start(adopting);
                expect_outcome("ada", ROWS[i].outcome);
                assert_int_equal(engine_count(LABEL_USER "=ada"), 1);
        }
        suite_end();
        suite_start(NULL);
        suite_end();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_CARRELD(ten_thousand_ensures_of_one_user_make_one_container),
                WITH_CARRELD(a_waiter_that_leaves_takes_nobody_along),
                WITH_CARRELD(another_spec_replaces_or_conflicts),
                WITH_CARRELD(what_runs_is_not_killed_by_default),
                WITH_CARRELD(files_outlive_the_container),
                WITH_CARRELD(a_foreign_container_of_that_name_is_left_alone),
                WITH_CARRELD(a_missing_image_is_named_with_its_remedy),
                WITH_CARRELD(a_carrel_that_vanishes_is_made_anew),
                WITH_ENGINE(files_keep_their_owner),
                WITH_ENGINE(a_full_pool_says_so_and_recovers),
                WITH_ENGINE(a_full_queue_says_so),
                WITH_ENGINE(pools_do_not_touch_each_other),
                WITH_ENGINE(what_matches_is_adopted),
                WITH_ENGINE_DAEMON(what_is_paused_is_adopted),
                WITH_ENGINE(a_reload_is_seen),
                WITH_ENGINE(profiles_hold_in_the_kernel),
                WITH_ENGINE(profiles_have_warm_carrels),
                WITH_ENGINE(why_remembers_what_failed),
                WITH_ENGINE(labels_alone_are_not_adopted),
                WITH_CARRELD(two_hundred_users_at_once_all_get_theirs),
        };

        return suite_run(&(struct suite){
                .name = "pool",
                .kind = SUITE_ENGINE,
                .settings = SETTINGS,
                SUITE_TESTS(tests),
        });
}
