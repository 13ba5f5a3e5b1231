#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "probe.h"

#define ABLE                                                                                                           \
        "\"MemoryLimit\":true,\"SwapLimit\":true,\"PidsLimit\":true,\"CpuCfsQuota\":true,"                             \
        "\"Runtimes\":{\"crun\":{},\"runc\":{}}"
#define SECURE "\"SecurityOptions\":[\"name=seccomp,profile=default\"]"

static void test_info(void **state)
{
        static const struct {
                const char *json, *runtime;
                const char *lacks; /* NULL: nothing */
        } CASES[] = {
                { "{" ABLE "," SECURE "}", "", NULL },
                { "{" ABLE "," SECURE "}", NULL, NULL },
                { "{" ABLE "," SECURE "}", "crun", NULL },
                { "{" ABLE "," SECURE "}", "runsc", "runsc" },
                { "{" ABLE ",\"SecurityOptions\":[\"name=seccomp\"]}", "", NULL },
                { "{" ABLE "}", "", "seccomp" },
                { "{" ABLE ",\"SecurityOptions\":[\"name=seccompanion\"]}", "", "seccomp" },
                { "{" ABLE ",\"SecurityOptions\":[\"name=seccomp\",\"name=rootless\"]}", "", "without root" },
                { "{\"MemoryLimit\":false," ABLE "," SECURE "}", "", "memory" },
                { "{\"SwapLimit\":false," ABLE "," SECURE "}", "", "swap" },
                { "{\"PidsLimit\":false," ABLE "," SECURE "}", "", "processes" },
                { "{\"CpuCfsQuota\":false," ABLE "," SECURE "}", "", "CPU" },
                { "{" SECURE "}", "", "memory" }, /* what is not said is not there */
                { "{" ABLE ",\"SecurityOptions\":[\"name=seccomp\",\"name=userns\"]}", "", "user ids" },
                { "[]", "", "no engine" },
                { "", "", "no engine" },
                { "{\"MemoryLimit\":tr", "", "no engine" },
                { "{" ABLE ",\"SecurityOptions\":{\"a\":1}}", "", "seccomp" },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct fault why = { 0 };
                int r = probe_judge_info(CASES[i].json, strlen(CASES[i].json), CASES[i].runtime, &why);

                if (CASES[i].lacks == NULL ? r != 0 : r >= 0 || strstr(why.message, CASES[i].lacks) == NULL)
                        fail_msg("%s: %d %s", CASES[i].json, r, why.message);
        }
}

static void test_nobody_answers(void **state)
{
        enum probed_kind kind;
        struct fault why = { 0 };

        assert_true(probe_engine("/nonexistent/engine.sock", "", 2.0, &kind, &why) < 0);
        assert_int_equal(why.kind, FAULT_ENGINE_UNAVAILABLE);
        assert_non_null(strstr(why.message, "nothing answers"));
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_info), cmocka_unit_test(test_nobody_answers) };

        return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
