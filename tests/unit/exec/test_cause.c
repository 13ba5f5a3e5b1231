/* Every cause of an exec's end, as a table, and the facts that each needs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exec-cause.h"
#include "exec-output.h"

static const struct cause_case {
        const char *name;
        struct exec_facts facts;
        struct exec_end end;
} CASES[] = {
        { "success", { .exit_code = 0 }, { EXEC_EXIT, 0, 0 } },
        { "failure", { .exit_code = 3 }, { EXEC_EXIT, 3, 0 } },
        { "the shell's not found", { .exit_code = 127 }, { EXEC_EXIT, 127, 0 } },
        { "128 is no signal", { .exit_code = 128 }, { EXEC_EXIT, 128, 0 } },
        { "a signal", { .exit_code = 143 }, { EXEC_SIGNAL, 143, 15 } },
        { "the last signal", { .exit_code = 192 }, { EXEC_SIGNAL, 192, 64 } },
        { "above the signals", { .exit_code = 193 }, { EXEC_EXIT, 193, 0 } },
        { "killed, memory was enough", { .exit_code = 137 }, { EXEC_SIGNAL, 137, 9 } },
        { "killed for memory", { .exit_code = 137, .has_oom_risen = true }, { EXEC_OOM, 137, 0 } },
        { "a child was killed for memory", { .exit_code = 1, .has_oom_risen = true }, { EXEC_EXIT, 1, 0 } },
        { "terminated while memory was short", { .exit_code = 143, .has_oom_risen = true }, { EXEC_SIGNAL, 143, 15 } },
        { "fork refused, failed", { .exit_code = 2, .has_pids_risen = true }, { EXEC_PIDS, 2, 0 } },
        { "fork refused, coped", { .exit_code = 0, .has_pids_risen = true }, { EXEC_EXIT, 0, 0 } },
        { "both risen, killed",
          { .exit_code = 137, .has_oom_risen = true, .has_pids_risen = true },
          { EXEC_OOM, 137, 0 } },
        { "timeout", { .is_timed_out = true, .exit_code = 137 }, { EXEC_TIMEOUT, 124, 0 } },
        { "timeout and memory",
          { .is_timed_out = true, .exit_code = 137, .has_oom_risen = true },
          { EXEC_TIMEOUT, 124, 0 } },
        { "lost", { .is_lost = true }, { EXEC_CARREL_LOST, 137, 0 } },
        { "lost for memory", { .is_lost = true, .is_container_oom = true }, { EXEC_OOM, 137, 0 } },
};

static void causes(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                struct exec_end end = exec_decide_end(&CASES[i].facts);

                if (end.cause != CASES[i].end.cause || end.exit_code != CASES[i].end.exit_code ||
                    end.signal != CASES[i].end.signal)
                        fail_msg("%s: %s, code %d, signal %d", CASES[i].name, exec_cause_name(end.cause), end.exit_code,
                                 end.signal);
        }
}

static void names(void **state)
{
        static const char *const EXPECTED[] = {
                "exit", "signal", "timeout", "oom", "pids", "cancelled", "carrel_lost"
        };

        (void)state;
        for (unsigned i = 0; i < EXEC_CAUSES; i++)
                assert_string_equal(exec_cause_name((enum exec_cause)i), EXPECTED[i]);
        assert_string_equal(exec_cause_name(EXEC_CAUSES), "unknown");
}

static void caps(void **state)
{
        static const struct {
                uint64_t cap_bytes;
                const char *pieces[3];
                const char *kept;
                bool is_truncated;
        } TABLE[] = {
                { 0, { "" }, "", false },
                { 0, { "a" }, "", true },
                { 3, { "abc" }, "abc", false },
                { 3, { "abcd" }, "abc", true },
                { 3, { "ab", "cd", "ef" }, "abc", true },
                { 4, { "ab", "cd" }, "abcd", false },
                { UINT64_MAX, { "ab", "cd" }, "abcd", false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
                struct exec_output output = { .cap_bytes = TABLE[i].cap_bytes };

                for (size_t piece = 0; piece < 3 && TABLE[i].pieces[piece] != NULL; piece++)
                        exec_output_append(&output, TABLE[i].pieces[piece], __builtin_strlen(TABLE[i].pieces[piece]));
                assert_string_equal(output.kept.data != NULL ? output.kept.data : "", TABLE[i].kept);
                assert_int_equal(output.is_truncated, TABLE[i].is_truncated);
                buffer_free(&output.kept);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(causes),
                cmocka_unit_test(names),
                cmocka_unit_test(caps),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
