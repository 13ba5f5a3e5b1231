/* The texts of cgroupfs that say what a container has used, in all forms, and texts that are none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "usage.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define NONE USAGE_UNCOUNTED

static const struct text_case {
        enum cgroup_hierarchy hierarchy;
        const char *file, *text;
        enum usage_number number;
        uint64_t expected;
} CASES[] = {
        { CGROUP_CPUACCT, "cpuacct.usage_user", "1500999\n", USAGE_CPU_USER_US, 1500 },
        { CGROUP_CPUACCT, "cpuacct.usage_user", "1500999", USAGE_CPU_USER_US, 1500 },
        { CGROUP_CPUACCT, "cpuacct.usage_user", "", USAGE_CPU_USER_US, NONE },
        { CGROUP_CPUACCT, "cpuacct.usage_user", "-1\n", USAGE_CPU_USER_US, NONE },
        { CGROUP_CPUACCT, "cpuacct.usage_user", "12x\n", USAGE_CPU_USER_US, NONE },
        { CGROUP_CPUACCT, "cpuacct.usage_user", "99999999999999999999\n", USAGE_CPU_USER_US, NONE },
        { CGROUP_CPUACCT, "cpuacct.usage_user", "999999999999999999999999\n", USAGE_CPU_USER_US, NONE },
        { CGROUP_CPU, "cpu.stat", "nr_periods 3\nnr_throttled 2\nthrottled_time 7000\n", USAGE_CPU_PERIODS, 3 },
        { CGROUP_CPU, "cpu.stat", "nr_periods 3\nnr_throttled 2\nthrottled_time 7000\n", USAGE_CPU_THROTTLED_US, 7 },
        { CGROUP_CPU, "cpu.stat", "usage_usec 3\n", USAGE_CPU_US, NONE }, /* not the keys of v1 */
        { CGROUP_UNIFIED, "cpu.stat", "usage_usec 30\nuser_usec 10\nsystem_usec 20\n", USAGE_CPU_US, 30 },
        { CGROUP_UNIFIED, "cpu.stat", "usage_usec 30\nuser_usec 10\nsystem_usec 20\n", USAGE_CPU_SYSTEM_US, 20 },
        { CGROUP_UNIFIED, "cpu.stat", "usage_usec 30\n", USAGE_CPU_PERIODS, NONE }, /* no controller */
        { CGROUP_UNIFIED, "cpu.stat", "usage_usec\n\nusage_usec \n", USAGE_CPU_US, NONE },
        { CGROUP_UNIFIED, "cpu.stat", "xusage_usec 3\nusage_usecx 4\n", USAGE_CPU_US, NONE },
        { CGROUP_MEMORY, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n", USAGE_MEMORY_OOM_KILLS,
          4 },
        { CGROUP_UNIFIED, "memory.events", "oom 9\noom_kill 5\noom_group_kill 6\n", USAGE_MEMORY_OOM_KILLS, 5 },
        { CGROUP_UNIFIED, "pids.current", "max\n", USAGE_PIDS, NONE },
        { CGROUP_UNIFIED, "io.stat", "", USAGE_IO_READ_BYTES, 0 },
        { CGROUP_UNIFIED, "io.stat", "8:0 rbytes=5 wbytes=1 rios=2 wios=3 dbytes=0 dios=0\n8:16 rbytes=7 wbytes=1\n",
          USAGE_IO_READ_BYTES, 12 },
        { CGROUP_UNIFIED, "io.stat", "8:0 rbytes=5 wbytes=1 rios=2 wios=3\n7:0 \n", USAGE_IO_WRITES, 3 },
        { CGROUP_UNIFIED, "io.stat", "8:0 xrbytes=5 rbytes=\n", USAGE_IO_READ_BYTES, 0 },
        { CGROUP_UNIFIED, "cpu.pressure", "some avg10=0.00 avg60=1.00 avg300=0.10 total=42\n",
          USAGE_PRESSURE_CPU_SOME_US, 42 },
        { CGROUP_UNIFIED, "cpu.pressure", "some avg10=0.00 total=42\n", USAGE_PRESSURE_CPU_FULL_US, NONE },
        { CGROUP_UNIFIED, "io.pressure", "some avg10=0.00 total=42\nfull avg10=0.00 total=41\n",
          USAGE_PRESSURE_IO_FULL_US, 41 },
        { CGROUP_UNIFIED, "unknown", "1\n", USAGE_PIDS, NONE },
};

static void texts_of_the_kernel(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct usage usage;

                usage_clear(&usage);
                usage_parse(CASES[i].hierarchy, CASES[i].file, CASES[i].text, &usage);
                if (usage.of[CASES[i].number] != CASES[i].expected)
                        fail_msg("%zu: %s: %llu", i, CASES[i].file, (unsigned long long)usage.of[CASES[i].number]);
        }
}

/* A text that is cut anywhere, or has another byte anywhere, gives a number or none. */
static void damaged_texts(void **state)
{
        char text[256];
        struct usage usage;

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                size_t length = strlen(CASES[i].text);

                for (size_t cut = 0; cut < length; cut++)
                        for (int byte = 0; byte < 256; byte++) {
                                memcpy(text, CASES[i].text, length + 1);
                                text[cut] = (char)byte;
                                usage_clear(&usage);
                                usage_parse(CASES[i].hierarchy, CASES[i].file, text, &usage);
                        }
        }
}

static void directories_of_a_container(void **state)
{
        static const char V1[] = "1 2 0:3 / /c/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                                 "1 2 0:3 / /c/memory rw - cgroup cgroup rw,memory\n"
                                 "1 2 0:3 / /c/unified rw - cgroup2 cgroup2 rw\n";
        struct cgroup_mounts mounts;
        struct cgroup_dirs dirs;

        (void)state;
        cgroup_parse_mounts(V1, &mounts);
        assert_int_equal(cgroup_parse_dirs(&mounts, "5:cpu,cpuacct:/d/" ID "\n4:memory:/\n0::/\n", ID, &dirs), 0);
        assert_string_equal(dirs.of[CGROUP_CPU], "/c/cpu,cpuacct/d/" ID "/");
        assert_string_equal(dirs.of[CGROUP_CPUACCT], "/c/cpu,cpuacct/d/" ID "/");
        assert_string_equal(dirs.of[CGROUP_MEMORY], ""); /* the group of the host */
        assert_string_equal(dirs.of[CGROUP_PIDS], "");
        assert_string_equal(dirs.of[CGROUP_UNIFIED], "");
        assert_int_equal(cgroup_parse_dirs(&mounts, "0::/d/" ID "\n", ID, &dirs), 0);
        assert_string_equal(dirs.of[CGROUP_UNIFIED], "/c/unified/d/" ID "/");
        assert_string_equal(dirs.of[CGROUP_CPU], "");
        assert_int_equal(cgroup_parse_dirs(&mounts, "4:memory:/\n0::/\n", ID, &dirs), -ENOENT);
}

/* The kernel's own files for our loopback; and an interface that does not exist has no numbers, not zeros. */
static void interfaces(void **state)
{
        struct usage usage;

        (void)state;
        usage_clear(&usage);
        usage_read_link("lo", &usage);
        if (usage.of[USAGE_NET_SENT_BYTES] == NONE)
                skip(); /* no sysfs */
        assert_true(usage.of[USAGE_NET_RECEIVED_DROPPED] != NONE);
        usage_clear(&usage);
        usage_read_link("no-such", &usage);
        for (size_t i = 0; i < USAGE_NUMBERS; i++)
                assert_true(usage.of[i] == NONE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(texts_of_the_kernel),
                cmocka_unit_test(damaged_texts),
                cmocka_unit_test(directories_of_a_container),
                cmocka_unit_test(interfaces),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
