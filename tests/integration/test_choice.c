/* Which engine carreld takes when it may choose, and what it still does without the right to connect a carrel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <linux/capability.h>
#include <sys/prctl.h>

#include "carreld.h"
#include "enclosure.h"
#include "process.h"
#include "request.h"
#include "test-engine.h"

static struct test_engine *engine;
static struct carreld *carreld;

static int start_engine(void **state)
{
        (void)state;
        engine = engine_new();
        return 0;
}

static int stop_engine(void **state)
{
        (void)state;
        engine = engine_free(engine);
        return 0;
}

static int stop_daemon(void **state)
{
        (void)state;
        carreld = carreld_kill(carreld);
        return 0;
}

static void end_daemon(void)
{
        struct carreld *ended = carreld;

        carreld = NULL;
        carreld_free(ended);
}

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

static void auto_takes_the_first_that_is_able(void **state)
{
        struct answer info;

        (void)state;
        carreld = carreld_new((const char *const[]){ "CARREL_ENGINE=auto", "CARREL_ENGINE_SOCKET=", NULL });
        carreld_await_ready(carreld, 60.0);
        info = request(CARREL_SOCKET, "GET", "/v1/info", NULL);
        assert_int_equal(info.status, 200);
        assert_string_equal(answer_text(&info, "engine.kind"), engine_kind());
        expect_choice(&info, engine_kind());
        answer_release(&info);
        carreld_must_ensure("ada");
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        end_daemon();
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
        carreld = carreld_new(NULL);
        carreld_await_ready(carreld, 60.0);
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
        end_daemon();
}

static int inside(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(auto_takes_the_first_that_is_able, stop_daemon),
                /* The last: it takes rights away from this process's children for good. */
                cmocka_unit_test_teardown(without_the_right_to_connect_there_is_policy_none, stop_daemon),
        };

        return engine_run_tests("choice", tests, sizeof tests / sizeof *tests, start_engine, stop_engine);
}

int main(void)
{
        return enclosure_run(inside);
}
