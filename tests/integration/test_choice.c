/* Which engine carreld takes when it may choose, and what it still does without the right to connect a carrel. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <linux/capability.h>
#include <sys/prctl.h>

#include "suite.h"

/* Exactly one of them is chosen, and all have a reason. */
static void expect_choice(const struct answer *info, const char *kind)
{
        const cJSON *candidate;
        int count = 0, chosen = 0;

        cJSON_ArrayForEach(candidate, cJSON_GetObjectItem(info->json, "engines"))
        {
                const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(candidate, "kind"));
                const char *reason = cJSON_GetStringValue(cJSON_GetObjectItem(candidate, "reason"));

                assert_true(reason != NULL && reason[0] != '\0');
                count++;
                if (!cJSON_IsTrue(cJSON_GetObjectItem(candidate, "is_chosen")))
                        continue;
                chosen++;
                assert_string_equal(name, kind);
        }
        assert_in_range(count, 3, 4);
        assert_int_equal(chosen, 1);
}

static const char *const AUTO_SETTINGS[] = { "CARREL_ENGINE=auto", "CARREL_ENGINE_SOCKET=", NULL };

static bool is_serving(void *arg)
{
        struct answer answer = request(CARREL_SOCKET, "GET", "/healthz", NULL);
        bool is_there = answer.status == 200;

        (void)arg;
        answer_release(&answer);
        return is_there;
}

/* Until the engine is there: the answer names it, and the others, with what is in their way. */
static void expect_waiting(const char *words)
{
        struct answer answer;

        assert_true(wait_until(is_serving, NULL, PATIENCE_S));
        answer = request(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{}");
        if (answer.status != 503 || strcmp(answer_text(&answer, "error.code"), "engine_unavailable") != 0 ||
            strstr(answer_text(&answer, "error.message"), words) == NULL)
                fail_msg("%d %s", answer.status, answer.body);
        answer_release(&answer);
}

static void expect_engine(void)
{
        struct answer info;

        carreld_await_ready(carreld, PATIENCE_S);
        info = request(CARREL_SOCKET, "GET", "/v1/info", NULL);
        assert_string_equal(answer_text(&info, "engine.kind"), engine_kind());
        expect_choice(&info, engine_kind());
        answer_release(&info);
}

static void auto_takes_the_first_that_is_able(void **state)
{
        (void)state;
        carreld = carreld_new(AUTO_SETTINGS);
        expect_engine();
        carreld_must_ensure("ada");
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        suite_end();
}

static bool has_reasons(void *arg)
{
        struct answer answer = request(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{}");
        bool is_there = strstr(answer_text(&answer, "error.message"), "no engine is usable") != NULL;

        (void)arg;
        answer_release(&answer);
        return is_there;
}

/* The embedded engine cannot serve either: no owner can be mapped on a ramfs. */
static void an_engine_that_comes_later_is_taken(void **state)
{
        (void)state;
        engine_stop(engine, SIGTERM);
        MUST_RUN("rm", "-f", CARREL_RUNTIME "/engine-default"); /* of the tests before */
        MUST_RUN("mkdir", "-p", CARREL_USERS);
        MUST_RUN("mount", "-t", "ramfs", "-o", "mode=0711", "ramfs", CARREL_USERS);
        carreld = carreld_new(AUTO_SETTINGS);
        assert_true(wait_until(has_reasons, NULL, PATIENCE_S));
        expect_waiting(engine_kind());
        engine_start(engine);
        expect_engine();
        carreld_must_ensure("ada");
        carreld = carreld_kill(carreld);
        MUST_RUN("umount", "-l", CARREL_USERS);

        /* Now the embedded one could serve; but ada has a carrel on this one. */
        engine_stop(engine, SIGTERM);
        carreld = carreld_new(AUTO_SETTINGS);
        expect_waiting(engine_kind());
        engine_start(engine);
        expect_engine();
        carreld_must_ensure("ada");
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        suite_end();
}

/* Children of a process without them in its bounding set do not have them (capabilities(7)). */
static void drop_network_capabilities(void)
{
        assert_return_code(prctl(PR_CAPBSET_DROP, CAP_NET_ADMIN, 0, 0, 0), 0);
        assert_return_code(prctl(PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0), 0);
}

static void without_the_right_to_connect_there_is_policy_none(void **state)
{
        static const char NONE[] = "{\"policy\":\"none\"}";
        struct answer answer;
        char text[64];

        (void)state;
        drop_network_capabilities();
        suite_start(NULL);
        answer = request(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{\"policy\":\"internet\"}");
        assert_int_equal(answer.status, 503);
        assert_string_equal(answer_text(&answer, "error.code"), "policy_not_in_force");
        assert_non_null(strstr(answer_text(&answer, "error.message"), "CAP_NET_ADMIN"));
        answer_release(&answer);
        assert_int_equal(engine_count(LABEL_PRODUCT), 0);
        request_expect(CARREL_SOCKET, "PUT", "/v1/carrels/ada", NONE, 200);
        carreld_must_exec("ada", "tail -n +3 /proc/net/dev | cut -d: -f1", text, sizeof text);
        assert_non_null(strstr(text, "lo"));
        assert_null(strstr(text, "eth"));
        answer = request(CARREL_SOCKET, "GET", "/v1/info", NULL);
        assert_true(cJSON_IsFalse(cJSON_GetObjectItem(cJSON_GetObjectItem(answer.json, "policy"), "can_connect")));
        answer_release(&answer);
        suite_end();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_ENGINE(auto_takes_the_first_that_is_able),
                WITH_ENGINE_DAEMON(an_engine_that_comes_later_is_taken),
                /* The last: it takes rights away from this process's children for good. */
                WITH_ENGINE(without_the_right_to_connect_there_is_policy_none),
        };

        return suite_run(&(struct suite){
                .name = "choice",
                .kind = SUITE_ENGINE,
                SUITE_TESTS(tests),
        });
}
