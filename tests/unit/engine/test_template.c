/* The create request of Docker's API: a whole one against golden-create.json, and every hardening key for specs that
 * try to be something else. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cJSON.h>

#include "seccomp-profile.h"
#include "str.h"
#include "wire.h"

static const char *const ARGV[] = { "/carrel/init", "--wait", NULL };
static const char *const ENVIRONMENT[] = { "HOME=/workspace", NULL };
static const char *const DNS[] = { "10.9.8.7", NULL };
static const struct label LABELS[] = { { "io.carrel.product", "carrel" }, { "io.carrel.user", "alice" } };
static const struct bind_mount BINDS[] = {
        { "/var/lib/carrel/users/alice", "/workspace", false },
        { "/usr/lib/carrel/carrel-init", "/carrel/init", true },
};
static const struct tmpfs_mount TMPFS[] = { { "/tmp", "rw,nosuid,nodev,size=536870912,mode=1777" } };

static struct container_spec usual_spec(void)
{
        return (struct container_spec){
                .name = "carrel-alice",
                .image = "carrel-sandbox:latest",
                .argv = ARGV,
                .environment = ENVIRONMENT,
                .working_dir = "/workspace",
                .hostname = "carrel",
                .uid = 1000,
                .gid = 1001,
                .labels = LABELS,
                .n_labels = 2,
                .binds = BINDS,
                .n_binds = 2,
                .tmpfs = TMPFS,
                .n_tmpfs = 1,
                .dns = DNS,
                .memory_bytes = 2147483648,
                .cpu_millis = 1500,
                .pids = 256,
                .nofile = 1024,
                .shm_bytes = 67108864,
                .runtime = "runsc",
                .cgroup_parent = "/carrel",
        };
}

static cJSON *encode_for(enum profile_engine engine, const struct container_spec *spec, bool has_ipv6)
{
        struct buffer option = { 0 };
        char *text;
        cJSON *json;

        assert_true(buffer_text(&option, "seccomp=") == 0 && seccomp_profile_json(&option) == 0);
        text = wire_encode_create(
                spec,
                &(const struct wire_machine){ .has_ipv6 = has_ipv6, .engine = engine, .seccomp_option = option.data });
        buffer_free(&option);
        assert_non_null(text);
        json = cJSON_Parse(text);
        free(text);
        assert_non_null(json);
        return json;
}

static cJSON *encode(const struct container_spec *spec, bool has_ipv6)
{
        return encode_for(PROFILE_DOCKER, spec, has_ipv6);
}

static cJSON *read_golden(void)
{
        FILE *file = fopen(getenv("GOLDEN_CREATE"), "re");
        char text[16384];

        assert_non_null(file);
        size_t length = fread(text, 1, sizeof text, file);
        fclose(file);
        cJSON *json = cJSON_ParseWithLength(text, length);
        assert_non_null(json);
        return json;
}

/* The filter has a test of its own; here only its place is checked. */
static void shorten_seccomp(cJSON *create)
{
        cJSON *options = cJSON_GetObjectItem(cJSON_GetObjectItem(create, "HostConfig"), "SecurityOpt");
        cJSON *last = cJSON_GetArrayItem(options, 1);

        assert_true(cJSON_IsString(last));
        assert_int_equal(strncmp(last->valuestring, "seccomp={", 9), 0);
        assert_non_null(cJSON_SetValuestring(last, "seccomp=..."));
}

static void test_golden(void **state)
{
        const struct container_spec spec = usual_spec();
        cJSON *created = encode(&spec, true);
        cJSON *golden = read_golden();

        shorten_seccomp(created);
        if (!cJSON_Compare(created, golden, true)) {
                char *text = cJSON_PrintUnformatted(created);
                fprintf(stderr, "# %s\n", text);
                free(text);
                fail_msg("the template is not what golden-create.json says");
        }
        cJSON_Delete(created);
        cJSON_Delete(golden);
}

/* Path below HostConfig ("/" first: of the request itself) and the JSON that must be there. */
static const struct {
        const char *key;
        const char *json;
} PROMISES[] = {
        { "AutoRemove", "false" },
        { "CapAdd", "[]" },
        { "CapDrop", "[\"ALL\"]" },
        { "CgroupnsMode", "\"private\"" },
        { "Devices", "[]" },
        { "DeviceCgroupRules", "[]" },
        { "DeviceRequests", "[]" },
        { "GroupAdd", "[]" },
        { "IpcMode", "\"private\"" },
        { "LogConfig", "{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1m\",\"max-file\":\"1\"}}" },
        { "NetworkMode", "\"none\"" },
        { "OomKillDisable", "false" },
        { "PidMode", "\"\"" },
        { "PortBindings", "{}" },
        { "Privileged", "false" },
        { "PublishAllPorts", "false" },
        { "ReadonlyRootfs", "true" },
        { "RestartPolicy", "{\"Name\":\"no\",\"MaximumRetryCount\":0}" },
        { "Sysctls",
          "{\"net.ipv4.ip_unprivileged_port_start\":\"0\",\"net.ipv4.ping_group_range\":\"0 "
          "2147483647\",\"net.ipv6.conf.all.disable_ipv6\":\"1\",\"net.ipv6.conf.default.disable_ipv6\":\"1\"}" },
        { "UTSMode", "\"\"" },
        { "UsernsMode", "\"\"" },
        { "VolumesFrom", "[]" },
        { "/Healthcheck", "{\"Test\":[\"NONE\"]}" },
        { "/Cmd", "[]" },
        { "/Tty", "false" },
};

/* These keys must be absent: the engine then uses its default. */
static const char *const LEFT_ALONE[] = { "MaskedPaths", "ReadonlyPaths", "Binds", "Ulimit" };

static void check_promises(const cJSON *create)
{
        const cJSON *host = cJSON_GetObjectItemCaseSensitive(create, "HostConfig");

        for (size_t i = 0; i < sizeof PROMISES / sizeof PROMISES[0]; i++) {
                bool is_top = PROMISES[i].key[0] == '/';
                const cJSON *item = cJSON_GetObjectItemCaseSensitive(is_top ? create : host, PROMISES[i].key + is_top);
                cJSON *wanted = cJSON_Parse(PROMISES[i].json);

                if (!cJSON_Compare(item, wanted, true))
                        fail_msg("%s is not %s", PROMISES[i].key, PROMISES[i].json);
                cJSON_Delete(wanted);
        }
        for (size_t i = 0; i < sizeof LEFT_ALONE / sizeof LEFT_ALONE[0]; i++)
                assert_false(cJSON_HasObjectItem(host, LEFT_ALONE[i]));
        const cJSON *options = cJSON_GetObjectItemCaseSensitive(host, "SecurityOpt");
        assert_int_equal(cJSON_GetArraySize(options), 2);
        assert_string_equal(cJSON_GetArrayItem(options, 0)->valuestring, "no-new-privileges:true");
        assert_true(cJSON_Compare(cJSON_GetObjectItem(host, "Memory"), cJSON_GetObjectItem(host, "MemorySwap"), true));
}

/* No spec can change a promise. */
static void test_promises_stand(void **state)
{
        static const char *const NOTHING[] = { NULL };
        static const struct label HOSTILE[] = { { "HostConfig", "{\"Privileged\":true}" },
                                                { "x\",\"Privileged\":true,\"y", "\"}" } };
        static const struct tmpfs_mount LOOSE[] = { { "/a", "rw,suid,dev" }, { "/b", "" }, { "/c", NULL } };
        struct container_spec specs[4] = { usual_spec(), usual_spec(), usual_spec(), { 0 } };

        specs[1].labels = HOSTILE;
        specs[1].image = "\"},\"HostConfig\":{\"Privileged\":true";
        specs[2].tmpfs = LOOSE;
        specs[2].n_tmpfs = 3;
        specs[2].argv = NOTHING;
        for (size_t i = 0; i < 4; i++) {
                cJSON *create = encode(&specs[i], true);

                check_promises(create);
                cJSON_Delete(create);
        }
}

static void test_tmpfs_is_never_loose(void **state)
{
        static const struct tmpfs_mount LOOSE[] = {
                { "/a", "rw,suid,dev" }, { "/b", "" }, { "/c", NULL }, { "/d", "noexec,,nodev,rw,exec" }
        };
        struct container_spec spec = usual_spec();

        spec.tmpfs = LOOSE;
        spec.n_tmpfs = 4;
        cJSON *create = encode(&spec, true);
        const cJSON *tmpfs = cJSON_GetObjectItem(cJSON_GetObjectItem(create, "HostConfig"), "Tmpfs");
        assert_string_equal(cJSON_GetObjectItem(tmpfs, "/a")->valuestring, "rw,exec,nosuid,nodev");
        assert_string_equal(cJSON_GetObjectItem(tmpfs, "/b")->valuestring, "exec,nosuid,nodev");
        assert_string_equal(cJSON_GetObjectItem(tmpfs, "/c")->valuestring, "exec,nosuid,nodev");
        assert_string_equal(cJSON_GetObjectItem(tmpfs, "/d")->valuestring, "noexec,rw,nosuid,nodev");
        cJSON_Delete(create);
}

/* Podman's own mounts there would have no size. */
static void test_podman_is_given_its_own_mounts(void **state)
{
        struct container_spec spec = usual_spec();
        cJSON *create = encode_for(PROFILE_PODMAN, &spec, true);
        const cJSON *tmpfs = cJSON_GetObjectItem(cJSON_GetObjectItem(create, "HostConfig"), "Tmpfs");

        assert_int_equal(cJSON_GetArraySize(tmpfs), 3);
        assert_string_equal(cJSON_GetObjectItem(tmpfs, "/run")->valuestring,
                            "ro,noexec,size=65536,mode=0755,nosuid,nodev");
        assert_string_equal(cJSON_GetObjectItem(tmpfs, "/var/tmp")->valuestring,
                            cJSON_GetObjectItem(tmpfs, "/tmp")->valuestring);
        cJSON_Delete(create);
}

/* A kernel without IPv6 has no such switch, and a container that names it does not start. */
static void test_without_ipv6(void **state)
{
        const struct container_spec spec = usual_spec();
        cJSON *create = encode(&spec, false);
        const cJSON *sysctls = cJSON_GetObjectItem(cJSON_GetObjectItem(create, "HostConfig"), "Sysctls");

        assert_true(cJSON_IsObject(sysctls));
        assert_int_equal(cJSON_GetArraySize(sysctls), 2);
        assert_false(cJSON_HasObjectItem(sysctls, "net.ipv6.conf.all.disable_ipv6"));
        cJSON_Delete(create);
}

static void test_exec(void **state)
{
        static const struct exec_command COMMANDS[] = {
                { .argv = ARGV },
                { .argv = ARGV, .environment = ENVIRONMENT, .working_dir = "/tmp", .input = "x", .input_length = 1 },
        };
        static const char *const WANTED[] = {
                "{\"Cmd\":[\"/carrel/init\",\"--wait\"],\"Env\":[],\"AttachStdin\":false,\"AttachStdout\":true,"
                "\"AttachStderr\":true,\"Privileged\":false,\"Tty\":false}",
                "{\"Cmd\":[\"/carrel/init\",\"--wait\"],\"Env\":[\"HOME=/workspace\"],\"WorkingDir\":\"/tmp\","
                "\"AttachStdin\":true,\"AttachStdout\":true,\"AttachStderr\":true,\"Privileged\":false,\"Tty\":false}",
        };

        for (size_t i = 0; i < 2; i++) {
                char *text = wire_encode_exec(&COMMANDS[i]);

                assert_string_equal(text, WANTED[i]);
                free(text);
        }
}

/* ---- the filter ---- */

/* The errno with which the profile answers this call and arguments; 0: it passes. A small model of libseccomp. */
static int answer_to(const cJSON *profile, const char *name, const uint64_t arguments[static 3])
{
        const cJSON *syscall;

        cJSON_ArrayForEach(syscall, cJSON_GetObjectItem(profile, "syscalls"))
        {
                const cJSON *item;
                bool is_named = false;
                bool matches = true;

                cJSON_ArrayForEach(item, cJSON_GetObjectItem(syscall, "names")) is_named |=
                        strcmp(item->valuestring, name) == 0;
                if (!is_named)
                        continue;
                cJSON_ArrayForEach(item, cJSON_GetObjectItem(syscall, "args"))
                {
                        uint64_t value = (uint64_t)cJSON_GetObjectItem(item, "value")->valuedouble;
                        uint64_t two = (uint64_t)cJSON_GetObjectItem(item, "valueTwo")->valuedouble;
                        uint64_t given = arguments[(int)cJSON_GetObjectItem(item, "index")->valuedouble];
                        bool is_masked =
                                strcmp(cJSON_GetObjectItem(item, "op")->valuestring, "SCMP_CMP_MASKED_EQ") == 0;

                        matches &= is_masked ? (given & value) == two : given == value;
                }
                if (!matches)
                        continue;
                item = cJSON_GetObjectItem(syscall, "errnoRet");
                assert_string_equal(cJSON_GetObjectItem(syscall, "action")->valuestring,
                                    item != NULL ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW");
                return item != NULL ? (int)item->valuedouble : 0;
        }
        return (int)cJSON_GetObjectItem(profile, "defaultErrnoRet")->valuedouble;
}

static void test_filter(void **state)
{
        static const struct {
                const char *name;
                uint64_t arguments[3];
                int answer; /* an errno; 0: it passes */
        } CASES[] = {
                { "read", { 0, 0 }, 0 },
                { "execve", { 0, 0 }, 0 },
                { "clone", { 17, 0 }, 0 },              /* SIGCHLD */
                { "clone", { 0x3d0f00, 0 }, 0 },        /* a thread of glibc's */
                { "clone", { 0x10000011, 0 }, EPERM },  /* CLONE_NEWUSER */
                { "clone", { 0x140000011, 0 }, EPERM }, /* CLONE_NEWNET below a set high half */
                { "clone", { 0x00020011, 0 }, EPERM },  /* CLONE_NEWNS */
                { "clone3", { 0, 0 }, ENOSYS },
                { "socket", { 1, 0 }, 0 },
                { "socket", { 2, 1 }, 0 },
                { "socket", { 2, 0x80801, 6 }, 0 }, /* with CLOEXEC and NONBLOCK */
                { "socket", { 2, 2, 17 }, 0 },
                { "socket", { 2, 2, 1 }, 0 },     /* ping */
                { "socket", { 2, 3, 1 }, EPERM }, /* SOCK_RAW */
                { "socket", { 2, 2, 6 }, ENOSYS },
                { "socket", { 2, 1, 132 }, EPROTONOSUPPORT }, /* SCTP */
                { "socket", { 2, 5, 0 }, ENOSYS },            /* ... as SOCK_SEQPACKET */
                { "socket", { 2, 6, 0 }, ENOSYS },            /* SOCK_DCCP */
                { "socket", { 2, 1, 262 }, EPROTONOSUPPORT }, /* MPTCP */
                { "socket", { 2, 2, 136 }, EPROTONOSUPPORT }, /* UDP-Lite */
                { "socket", { 2, 1, 0x100000000 }, ENOSYS },
                { "socket", { 10, 1 }, 0 },
                { "socket", { 10, 2, 58 }, 0 },
                { "socket", { 10, 1, 132 }, EPROTONOSUPPORT },
                { "socket", { 10, 3, 58 }, EPERM },
                { "socket", { 16, 3 }, 0 },                   /* NETLINK_ROUTE is protocol 0 */
                { "socket", { 16, 3, 12 }, EPROTONOSUPPORT }, /* NETLINK_NETFILTER */
                { "socket", { 17, 0 }, EPERM },               /* AF_PACKET */
                { "socket", { 38, 0 }, EAFNOSUPPORT },        /* AF_ALG */
                { "socket", { 40, 0 }, EAFNOSUPPORT },        /* AF_VSOCK */
                { "socket", { 0x100000026, 0 }, ENOSYS },
                { "socketpair", { 1, 0 }, 0 },
                { "socketpair", { 2, 0 }, EAFNOSUPPORT },
                { "ioctl", { 0, 0x5413 }, 0 }, /* TIOCGWINSZ */
                { "ioctl", { 0, 0 }, 0 },
                { "ioctl", { 0, 0xffffffff }, 0 },
                { "ioctl", { 0, 0x5412 }, EPERM },      /* TIOCSTI */
                { "ioctl", { 0, 0x100005412 }, EPERM }, /* the kernel reads 32 bits */
                { "ioctl", { 0, 0xffffffff00005412 }, EPERM },
                { "ioctl", { 0, 0x401c5820 }, ENOTTY }, /* FS_IOC_FSSETXATTR */
                { "ioctl", { 0, 0x801c581f }, 0 },      /* FS_IOC_FSGETXATTR */
                { "ioctl", { 0, 0x50009418 }, ENOTTY }, /* BTRFS_IOC_SUBVOL_CREATE_V2 */
                { "ioctl", { 0, 0x40049409 }, 0 },      /* FICLONE */
                { "personality", { 0, 0 }, 0 },
                { "personality", { 0xffffffff, 0 }, 0 },
                { "personality", { 0x40000, 0 }, 0 },       /* ADDR_NO_RANDOMIZE */
                { "personality", { 0x400000, 0 }, ENOSYS }, /* READ_IMPLIES_EXEC */
                { "ptrace", { 0, 0 }, 0 },
                { "process_vm_readv", { 0, 0 }, 0 },
                { "splice", { 0, 0 }, EINVAL },
                { "tee", { 0, 0 }, EINVAL },
                { "vmsplice", { 0, 0 }, EINVAL },
                { "io_uring_setup", { 0, 0 }, ENOSYS },
                { "unshare", { 0, 0 }, EPERM },
                { "mount", { 0, 0 }, EPERM },
                { "bpf", { 0, 0 }, EPERM },
                { "keyctl", { 0, 0 }, ENOSYS },        /* as without CONFIG_KEYS */
                { "get_mempolicy", { 0, 0 }, ENOSYS }, /* as without CONFIG_NUMA */
                { "statmount", { 0, 0 }, ENOSYS },
                { "listns", { 0, 0 }, ENOSYS },
        };
        static const char *const NEVER[] = {
                "bpf",
                "perf_event_open",
                "keyctl",
                "add_key",
                "request_key",
                "userfaultfd",
                "mount",
                "umount2",
                "move_mount",
                "open_tree",
                "fsopen",
                "fsmount",
                "fsconfig",
                "mount_setattr",
                "pivot_root",
                "chroot",
                "unshare",
                "setns",
                "memfd_secret",
                "name_to_handle_at",
                "open_by_handle_at",
                "kexec_load",
                "kexec_file_load",
                "init_module",
                "finit_module",
                "delete_module",
                "reboot",
                "swapon",
                "swapoff",
                "acct",
                "modify_ldt",
                "iopl",
                "ioperm",
                "io_uring_setup",
                "io_uring_enter",
                "io_uring_register",
                "io_submit",
                "splice",
                "tee",
                "vmsplice",
                "pidfd_getfd",
                "kcmp",
                "syslog",
                "quotactl",
                "settimeofday",
                "clock_settime",
                "sethostname",
        };
        struct buffer text = { 0 };

        assert_int_equal(seccomp_profile_json(&text), 0);
        cJSON *profile = cJSON_Parse(text.data);
        assert_non_null(profile);
        assert_string_equal(cJSON_GetObjectItem(profile, "defaultAction")->valuestring, "SCMP_ACT_ERRNO");
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(profile, "architectures")), 1);
        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
                if (answer_to(profile, CASES[i].name, CASES[i].arguments) != CASES[i].answer)
                        fail_msg("%s(%#jx, %#jx, %#jx) answers %d", CASES[i].name, (uintmax_t)CASES[i].arguments[0],
                                 (uintmax_t)CASES[i].arguments[1], (uintmax_t)CASES[i].arguments[2],
                                 answer_to(profile, CASES[i].name, CASES[i].arguments));
        for (size_t i = 0; i < sizeof NEVER / sizeof NEVER[0]; i++)
                if (answer_to(profile, NEVER[i], (const uint64_t[3]){ 0 }) == 0)
                        fail_msg("%s passes", NEVER[i]);
        cJSON_Delete(profile);
        buffer_free(&text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_golden),
                cmocka_unit_test(test_promises_stand),
                cmocka_unit_test(test_tmpfs_is_never_loose),
                cmocka_unit_test(test_podman_is_given_its_own_mounts),
                cmocka_unit_test(test_without_ipv6),
                cmocka_unit_test(test_exec),
                cmocka_unit_test(test_filter),
        };

        return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
