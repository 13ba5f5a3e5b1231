#include "prelude.h"

#include <stdio.h>
#include <string.h>

#include "doctor-disks.h"
#include "doctor-inside.h"
#include "doctor-lxcfs.h"
#include "doctor-warm.h"
#include "view.h"

static struct doctor_findings open_findings(void)
{
        struct doctor_findings findings = { .array = cJSON_CreateArray() };

        assert_non_null(findings.array);
        return findings;
}

static const char *result_of(const struct doctor_findings *findings, int index)
{
        return view_text(cJSON_GetArrayItem(findings->array, index), "result");
}

static const char GOOD[] =
        "Uid: 1000\nCapBnd: 0000000000000000\nNoNewPrivs: 1\nSeccomp: 2\nInit: no\nRoot: ro,relatime\n"
        "Tmp: yes\nWorkspace: yes\nPids: 256\nMemory: 2147483648\nIds: 1879048192\n";

static void a_hardened_carrel_passes(void **state)
{
        struct doctor_findings findings = open_findings();

        doctor_judge_inside(&findings, GOOD);
        assert_int_equal(cJSON_GetArraySize(findings.array), CHECK_COUNTS - CHECK_USER + 1);
        assert_int_equal(findings.failures, 0);
        for (int i = 0; i < cJSON_GetArraySize(findings.array); i++)
                assert_string_equal(result_of(&findings, i), "OK");
        cJSON_Delete(findings.array);
}

/* Each line in front of or instead of the good one: the last one of a key counts. */
static void each_weakness_is_found(void **state)
{
        static const struct {
                enum doctor_check check;
                const char *line;
        } CASES[] = {
                { CHECK_USER, "Uid: 0\n" },
                { CHECK_CAPABILITIES, "CapBnd: 0000000000000400\n" },
                { CHECK_CAPABILITIES, "CapBnd: 00000000a80425fb\n" },
                { CHECK_NEW_PRIVILEGES, "NoNewPrivs: 0\n" },
                { CHECK_SECCOMP, "Seccomp: 0\n" },
                { CHECK_SECCOMP, "Seccomp: 1\n" },
                { CHECK_INIT, "Init: yes\n" },
                { CHECK_ROOT, "Root: rw,relatime\n" },
                { CHECK_ROOT, "Root: rolled\n" },
                { CHECK_TMP, "Tmp: no\n" },
                { CHECK_WORKSPACE, "Workspace: no\n" },
                { CHECK_PIDS, "Pids: max\n" },
                { CHECK_PIDS, "Pids: 0\n" },
                { CHECK_MEMORY, "Memory: 9223372036854771712\n" },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct doctor_findings findings = open_findings();
                char report[512];

                (void)snprintf(report, sizeof report, "%s%s", GOOD, CASES[i].line);
                doctor_judge_inside(&findings, report);
                assert_int_equal(findings.failures, 1);
                const cJSON *finding = cJSON_GetArrayItem(findings.array, (int)(CASES[i].check - CHECK_USER));
                assert_string_equal(view_text(finding, "result"), "FAIL");
                assert_true(strlen(view_text(finding, "mend")) > 0);
                cJSON_Delete(findings.array);
        }
}

static void silence_is_no_pass(void **state)
{
        struct doctor_findings findings = open_findings();

        doctor_judge_inside(&findings, "");
        assert_int_equal(findings.failures, CHECK_WORKSPACE - CHECK_USER + 1);
        assert_string_equal(result_of(&findings, CHECK_PIDS - CHECK_USER), "SKIP");
        assert_string_equal(result_of(&findings, CHECK_MEMORY - CHECK_USER), "SKIP");
        cJSON_Delete(findings.array);
}

/* gVisor's /proc/self/status has Seccomp and not NoNewPrivs. */
static void a_kernel_that_does_not_tell_is_no_failure(void **state)
{
        struct doctor_findings findings = open_findings();

        doctor_judge_inside(&findings, "Uid: 1000\nCapBnd: 0000000000000000\nSeccomp: 2\nRoot: ro\nTmp: yes\n"
                                       "Workspace: yes\n");
        assert_int_equal(findings.failures, 0);
        assert_string_equal(result_of(&findings, CHECK_NEW_PRIVILEGES - CHECK_USER), "SKIP");
        cJSON_Delete(findings.array);
}

#define TOOL "Tool: nc\n"
#define CONTROL "Control: nc: can't connect to remote host (127.0.0.1): Connection refused\n"

static void egress_needs_its_control(void **state)
{
        static const struct {
                const char *report;
                double dropped;
                const char *denied, *allowed;
        } CASES[] = {
                { "", 0, "SKIP", "SKIP" },
                { TOOL "Target: nc: timed out\n", 3, "SKIP", "SKIP" },
                { TOOL "Control: Segmentation fault\nTarget: nc: timed out\n", 3, "SKIP", "SKIP" },
                { TOOL CONTROL "Target: nc: timed out\n", 3, "OK", "FAIL" },
                { TOOL CONTROL "Target: timed out\n", 0, "OK", "FAIL" },
                { TOOL CONTROL "Target: [Errno 101] Network is unreachable\n", 0, "OK", "FAIL" },
                { TOOL CONTROL "Target: connected\n", 3, "FAIL", "OK" },
                { TOOL CONTROL "Target: Connection refused\n", 0, "FAIL", "OK" },
                { TOOL CONTROL "Target: something else\n", 0, "SKIP", "SKIP" },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct doctor_findings findings = open_findings();

                doctor_judge_denied(&findings, "target", CASES[i].report, CASES[i].dropped);
                doctor_judge_allowed(&findings, "target", CASES[i].report);
                assert_string_equal(result_of(&findings, 0), CASES[i].denied);
                assert_string_equal(result_of(&findings, 1), CASES[i].allowed);
                cJSON_Delete(findings.array);
        }
}

static void names_need_an_answer(void **state)
{
        static const struct {
                const char *report, *result;
        } CASES[] = {
                { "Tool: python3\nName: resolved 1.2.3.4\n", "OK" },
                { "Tool: nslookup\nName: unknown ** server can't find example.com: NXDOMAIN\n", "OK" },
                { "Tool: python3\nName: silent [Errno -3] Temporary failure in name resolution\n", "FAIL" },
                { "Tool: getent\nName: unclear nothing\n", "SKIP" },
                { "Tool: python3\nName:\n", "SKIP" },
                { "", "SKIP" },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct doctor_findings findings = open_findings();

                doctor_judge_names(&findings, "example.com", "10.0.0.53", CASES[i].report);
                assert_string_equal(result_of(&findings, 0), CASES[i].result);
                cJSON_Delete(findings.array);
        }
}

static void every_check_has_its_name(void **state)
{
        struct doctor_findings findings = open_findings();

        for (int check = 0; check < CHECKS; check++) {
                doctor_note(&findings, (enum doctor_check)check, VERDICT_FAIL, "x");
                const cJSON *finding = cJSON_GetArrayItem(findings.array, check);
                assert_true(strlen(view_text(finding, "check")) > 0);
                assert_true(strlen(view_text(finding, "mend")) > 0);
        }
        assert_int_equal(findings.failures, CHECKS);
        cJSON_Delete(findings.array);
}

static void shared_counts_are_reported(void **state)
{
        static const struct {
                const char *report, *result, *word;
        } CASES[] = {
                { "NoNewPrivs: 1\nIds: 1879048192\n", "OK", "1879048192" },
                { "NoNewPrivs: 1\nIds: 0\n", "SKIP", "share" },
                { "Seccomp: 2\nIds: 0\n", "OK", "kernel" },
                { "NoNewPrivs: 1\n", "SKIP", "did not report" },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct doctor_findings findings = open_findings();

                doctor_judge_inside(&findings, CASES[i].report);
                const cJSON *finding = cJSON_GetArrayItem(findings.array, CHECK_COUNTS - CHECK_USER);
                assert_string_equal(view_text(finding, "result"), CASES[i].result);
                assert_non_null(strstr(view_text(finding, "detail"), CASES[i].word));
                cJSON_Delete(findings.array);
        }
}

static void a_full_disk_is_found(void **state)
{
#define DISK(size, free, inodes, free_inodes, age)                                                                     \
        "{\"setting\":\"users_dir\",\"size_bytes\":" size ",\"free_bytes\":" free ",\"inodes\":" inodes                \
        ",\"free_inodes\":" free_inodes ",\"age_s\":" age "}"
#define WELL DISK("100e9", "50e9", "1000000", "900000", "3")
        static const struct {
                const char *disks, *result, *part;
        } CASES[] = {
                { WELL, "OK", "users_dir has 47g and 900000 inodes free" },
                { WELL "," WELL, "OK", "free; users_dir has" },
                { DISK("100e9", "2e9", "0", "0", "3"), "OK", "1.9g free" }, /* much, though a small part */
                { DISK("8e6", "7e6", "100", "90", "3"), "OK", "" },         /* little, but most of it */
                { DISK("100e9", "1e9", "0", "0", "3"), "FAIL", "users_dir has 954m free" },
                { DISK("100e9", "50e9", "1000000", "9999", "3"), "FAIL", "9999 inodes" },
                { DISK("100e9", "0", "1000000", "900000", "3"), "FAIL", "has 0" },
                { WELL "," DISK("100e9", "50e9", "0", "0", "61"), "FAIL", "users_dir has not answered for 61 s" },
                { DISK("100e9", "0", "0", "0", "3") "," WELL, "FAIL", "" },
                { "", "SKIP", "" },
        };

        (void)state;
        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct doctor_findings findings = open_findings();
                char text[512];
                cJSON *info;

                (void)snprintf(text, sizeof text, "{\"disks\":[%s]}", CASES[i].disks);
                info = cJSON_Parse(text);
                assert_non_null(info);
                doctor_judge_disks(&findings, info);
                assert_string_equal(result_of(&findings, 0), CASES[i].result);
                if (strstr(view_text(cJSON_GetArrayItem(findings.array, 0), "detail"), CASES[i].part) == NULL)
                        fail_msg("%s", view_text(cJSON_GetArrayItem(findings.array, 0), "detail"));
                cJSON_Delete(info);
                cJSON_Delete(findings.array);
        }
}

static void records_on_a_disk_are_found(void **state)
{
#define RUNTIME(system, is_in_memory)                                                                                  \
        "{\"runtime_dir\":{\"file_system\":\"" system "\",\"is_in_memory\":" is_in_memory                              \
        "},\"settings\":{\"runtime_dir\":\"/run/carrel\"}}"
        static const struct {
                const char *info, *result, *part;
        } CASES[] = {
                { RUNTIME("tmpfs", "true"), "OK", "runtime_dir (/run/carrel) is on tmpfs" },
                { RUNTIME("ext4", "false"), "FAIL", "(/run/carrel) is on ext4, not a tmpfs" },
                { RUNTIME("", "false"), "SKIP", "does not report" },
                { "{}", "SKIP", "does not report" }, /* an older carreld */
        };

        (void)state;
        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct doctor_findings findings = open_findings();
                cJSON *info = cJSON_Parse(CASES[i].info);

                assert_non_null(info);
                doctor_judge_runtime(&findings, info);
                assert_string_equal(result_of(&findings, 0), CASES[i].result);
                assert_non_null(strstr(view_text(cJSON_GetArrayItem(findings.array, 0), "detail"), CASES[i].part));
                cJSON_Delete(info);
                cJSON_Delete(findings.array);
        }
}

static void missing_warm_carrels_are_found(void **state)
{
#define WARM(wanted, ready, detail)                                                                                    \
        "{\"stats\":{\"warm\":{\"wanted\":" wanted ",\"ready\":" ready ",\"detail\":\"" detail "\"}}}"
        static const struct {
                const char *info, *result, *detail;
        } CASES[] = {
                { WARM("4", "4", ""), "OK", "4 of 4 are ready" },
                { WARM("4", "1", ""), "OK", "1 of 4 are ready, the rest is being made" },
                { WARM("4", "1", "max_carrels is reached"), "FAIL", "1 of 4 are ready: max_carrels is reached" },
                { WARM("4", "4", "claims fail"), "FAIL", "4 of 4 are ready: claims fail" },
                { WARM("0", "0", ""), "SKIP", "the settings ask for none" },
                { "{\"stats\":{}}", "SKIP", "carreld does not report it" }, /* an older carreld */
        };

        (void)state;
        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct doctor_findings findings = open_findings();
                cJSON *info = cJSON_Parse(CASES[i].info);

                assert_non_null(info);
                doctor_judge_warm(&findings, info);
                assert_string_equal(result_of(&findings, 0), CASES[i].result);
                assert_string_equal(view_text(cJSON_GetArrayItem(findings.array, 0), "detail"), CASES[i].detail);
                cJSON_Delete(info);
                cJSON_Delete(findings.array);
        }
}

static void an_lxcfs_that_has_ended_is_found(void **state)
{
        static const struct {
                const char *info, *result;
        } CASES[] = {
                { "{\"settings\":{\"lxcfs\":\"auto\"},\"stats\":{\"lxcfs\":\"running\"}}", "OK" },
                { "{\"settings\":{\"lxcfs\":\"auto\"},\"stats\":{\"lxcfs\":\"ended\"}}", "FAIL" },
                { "{\"settings\":{\"lxcfs\":\"auto\"},\"stats\":{\"lxcfs\":\"absent\"}}", "SKIP" },
                { "{\"settings\":{\"lxcfs\":\"on\"},\"stats\":{\"lxcfs\":\"absent\"}}", "FAIL" },
                { "{\"settings\":{\"lxcfs\":\"off\"},\"stats\":{\"lxcfs\":\"off\"}}", "SKIP" },
                { "{\"stats\":{}}", "SKIP" }, /* an older carreld */
        };

        (void)state;
        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct doctor_findings findings = open_findings();
                cJSON *info = cJSON_Parse(CASES[i].info);

                assert_non_null(info);
                doctor_judge_lxcfs(&findings, info);
                assert_string_equal(result_of(&findings, 0), CASES[i].result);
                cJSON_Delete(info);
                cJSON_Delete(findings.array);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_hardened_carrel_passes),
                cmocka_unit_test(a_full_disk_is_found),
                cmocka_unit_test(missing_warm_carrels_are_found),
                cmocka_unit_test(an_lxcfs_that_has_ended_is_found),
                cmocka_unit_test(records_on_a_disk_are_found),
                cmocka_unit_test(each_weakness_is_found),
                cmocka_unit_test(silence_is_no_pass),
                cmocka_unit_test(a_kernel_that_does_not_tell_is_no_failure),
                cmocka_unit_test(egress_needs_its_control),
                cmocka_unit_test(every_check_has_its_name),
                cmocka_unit_test(names_need_an_answer),
                cmocka_unit_test(shared_counts_are_reported),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
