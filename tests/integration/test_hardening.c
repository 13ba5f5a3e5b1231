/* Attacks of a hostile program inside a carrel. Where a probe must fail, the same probe succeeds in a plain container
 * of the same engine and image, which shows that the template stops it. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

static const char *const SETTINGS[] = { "CARREL_MEMORY=64m", "CARREL_PIDS=64", "CARREL_TMP_SIZE=1m",
                                        "CARREL_SHM_SIZE=1m", NULL };

static void set_up(void)
{
        carreld_must_ensure("ada");
}

/* ---- what /proc says ---- */

static void every_process_is_confined(void **state)
{
        static const struct {
                const char *field, *expected;
        } cases[] = {
                { "CapInh", "0000000000000000" },
                { "CapPrm", "0000000000000000" },
                { "CapEff", "0000000000000000" },
                { "CapBnd", "0000000000000000" },
                { "CapAmb", "0000000000000000" },
                { "NoNewPrivs", "1" },
                { "Seccomp", "2" },
                { "Uid", "1000" },
                { "Gid", "1000" },
        };
        static const char *const processes[] = { "self", "1" };
        char script[128], text[64];

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
                for (size_t j = 0; j < 2; j++) {
                        snprintf(script, sizeof script, "awk '/^%s:/ {print $2}' /proc/%s/status", cases[i].field,
                                 processes[j]);
                        carreld_must_exec("ada", script, text, sizeof text);
                        if (strcmp(text, cases[i].expected) != 0)
                                fail_msg("%s of process %s is %s", cases[i].field, processes[j], text);
                }
}

/* ---- what must fail ---- */

static int exit_code_inside(const char *script)
{
        struct answer answer = carreld_exec("ada", script, PATIENCE_S);
        int code = (int)answer_number(&answer, "exit_code");

        assert_int_equal(answer.status, 200);
        answer_release(&answer);
        return code;
}

static const char *const FORBIDDEN[] = {
        "touch /probe",
        "touch /etc/probe",
        "touch /sys/fs/cgroup/probe",
        "mkdir /bin/probe",
        "mount -t tmpfs none /run",
        "unshare -n true",
        "hostname other",
        "chown 0 /workspace",
        "chroot / true",
        "ip link set lo down",
        "mknod /workspace/probe b 8 0",
        "test $(head -c 1 /proc/kcore | wc -c) = 1", /* masked: as empty as /dev/null */
        "echo 1 >/proc/sys/kernel/printk",
        "dmesg >/dev/null",
        "ls /proc/1/fd/",
        "cat /proc/1/environ",
        "dd if=/dev/zero of=/tmp/full bs=1M count=4; code=$?; rm -f /tmp/full; exit $code",
};

static void what_is_forbidden_fails(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof FORBIDDEN / sizeof *FORBIDDEN; i++)
                if (exit_code_inside(FORBIDDEN[i]) == 0)
                        fail_msg("succeeded inside: %s", FORBIDDEN[i]);
}

static void the_same_probes_work_without_the_template(void **state)
{
        static const char *const works[] = { "touch /probe",        "touch /etc/probe",   "mount -t tmpfs none /run",
                                             "unshare -n true",     "hostname other",     "chroot / true",
                                             "ip link set lo down", "mknod /probe b 8 0", "ls /proc/1/fd/" };

        (void)state;
        for (size_t i = 0; i < sizeof works / sizeof *works; i++)
                engine_run_plainly(works[i]);
}

static void what_a_user_needs_works(void **state)
{
        static const char *const works[] = {
                "touch /workspace/probe && rm /workspace/probe",
                "echo 'echo ran' >/tmp/program && chmod +x /tmp/program && sh /tmp/program && rm /tmp/program",
                "cp /bin/busybox /workspace/echo && /workspace/echo fine && rm /workspace/echo",
                "sleep 0.01 & wait",
                "dd if=/dev/zero of=/tmp/half bs=512k count=1 && rm /tmp/half",
                "ip address show dev eth0 | grep -q 'inet 10\\.213\\.'",
                "[ $(ulimit -n) = 1024 ] && [ $(ulimit -c) = 0 ]",
                "grep -q ' /tmp tmpfs .*nosuid.*nodev' /proc/mounts",
        };

        (void)state;
        for (size_t i = 0; i < sizeof works / sizeof *works; i++)
                if (exit_code_inside(works[i]) != 0)
                        fail_msg("failed inside: %s", works[i]);
}

/* ---- limits, and the neighbour ---- */

static void expect_neighbour_answers(void)
{
        char text[32];

        carreld_must_exec("neighbour", "echo here", text, sizeof text);
        assert_string_equal(text, "here");
}

static void a_fork_bomb_stops_at_the_limit(void **state)
{
        struct volley *bomb = volley_new(CARREL_SOCKET, 1);
        char text[32];

        (void)state;
        carreld_must_ensure("neighbour");
        carreld_must_ensure("bomber");
        volley_add(bomb, "POST", "/v1/carrels/bomber/exec",
                   "{\"argv\":[\"sh\",\"-c\",\"bomb() { bomb | bomb & }; bomb; sleep 20\"],\"timeout_s\":5}");
        volley_run(bomb, 1.0);
        expect_neighbour_answers();
        assert_int_equal(volley_run(bomb, PATIENCE_S), 0);
        assert_int_equal(volley_answer(bomb, 0)->status, 200);
        volley_free(bomb);
        /* Whatever it did, the user can have a clean one. */
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/bomber", NULL, 200);
        carreld_must_exec("bomber", "echo again", text, sizeof text);
        assert_string_equal(text, "again");
        expect_neighbour_answers();
}

static void the_number_of_processes_is_the_limit(void **state)
{
        struct answer answer;
        char text[32];
        int count = 0;

        (void)state;
        /* busybox sh says "can't fork" and ends; what it has started is counted from inside by another exec. */
        carreld_must_ensure("counter");
        carreld_must_exec("counter",
                          "i=0; while [ $i -lt 50 ]; do sleep 300 & i=$((i+1)); done; ls -d /proc/[0-9]* | wc -l", text,
                          sizeof text);
        assert_int_equal(sscanf(text, "%d", &count), 1);
        assert_in_range(count, 51, 64);
        answer = carreld_exec("counter", "i=0; while [ $i -lt 50 ]; do sleep 300 & i=$((i+1)); done; exit 0",
                              PATIENCE_S);
        /* 50 sleepers and 50 more do not fit into 64. */
        assert_true(answer.status != 200 || answer_number(&answer, "exit_code") != 0);
        answer_release(&answer);
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/counter", NULL, 200);
}

/* Runtimes size their heaps and pools by these files (java, node). They are those of this carrel only, of cgroup v1 or
 * v2, and cannot be written; the host's have the neighbour's. */
static void a_program_reads_its_own_limits(void **state)
{
        static const char LOOK[] = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes 2>/dev/null || cat memory.max; "
                                   "cat cpu/cpu.cfs_quota_us 2>/dev/null || cut -d' ' -f1 cpu.max; "
                                   "for f in memory/memory.limit_in_bytes memory.max memory/tasks cgroup.procs; do "
                                   "[ -e $f ] && echo 1 2>/dev/null >$f && echo written; done; "
                                   "mkdir memory/mine mine 2>/dev/null && echo made; "
                                   "find . -type d | grep -cE '[0-9a-f]{64}'; true";
        static const char HOSTS[] = "find /sys/fs/cgroup/ -type d | grep -c \"$1\"";
        static struct output output;
        struct answer neighbour = carreld_ensure("neighbour");
        char text[256];

        (void)state;
        carreld_must_exec("ada", LOOK, text, sizeof text);
        assert_string_equal(text, "67108864\n100000\n0");
        RUN(&output, "sh", "-c", HOSTS, "sh", answer_text(&neighbour, "container_id"));
        assert_true(atoi(output.text) > 0);
        answer_release(&neighbour);
}

/* One inode over fails inside, of /tmp as of /dev/shm, and takes nothing from anybody else. 1m has 1024 of them, of
 * which the root directory is one; some are in use. */
static void inodes_are_bounded(void **state)
{
        static const char *const directories[] = { "/tmp", "/dev/shm" };
        char script[512], text[256];

        (void)state;
        for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
                snprintf(script, sizeof script,
                         "cd %s; i=0; while [ $i -lt 1100 ] && true 2>/dev/null >full-$i; do i=$((i+1)); done; "
                         "touch full-over 2>&1 | grep -o 'No space left on device'; "
                         "[ $i -gt 1000 ] && [ $i -lt 1024 ] && echo bounded; rm -f full-*",
                         directories[i]);
                carreld_must_exec("ada", script, text, sizeof text);
                assert_string_equal(text, "No space left on device\nbounded");
                snprintf(script, sizeof script, "touch %s/mine && rm %s/mine && echo fine", directories[i],
                         directories[i]);
                carreld_must_exec("neighbour", script, text, sizeof text);
                assert_string_equal(text, "fine");
        }
}

static void a_memory_hog_is_killed(void **state)
{
        struct answer answer;
        const char *cause;

        (void)state;
        carreld_must_ensure("neighbour");
        carreld_must_ensure("hog");
        answer = carreld_exec("hog", "dd if=/dev/zero of=/dev/null bs=256M count=1", PATIENCE_S);
        assert_int_equal(answer.status, 200);
        cause = answer_text(&answer, "cause");
        if (strcmp(cause, "oom") != 0)
                fail_msg("the hog's end: %s", answer.body);
        answer_release(&answer);
        expect_neighbour_answers();
        /* The control: half of the limit is his. */
        answer = carreld_exec("hog", "dd if=/dev/zero of=/dev/null bs=32M count=1", PATIENCE_S);
        assert_int_equal(answer_number(&answer, "exit_code"), 0);
        answer_release(&answer);
}

/* The later children of process 1 inherit its attributes, and it could not undo any of these changes. The user can
 * still change the user's own processes. */
static void process_1_cannot_be_changed(void **state)
{
        static const char *const WORKS[] = { " group ",     " limit ",    " memory ",
                                             " oom_score ", " priority ", " priority_of_group ",
                                             " trace " };
        static const char STATE[] =
                "ulimit -n; ulimit -Hn; awk '/^Cpus_allowed_list|^SigIgn/ {print $2}' /proc/self/status; "
                "awk '{print $19, $41}' /proc/self/stat; cat /proc/self/oom_score_adj";
        char path[128], before[256], text[512], after[256];

        (void)state;
        snprintf(path, sizeof path, "%s/ada/change", CARREL_USERS);
        MUST_RUN("install", "-m755", built_program("tests/integration/change-probe"), path);
        carreld_must_exec("ada", STATE, before, sizeof before);
        carreld_must_exec("ada", "./change 1", text, sizeof text);
        assert_string_equal(text, "end");
        carreld_must_exec("ada", STATE, after, sizeof after);
        assert_string_equal(after, before);
        carreld_must_exec("ada", "printf %s ' '; ./change child", text, sizeof text);
        for (size_t i = 0; i < sizeof WORKS / sizeof *WORKS; i++)
                if (strstr(text, WORKS[i]) == NULL)
                        fail_msg("the control of %s failed: %s", WORKS[i], text);
}

static void no_file_leaves_its_quota(void **state)
{
        char path[128], text[256];

        (void)state;
        snprintf(path, sizeof path, "%s/ada/quota", CARREL_USERS);
        MUST_RUN("install", "-m755", built_program("tests/integration/quota-probe"), path);
        carreld_must_exec("ada", "./quota", text, sizeof text);
        assert_string_equal(text, "get get clone clone end");
}

/* The program's own words, or "oom": v2 has sockets in the memory limit, and ends who asks for more. */
static void fill_sockets(const char *kind, const char *units, char *ret_said, size_t size)
{
        struct answer answer;
        char script[64];

        snprintf(script, sizeof script, "./fill %s %s </dev/null", kind, units);
        answer = carreld_exec("ada", script, PATIENCE_S);
        assert_int_equal(answer.status, 200);
        snprintf(ret_said, size, "%s", answer_text(&answer, "stdout"));
        if (strcmp(answer_text(&answer, "cause"), "oom") == 0)
                snprintf(ret_said, size, "oom");
        answer_release(&answer);
}

/* In units of 128 KiB, by nofile; the host's own account has them all (TCP's are larger, and bounded for all together).
 * cgroup v1 counts them apart: an eighth of 64 MiB. */
static void sockets_are_bounded(void **state)
{
        static const struct {
                const char *kind, *most;
        } CASES[] = { { "udp", "900" }, { "tcp", "250" } };
        static struct output output;
        bool is_v1 = access("/sys/fs/cgroup/memory/memory.kmem.tcp.limit_in_bytes", F_OK) == 0;
        char path[128], said[64];

        (void)state;
        snprintf(path, sizeof path, CARREL_USERS "/%s/fill", "ada");
        MUST_RUN("install", "-m755", built_program("tests/integration/fill-counter"), path);
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                const char *kind = CASES[i].kind, *most = CASES[i].most;

                RUN(&output, built_program("tests/integration/fill-counter"), kind, most);
                assert_int_equal(strtol(output.text, NULL, 10), strtol(most, NULL, 10));
                fill_sockets(kind, "4", said, sizeof said);
                assert_int_equal(strtol(said, NULL, 10), 4);
                fill_sockets(kind, most, said, sizeof said);
                if (is_v1 ? strtol(said, NULL, 10) > 8 * 8 * 2 || strtol(said, NULL, 10) == 0
                          : strcmp(said, "oom") != 0)
                        fail_msg("%s: %s of %s", kind, said, most);
        }
}

/* One that nobody reads keeps what its first window lets in, whatever the bound. */
static void a_connection_begins_small(void **state)
{
        static struct output output;
        char text[64];

        (void)state;
        carreld_must_exec("ada", "set -- $(cat /proc/sys/net/ipv4/tcp_rmem); echo $2 $1 $3", text, sizeof text);
        assert_in_range(strtol(text, NULL, 10), 4096, 32768);
        RUN(&output, "sh", "-c", "set -- $(cat /proc/sys/net/ipv4/tcp_rmem); echo $2 $1 $3");
        assert_true(strtol(output.text, NULL, 10) > 32768); /* the host's own is not touched */
        output.text[strcspn(output.text, "\n")] = '\0';
        assert_string_equal(strchr(text, ' '), strchr(output.text, ' '));
}

static void two_users_share_nothing(void **state)
{
        char text[64];

        (void)state;
        carreld_must_exec("ada", "echo secret >/workspace/secret; echo secret >/tmp/secret; sleep 5 >/dev/null 2>&1 &",
                          text, sizeof text);
        carreld_must_exec("bob", "ls -A /workspace /tmp | grep -c secret || true; ls -d /proc/[0-9]* | wc -l", text,
                          sizeof text);
        assert_int_equal(text[0], '0');
}

/* ---- inodes: what is watched or locked here is nobody else's ---- */

/* Paths that the image and the engine give every carrel. Only those that this kernel has are used. */
static const char *const EVERYBODYS[] = {
        "/etc",         "/usr",        "/bin/busybox",     "/dev/null",  "/dev/zero",   "/dev/full",   "/dev/random",
        "/dev/urandom", "/proc/kcore", "/proc/timer_list", "/proc/keys", "/sys/kernel", "/etc/passwd",
};

/* Each word is followed by a blank. */
static size_t count_words(const char *list)
{
        size_t count = 0;

        for (; *list != '\0'; list++)
                count += *list == ' ';
        return count;
}

/* Those that are there, each inode once: a masked file is /dev/null, as a rule. */
static void list_everybodys(const char *but, char ret_list[static 512])
{
        char script[1024];
        int at = snprintf(script, sizeof script, "seen=; for f in");

        for (size_t i = 0; i < sizeof EVERYBODYS / sizeof *EVERYBODYS; i++)
                if (strcmp(EVERYBODYS[i], but) != 0)
                        at += snprintf(script + at, sizeof script - (size_t)at, " %s", EVERYBODYS[i]);
        snprintf(script + at, sizeof script - (size_t)at,
                 "; do [ -r $f ] || continue; i=$(stat -Lc /%%d:%%i/ $f); case $seen in *$i*) continue;; esac; "
                 "seen=$seen$i; printf '%%s ' $f; done");
        carreld_must_exec("ada", script, ret_list, 512);
        assert_true(count_words(ret_list) >= 8);
}

static void install_probe(const char *user)
{
        char path[128];

        carreld_must_ensure(user);
        snprintf(path, sizeof path, CARREL_USERS "/%s/probe", user);
        MUST_RUN("install", "-m755", built_program("tests/integration/inode-probe"), path);
}

static void format_exec(const char *user, char *ret_text, size_t size, const char *format, const char *list)
{
        char script[2048];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(script, sizeof script, format, list);
#pragma GCC diagnostic pop
        carreld_must_exec(user, script, ret_text, size);
}

#define TOUCH_ALL                                                                                                      \
        "for f in %s; do if [ -d $f ]; then ls $f; elif [ -c $f ]; then true >$f; else head -c1 $f; fi; done "         \
        ">/dev/null 2>&1"

static void nobody_else_is_watched(void **state)
{
        static const char *const WATCH = "rm -f seen; touch end; ./probe watch %send >seen 2>&1 & "
                                         "until grep -qE 'watching|cannot' seen; do sleep 0.01; done; cat seen";
        static const char *const LOOK =
                "cat end; until grep -q end seen; do sleep 0.01; done; sort -u seen | grep / ; true";
        char list[512], text[1024];

        (void)state;
        install_probe("ada");
        carreld_must_ensure("bob");
        list_everybodys("/bin/busybox", list); /* what runs in her own execs, too */
        format_exec("ada", text, sizeof text, WATCH, list);
        assert_string_equal(text, "watching");
        format_exec("bob", text, sizeof text, TOUCH_ALL, list);
        MUST_RUN("sh", "-c", "for f in null zero full random urandom; do true >/dev/$f; done");
        carreld_must_exec("ada", LOOK, text, sizeof text);
        if (text[0] != '\0')
                fail_msg("one carrel sees what another one, or the host, opens: %s", text);
        /* The control: all of the user's own accesses are seen. */
        format_exec("ada", text, sizeof text, TOUCH_ALL "; rm -f seen2; cat end", list);
        carreld_must_exec("ada", "until [ $(grep -c end seen) = 2 ]; do sleep 0.01; done; sort -u seen | grep -c /",
                          text, sizeof text);
        assert_int_equal(strtoul(text, NULL, 10), count_words(list));
        carreld_must_exec("ada", "killall probe", text, sizeof text);
}

static void nobody_else_is_locked_out(void **state)
{
        static const char *const LOCK =
                "./probe lock %s >locks 2>&1 & until [ -s locks ]; do sleep 0.01; done; cat locks";
        char list[512], text[1024];

        (void)state;
        install_probe("ada");
        install_probe("bob");
        list_everybodys("", list);
        format_exec("ada", text, sizeof text, LOCK, list);
        assert_string_equal(text, "locked");
        format_exec("bob", text, sizeof text, LOCK, list);
        if (strcmp(text, "locked") != 0)
                fail_msg("one carrel is locked out by another: %s", text);
        MUST_RUN("sh", "-c", "for f in null zero full random urandom; do flock -n /dev/$f true || exit 1; done");
        /* Her own second program is refused everything. */
        format_exec("ada", text, sizeof text, "./probe lock %s | grep -c /", list);
        assert_int_equal(strtoul(text, NULL, 10), count_words(list));
        carreld_must_exec("ada", "killall probe", text, sizeof text);
        carreld_must_exec("bob", "killall probe", text, sizeof text);
}

/* They are the whole host's: no engine's API bounds them. */
static void terminals_are_bounded(void **state)
{
        char text[256];

        (void)state;
        carreld_must_exec("ada", "grep ' /dev/pts devpts ' /proc/self/mounts", text, sizeof text);
        if (strstr(text, "max=128") == NULL || strstr(text, "nosuid") == NULL || strstr(text, "noexec") == NULL)
                fail_msg("%s", text);
        carreld_must_exec("ada", "for i in $(seq 20); do exec 3<>/dev/ptmx || exit 1; done; echo opened", text,
                          sizeof text);
        assert_string_equal(text, "opened");
}

/* ---- ptrace, between the user's own programs only ---- */

#define INTRUDER CARREL_USERS "/%s/intruder"

/* Into the user's directory, from outside. */
static void give_intruder(const char *user)
{
        char target[128];

        carreld_must_ensure(user);
        snprintf(target, sizeof target, INTRUDER, user);
        MUST_RUN("install", "-m755", built_program("tests/integration/intruder"), target);
}

static void init_entry(char ret_entry[static 32])
{
        FILE *file = fopen(built_program("init/carrel-init"), "re");
        Elf64_Ehdr head = { 0 };

        assert_non_null(file);
        assert_int_equal(fread(&head, sizeof head, 1, file), 1);
        fclose(file);
        snprintf(ret_entry, 32, "%jx", (uintmax_t)head.e_entry);
}

/* While it hunts, programs and file operations begin and end all the time. */
static void nothing_of_the_agents_can_be_traced(void **state)
{
        struct volley *hunt = volley_new(CARREL_SOCKET, 1);
        char body[256], entry[32];
        struct answer found;
        const char *said;

        (void)state;
        give_intruder("eve");
        init_entry(entry);
        snprintf(body, sizeof body, "{\"argv\":[\"./intruder\",\"hunt\",\"4\",\"%s\"],\"timeout_s\":60}", entry);
        volley_add(hunt, "POST", "/v1/carrels/eve/exec", body);
        do {
                /* No shell, which would be another program first. */
                request_expect(CARREL_SOCKET, "POST", "/v1/carrels/eve/exec", "{\"argv\":[\"sleep\",\"0.01\"]}", 200);
                found = request(CARREL_SOCKET, "GET", "/v1/carrels/eve/files//workspace?list=1", NULL);
                assert_int_equal(found.status, 200);
                answer_release(&found);
        } while (volley_run(hunt, 0.01) > 0);
        said = answer_text(volley_answer(hunt, 0), "stdout");
        if (strcmp(said, "many tries, the control is caught, programs are seized, breaches: 0\n") != 0)
                fail_msg("%s", volley_answer(hunt, 0)->body);
        volley_free(hunt);
        assert_true(carreld_has_state("eve", "ready"));
}

/* A program that ptrace(2) has stopped ends at its deadline as any other, and the carrel is as good as before. */
static void a_traced_program_ends_at_its_deadline(void **state)
{
        struct answer answer;
        char text[64];

        (void)state;
        give_intruder("eve");
        answer = carreld_exec("eve", "./intruder hold 0", 1.0);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer_text(&answer, "cause"), "timeout");
        assert_string_equal(answer_text(&answer, "stdout"), "held\n");
        answer_release(&answer);
        assert_true(carreld_has_state("eve", "ready"));
        carreld_must_exec("eve", "echo again", text, sizeof text);
        assert_string_equal(text, "again");
}

/* A user who holds their own programs harms nobody else: every exec is answered, and a clean carrel can be made. */
static void a_program_that_another_exec_holds_has_its_end(void **state)
{
        struct volley *held = volley_new(CARREL_SOCKET, 2);
        char text[64];

        (void)state;
        carreld_must_ensure("neighbour");
        give_intruder("eve");
        volley_add(held, "POST", "/v1/carrels/eve/exec", "{\"argv\":[\"sleep\",\"1234\"],\"timeout_s\":2}");
        volley_add(held, "POST", "/v1/carrels/eve/exec",
                   "{\"argv\":[\"sh\",\"-c\",\"until p=$(pidof sleep); do sleep 0.05; done; "
                   "exec ./intruder hold $p\"],\"timeout_s\":6}");
        assert_int_equal(volley_run(held, PATIENCE_S), 0);
        for (size_t i = 0; i < 2; i++)
                if (volley_answer(held, i)->status == 0)
                        fail_msg("exec %zu has no answer", i);
        assert_string_equal(answer_text(volley_answer(held, 0), "cause"), "timeout");
        if (strcmp(answer_text(volley_answer(held, 1), "stdout"), "held\n") != 0)
                fail_msg("%s", volley_answer(held, 1)->body);
        volley_free(held);
        expect_neighbour_answers();
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/eve", NULL, 200);
        carreld_must_exec("eve", "echo again", text, sizeof text);
        assert_string_equal(text, "again");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_process_is_confined),
                cmocka_unit_test(what_is_forbidden_fails),
                cmocka_unit_test(terminals_are_bounded),
                cmocka_unit_test(the_same_probes_work_without_the_template),
                cmocka_unit_test(what_a_user_needs_works),
                cmocka_unit_test(the_number_of_processes_is_the_limit),
                cmocka_unit_test(a_fork_bomb_stops_at_the_limit),
                cmocka_unit_test(a_program_reads_its_own_limits),
                cmocka_unit_test(inodes_are_bounded),
                cmocka_unit_test(a_memory_hog_is_killed),
                cmocka_unit_test(process_1_cannot_be_changed),
                cmocka_unit_test(no_file_leaves_its_quota),
                cmocka_unit_test(sockets_are_bounded),
                cmocka_unit_test(a_connection_begins_small),
                cmocka_unit_test(two_users_share_nothing),
                cmocka_unit_test(nobody_else_is_watched),
                cmocka_unit_test(nobody_else_is_locked_out),
                cmocka_unit_test(nothing_of_the_agents_can_be_traced),
                cmocka_unit_test(a_traced_program_ends_at_its_deadline),
                cmocka_unit_test(a_program_that_another_exec_holds_has_its_end),
        };

        return suite_run(&(struct suite){
                .name = "hardening",
                .kind = SUITE_CARRELD,
                .settings = SETTINGS,
                .set_up = set_up,
                SUITE_TESTS(tests),
        });
}
