/* The texts of procfs and cgroupfs in v1, v2 and hybrid form, and the texts that are refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "cgroup.h"
#include "proc-file.h"
#include "str.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char V1[] = "31 24 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
                         "35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
                         "39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
                         "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
                         "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
static const char V2[] = "29 22 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
static const char SUBTREE[] = "29 22 0:26 /outer /cg rw - cgroup2 cgroup2 rw\n";

static const struct parse_case {
        const char *name, *mounts, *text, *id;
        int error;
        const char *oom_file, *pids_file, *members_file;
} CASES[] = {
        { "v1", V1, "8:pids:/docker/" ID "\n4:memory:/docker/" ID "\n0::/\n", ID, 0,
          "/sys/fs/cgroup/memory/docker/" ID "/memory.oom_control", "/sys/fs/cgroup/pids/docker/" ID "/pids.events",
          "/sys/fs/cgroup/pids/docker/" ID "/cgroup.procs" },
        { "v2, systemd's name", V2, "0::/system.slice/docker-" ID ".scope\n", ID, 0,
          "/sys/fs/cgroup/system.slice/docker-" ID ".scope/memory.events",
          "/sys/fs/cgroup/system.slice/docker-" ID ".scope/pids.events",
          "/sys/fs/cgroup/system.slice/docker-" ID ".scope/cgroup.procs" },
        { "controllers together", "1 2 0:3 / /c rw - cgroup cgroup rw,cpu,memory,pids\n",
          "3:cpu,memory,pids:/d/" ID "\n", ID, 0, "/c/d/" ID "/memory.oom_control", "/c/d/" ID "/pids.events",
          "/c/d/" ID "/cgroup.procs" },
        { "only a part is mounted", SUBTREE, "0::/outer/d/" ID "\n", ID, 0, "/cg/d/" ID "/memory.events",
          "/cg/d/" ID "/pids.events", "/cg/d/" ID "/cgroup.procs" },
        { "outside that part", SUBTREE, "0::/d/" ID "\n", ID, -ENOENT, NULL, NULL, NULL },
        { "above our namespace", V2, "0::/../d/" ID "\n", ID, -ENOENT, NULL, NULL, NULL },
        { "another container", V2, "0::/docker/f" ID "\n", ID, -ENOENT, NULL, NULL, NULL },
        { "our own cgroup", V1, "8:pids:/\n4:memory:/\n0::/\n", ID, -ENOENT, NULL, NULL, NULL },
        { "nothing is mounted", "", "0::/docker/" ID "\n", ID, -ENOENT, NULL, NULL, NULL },
        { "the empty id", V2, "0::/docker/" ID "\n", "", -ENOENT, NULL, NULL, NULL },
        { "a short id", V2, "0::/docker/0123\n", "0123", -ENOENT, NULL, NULL, NULL },
        { "garbage", V2, "::::\n\n:\nx", ID, -ENOENT, NULL, NULL, NULL },
};

static void files_of_a_cgroup(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
                struct cgroup_mounts mounts;
                struct cgroup cgroup = { .oom_file = "untouched" };
                int error;

                cgroup_parse_mounts(CASES[i].mounts, &mounts);
                error = cgroup_parse(&mounts, CASES[i].text, CASES[i].id, &cgroup);
                if (error != CASES[i].error)
                        fail_msg("%s: %d", CASES[i].name, error);
                if (error != 0) {
                        assert_string_equal(cgroup.oom_file, "untouched");
                        continue;
                }
                assert_string_equal(cgroup.oom_file, CASES[i].oom_file);
                assert_string_equal(cgroup.pids_file, CASES[i].pids_file);
                assert_string_equal(cgroup.members_file, CASES[i].members_file);
        }
}

static void whole_words_only(void **state)
{
        static const struct {
                const char *text;
                bool names;
        } TABLE[] = {
                { "/docker/abcdef012345", true },        { "/docker/abcdef012345/sub", true },
                { "/d-abcdef012345.scope\n", true },     { "/docker/abcdef0123456", false },
                { "/docker/0abcdef012345", false },      { "abcdef012345", false },
                { "/aabcdef012345/abcdef012345", true }, { "", false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++)
                if (cgroup_text_names(TABLE[i].text, "abcdef012345") != TABLE[i].names)
                        fail_msg("%s", TABLE[i].text);
        assert_false(cgroup_text_names("/docker/../../../../", "../../../.."));
}

static void counters(void **state)
{
        static const char TEXT[] = "low 0\nmax 7\noom 5\noom_kill 3\noom_group_kill 1\n";

        (void)state;
        assert_int_equal(cgroup_parse_counter(TEXT, "oom_kill"), 3);
        assert_int_equal(cgroup_parse_counter(TEXT, "max"), 7);
        assert_int_equal(cgroup_parse_counter(TEXT, "oom_k"), 0);
        assert_int_equal(cgroup_parse_counter("", "max"), 0);
        assert_int_equal(cgroup_parse_counter("max", "max"), 0);
}

static void count_with(struct cgroup_reader *reader, struct cgroup_counters *ret_kept, struct cgroup_counters *ret_read)
{
        cgroup_reader_count(reader, ret_kept);
        cgroup_count(&reader->cgroup, ret_read);
}

/* Where no descriptor is left to read it with, it is not 0, and nothing is said of it. */
static void a_counter_that_cannot_be_read(void **state)
{
        char path[] = "/tmp/carrel-test-counter-XXXXXX";
        int fd = mkstemp(path);
        struct cgroup_reader reader = { .oom_fd = -1, .pids_fd = -1 };
        struct cgroup_counters kept[2], all[2];
        struct rlimit limit, none;

        (void)state;
        assert_true(fd >= 0 && write(fd, "max 7\n", 6) == 6);
        close(fd);
        assert_int_equal(str_copy(reader.cgroup.pids_file, sizeof reader.cgroup.pids_file, path), 0);
        assert_return_code(getrlimit(RLIMIT_NOFILE, &limit), errno);
        none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
        assert_return_code(setrlimit(RLIMIT_NOFILE, &none), errno);
        count_with(&reader, &kept[0], &all[0]);
        assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), errno);
        count_with(&reader, &kept[1], &all[1]);
        cgroup_reader_rest(&reader);
        assert_return_code(unlink(path), errno);
        assert_true(kept[1].pids_refused == 7 && all[1].pids_refused == 7);
        assert_false(cgroup_has_risen(kept[0].pids_refused, 7));
        assert_false(cgroup_has_risen(all[0].pids_refused, 7));
        assert_false(cgroup_has_risen(6, kept[0].pids_refused));
        assert_true(cgroup_has_risen(6, kept[1].pids_refused));
        assert_false(cgroup_has_risen(7, kept[1].pids_refused));
}

static void one_process(void **state)
{
        static const struct {
                const char *stat;
                int error;
                struct process process;
        } TABLE[] = {
                { "42 (sh) S 7 42 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 4096 1",
                  0,
                  { 42, 7, 40, 98765, 'S' } },
                { "42 (a) Z 1 (b) T 7 42 40 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 5 6", 0, { 42, 7, 40, 5, 'T' } },
                { "42 (\n)) R 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 0 0 0 0 18446744073709551615 0",
                  0,
                  { 42, 1, 1, UINT64_MAX, 'R' } },
                { "42 (sh) S 7 42 40", -EBADMSG, { 0 } },
                { "42 sh S", -EBADMSG, { 0 } },
                { "", -EBADMSG, { 0 } },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
                struct process process = { 0 };

                assert_int_equal(process_parse(TABLE[i].stat, &process), TABLE[i].error);
                assert_int_equal(process.pid, TABLE[i].process.pid);
                assert_int_equal(process.parent, TABLE[i].process.parent);
                assert_int_equal(process.session, TABLE[i].process.session);
                assert_true(process.start_ticks == TABLE[i].process.start_ticks);
                assert_int_equal(process.state, TABLE[i].process.state);
        }
}

static void limits(void **state)
{
        static const struct {
                const char *text;
                uint64_t limit;
        } TABLE[] = {
                { "2147483648\n", 2147483648 }, { "0\n", 0 },         { "7", 7 },
                { "max\n", UINT64_MAX },        { "", UINT64_MAX },   { "-1\n", UINT64_MAX },
                { "12 13\n", UINT64_MAX },      { "9x", UINT64_MAX }, { "99999999999999999999999999", UINT64_MAX },
        };
        struct cgroup_mounts mounts;
        struct cgroup cgroup;

        (void)state;
        for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++)
                assert_true(cgroup_parse_limit(TABLE[i].text) == TABLE[i].limit);
        cgroup_parse_mounts(V1, &mounts);
        assert_int_equal(cgroup_parse(&mounts, CASES[0].text, ID, &cgroup), 0);
        assert_string_equal(cgroup.memory_limit_file, "/sys/fs/cgroup/memory/docker/" ID "/memory.limit_in_bytes");
        assert_string_equal(cgroup.pids_limit_file, "/sys/fs/cgroup/pids/docker/" ID "/pids.max");
        assert_string_equal(cgroup.socket_limit_file,
                            "/sys/fs/cgroup/memory/docker/" ID "/memory.kmem.tcp.limit_in_bytes");
        assert_string_equal(cgroup.socket_usage_file,
                            "/sys/fs/cgroup/memory/docker/" ID "/memory.kmem.tcp.usage_in_bytes");
        cgroup_parse_mounts(V2, &mounts);
        assert_int_equal(cgroup_parse(&mounts, CASES[1].text, ID, &cgroup), 0);
        assert_string_equal(cgroup.socket_limit_file, "");
        assert_string_equal(cgroup.socket_usage_file, "");
        assert_string_equal(cgroup.memory_limit_file, "/sys/fs/cgroup/system.slice/docker-" ID ".scope/memory.max");
        assert_string_equal(cgroup.pids_limit_file, "/sys/fs/cgroup/system.slice/docker-" ID ".scope/pids.max");
}

static void this_process(void **state)
{
        struct process process = { 0 };
        struct cgroup_mounts mounts;
        struct cgroup cgroup;

        (void)state;
        assert_int_equal(process_read(getpid(), &process), 0);
        assert_int_equal(process.parent, getppid());
        assert_int_equal(process.session, getsid(0));
        assert_int_equal(cgroup_read_mounts(&mounts), 0);
        assert_int_equal(cgroup_find(&mounts, getpid(), ID, &cgroup), -ESRCH);
        assert_false(cgroup_holds(getpid(), ID));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(files_of_a_cgroup),
                cmocka_unit_test(whole_words_only),
                cmocka_unit_test(counters),
                cmocka_unit_test(limits),
                cmocka_unit_test(one_process),
                cmocka_unit_test(this_process),
                cmocka_unit_test(a_counter_that_cannot_be_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
