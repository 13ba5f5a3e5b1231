/* The embedded engine's pure parts: records, config.json, the compiled filter. */
#include <cJSON.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "oci-engine.h"
#include "seccomp-bpf.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct oci oci = {
        .state_dir = (char *)"/run/carrel/oci",
        .runtime = { .name = "crun", .is_crun = true },
        .has_ipv6 = true,
        .has_userns = true,
        .seccomp_bpf = (char *)"QlBG",
};

static const char RECORD[] =
        "{\"version\":1,\"id\":\"" ID "\",\"name\":\"carrel-ada\",\"image_id\":\"sha256:0\",\"cgroup\":\"/carrel/" ID
        "\",\"working_dir\":\"/workspace\",\"userns_base\":1879048192,\"uid\":1000,\"gid\":1001,\"nofile\":1024,"
        "\"labels\":{\"io.carrel.user\":\"ada\"},\"environment\":[\"PATH=/bin\",\"A=image\"]}";

static struct box *decode(const char *json)
{
        struct box *box = box_new(&oci);

        assert_non_null(box);
        return box_decode(box, json, strlen(json)) == 0 ? box : box_free(box);
}

static void test_a_record_comes_back_as_it_was(void **state)
{
        struct box *box = decode(RECORD);
        char *again;

        assert_non_null(box);
        assert_string_equal(box->info.name, "carrel-ada");
        assert_string_equal(container_label(&box->info, "io.carrel.user"), "ada");
        assert_int_equal(box->userns_base, 1879048192);
        again = box_encode(box);
        assert_string_equal(again, RECORD);
        free(again);
        box_free(box);
}

/* Replaces the first `from` in the record. */
static void damage(char *ret_text, size_t size, const char *from, const char *to)
{
        const char *at = strstr(RECORD, from);

        assert_non_null(at);
        assert_true(snprintf(ret_text, size, "%.*s%s%s", (int)(at - RECORD), RECORD, to, at + strlen(from)) <
                    (int)size);
}

static void test_a_damaged_record_is_refused(void **state)
{
        static const struct {
                const char *from, *to;
        } ROWS[] = {
                { "\"version\":1", "\"version\":2" },
                { "\"id\":\"0", "\"id\":\"../0" },
                { "\"name\":\"carrel-ada\"", "\"name\":\"\"" },
                { "\"/carrel/", "\"/../" },
                { "\"/carrel/", "\"carrel/" },
                { "\"/carrel/0", "\"/carrel/" }, /* another's cgroup */
                { "1879048192", "-1" },
                { "1879048192", "4294967296" },
                { "1879048192", "\"1\"" },
                { "\"uid\":1000,", "" },
                { "{\"io.carrel.user\":\"ada\"}", "[]" },
                { "\"ada\"}", "1}" },
                { "[\"PATH=/bin\",", "[1," },
                { "}", "" },
        };
        char text[sizeof RECORD + 64];

        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                damage(text, sizeof text, ROWS[i].from, ROWS[i].to);
                if (i + 1 == sizeof ROWS / sizeof *ROWS)
                        text[strlen(text) - 1] = '\0';
                if (decode(text) != NULL)
                        fail_msg("row %zu is taken for a record: %s", i, text);
        }
}

/* ---- config.json ---- */

static char *encode(const struct box *box)
{
        static const char *const ARGV[] = { "/.carrel/init", NULL };
        static const struct bind_mount BINDS[] = { { "/usr/libexec/carrel/carrel-init", "/.carrel/init", true },
                                                   { "/var/lib/carrel/users/ada", "/workspace", false } };
        static const struct tmpfs_mount TMPFS[] = { { "/tmp", "rw,exec,size=1024,mode=1777" } };
        const struct stored_image image = { .rootfs = (char *)"/var/lib/carrel/images/sha256/0/rootfs", .hold_fd = -1 };
        const struct container_spec spec = {
                .argv = ARGV,
                .hostname = "carrel",
                .uid = 1000,
                .gid = 1001,
                .owner_uid = 2001,
                .owner_gid = 2002,
                .binds = BINDS,
                .n_binds = 2,
                .tmpfs = TMPFS,
                .n_tmpfs = 1,
                .memory_bytes = 2147483648,
                .cpu_millis = 1500,
                .pids = 256,
                .shm_bytes = 65536,
        };

        return oci_config_encode(&oci, box, &spec, &image);
}

static void test_config_is_golden(void **state)
{
        struct box *box = decode(RECORD);
        char *text = encode(box);
        cJSON *found = cJSON_Parse(text);
        const char *path = getenv("GOLDEN_OCI");
        FILE *file = fopen(path, "re");
        char golden[65536];
        cJSON *wanted;

        assert_non_null(found);
        assert_non_null(file);
        golden[fread(golden, 1, sizeof golden - 1, file)] = '\0';
        fclose(file);
        wanted = cJSON_Parse(golden);
        if (!cJSON_Compare(found, wanted, true))
                fail_msg("config.json differs from %s: %s", path, text);
        cJSON_Delete(wanted);
        cJSON_Delete(found);
        free(text);
        box_free(box);
}

static void test_without_a_user_namespace_nothing_is_mapped(void **state)
{
        struct box *box = decode(RECORD);
        char *text;

        box->userns_base = 0;
        text = encode(box);
        assert_non_null(text);
        assert_null(strstr(text, "idmap"));
        assert_null(strstr(text, "uidMappings"));
        assert_null(strstr(text, "\"user\"}"));
        free(text);
        box_free(box);
}

static void test_another_runtime_gets_the_profile(void **state)
{
        struct box *box = decode(RECORD);
        char *text;

        oci.runtime.is_crun = false;
        text = encode(box);
        oci.runtime.is_crun = true;
        assert_non_null(strstr(text, "\"seccomp\":{"));
        assert_null(strstr(text, "seccomp_bpf_data"));
        free(text);
        box_free(box);
}

static void test_an_exec_is_as_hardened_and_its_words_win(void **state)
{
        static const char *const ARGV[] = { "true", NULL };
        static const char *const ENVIRONMENT[] = { "A=exec", NULL };
        const struct exec_command command = { .argv = ARGV, .environment = ENVIRONMENT, .working_dir = "/tmp" };
        struct box *box = decode(RECORD);
        char *text = oci_config_encode_exec(box, &command);

        assert_string_equal(text,
                            "{\"user\":{\"uid\":1000,\"gid\":1001},\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":"
                            "0,\"hard\":0},{\"type\":\"RLIMIT_NOFILE\",\"soft\":1024,\"hard\":1024},{\"type\":"
                            "\"RLIMIT_SIGPENDING\",\"soft\":16384,\"hard\":16384},{\"type\":\"RLIMIT_MSGQUEUE\","
                            "\"soft\":819200,\"hard\":819200}],\"env\":["
                            "\"PATH=/bin\",\"A=exec\"],\"args\":[\"true\"],\"cwd\":\"/tmp\",\"capabilities\":{"
                            "\"bounding\":[],\"effective\":[],\"inheritable\":[],\"permitted\":[],\"ambient\":[]},"
                            "\"noNewPrivileges\":true}");
        free(text);
        box_free(box);
}

static void test_the_image_says_where_its_programs_are(void **state)
{
        static const char *const SPEC[] = { "HOME=/workspace", NULL };
        char *const image[] = { (char *)"PATH=/opt/bin:/bin", (char *)"HOME=/root", NULL };
        static const struct {
                bool has_image;
                const char *wanted[3];
        } CASES[] = {
                { true, { "PATH=/opt/bin:/bin", "HOME=/workspace" } },
                { false, { "HOME=/workspace", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" } },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                char **environment = oci_config_environment(CASES[i].has_image ? image : NULL, SPEC);

                assert_non_null(environment);
                for (size_t j = 0; j < 2; j++) {
                        assert_string_equal(environment[j], CASES[i].wanted[j]);
                        free(environment[j]);
                }
                assert_null(environment[2]);
                free(environment);
        }
}

/* ---- the filter ---- */

static void test_the_filter_is_one_the_kernel_can_take(void **state)
{
        struct buffer bpf = { 0 };

        assert_int_equal(seccomp_profile_bpf(&bpf), 0);
        assert_true(bpf.length > 0 && bpf.length % sizeof(struct sock_filter) == 0);
        assert_true(bpf.length / sizeof(struct sock_filter) <= BPF_MAXINSNS);
        buffer_free(&bpf);
}

/* Those and no others: what differs from one in a single bit passes, with the high half set as without. */
static void try_ioctls(void)
{
        static const unsigned long REFUSED[] = { TIOCSTI,     TIOCLINUX,   TIOCCONS,    TIOCSETD,
                                                 SIOCGIFBR,   SIOCSIFBR,   SIOCBRADDBR, SIOCBRDELBR,
                                                 SIOCGIFVLAN, SIOCSIFVLAN, SIOCADDDLCI, SIOCDELDLCI };
        const size_t n = sizeof REFUSED / sizeof *REFUSED;

        for (size_t i = 0; i < n; i++)
                for (unsigned bit = 0; bit <= 32; bit++) {
                        unsigned long number = bit == 32 ? REFUSED[i] : REFUSED[i] ^ 1UL << bit;
                        bool is_refused = false;

                        for (size_t other = 0; other < n; other++)
                                is_refused |= number == REFUSED[other];
                        for (unsigned long high = 0; high <= 1UL << 32; high += 1UL << 32) {
                                if (syscall(SYS_ioctl, -1L, number | high, 0L) == -1 &&
                                    errno == (is_refused ? EPERM : EBADF))
                                        continue;
                                dprintf(2, "# ioctl %#lx: %s\n", number | high, strerror(errno));
                                _exit(1);
                        }
                }
}

/* In a child under the filter. */
static _Noreturn void call_filtered(const struct buffer *bpf)
{
        static const struct {
                long number, arguments[3];
                int error; /* -1: whatever the kernel says, but not ENOSYS */
        } CALLS[] = {
                { SYS_splice, { 0 }, EINVAL },
                { SYS_tee, { 0 }, EINVAL },
                { SYS_vmsplice, { 0 }, EINVAL },
                { SYS_clone3, { 0 }, ENOSYS },
                { SYS_io_uring_setup, { 0 }, ENOSYS },
                { SYS_keyctl, { 0 }, ENOSYS },
                { SYS_get_mempolicy, { 0 }, ENOSYS },
                { SYS_name_to_handle_at, { 0 }, ENOSYS },
                { 457, { 0 }, ENOSYS },  /* statmount */
                { 2000, { 0 }, ENOSYS }, /* one of the future */
                { SYS_unshare, { 0 }, EPERM },
                { SYS_setns, { -1 }, EPERM },
                { SYS_mount, { 0 }, EPERM },
                { SYS_bpf, { 0 }, EPERM },
                { SYS_perf_event_open, { 0 }, EPERM },
                { SYS_clone, { CLONE_NEWUSER | SIGCHLD }, EPERM },
                { SYS_socket, { AF_INET, SOCK_STREAM, IPPROTO_SCTP }, EPROTONOSUPPORT },
                { SYS_socket, { AF_INET6, SOCK_STREAM, IPPROTO_MPTCP }, EPROTONOSUPPORT },
                { SYS_socket, { AF_INET, SOCK_RAW, IPPROTO_ICMP }, EPERM },
                { SYS_socket, { AF_PACKET, SOCK_RAW, 0 }, EPERM },
                { SYS_socket, { AF_NETLINK, SOCK_RAW, NETLINK_AUDIT }, EPROTONOSUPPORT },
                { SYS_socket, { AF_VSOCK, SOCK_STREAM, 0 }, EAFNOSUPPORT },
                { SYS_socket, { AF_ALG, SOCK_SEQPACKET, 0 }, EAFNOSUPPORT },
                { SYS_ioctl, { -1, TIOCSTI }, EPERM },
                { SYS_ioctl, { -1, TIOCGWINSZ }, EBADF },
                { SYS_ptrace, { PTRACE_PEEKDATA, 1 }, ESRCH },
                { SYS_process_vm_readv, { 0 }, -1 },
                { SYS_sendfile, { -1, -1 }, EBADF },
                { SYS_openat2, { -1 }, -1 },
                { SYS_close_range, { 1, 0 }, EINVAL },
                { SYS_personality, { 0xffffffff }, 0 },
        };
        struct sock_fprog program = { (unsigned short)(bpf->length / sizeof(struct sock_filter)),
                                      (struct sock_filter *)bpf->data };

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                _exit(100);
        for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++) {
                const long *at = CALLS[i].arguments;
                long r = syscall(CALLS[i].number, at[0], at[1], at[2], 0L, 0L, 0L);
                int error = r < 0 ? errno : 0;

                if (CALLS[i].error < 0 ? error == ENOSYS : error != CALLS[i].error) {
                        dprintf(2, "# system call %ld, case %zu: %s\n", CALLS[i].number, i, strerror(error));
                        _exit(1);
                }
        }
        try_ioctls();
        _exit(0);
}

static void test_the_kernel_answers_as_the_table_says(void **state)
{
        struct buffer bpf = { 0 };
        int status = 0;
        pid_t pid;

        assert_int_equal(seccomp_profile_bpf(&bpf), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                call_filtered(&bpf);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        buffer_free(&bpf);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_record_comes_back_as_it_was),
                cmocka_unit_test(test_a_damaged_record_is_refused),
                cmocka_unit_test(test_config_is_golden),
                cmocka_unit_test(test_without_a_user_namespace_nothing_is_mapped),
                cmocka_unit_test(test_another_runtime_gets_the_profile),
                cmocka_unit_test(test_an_exec_is_as_hardened_and_its_words_win),
                cmocka_unit_test(test_the_image_says_where_its_programs_are),
                cmocka_unit_test(test_the_filter_is_one_the_kernel_can_take),
                cmocka_unit_test(test_the_kernel_answers_as_the_table_says),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
