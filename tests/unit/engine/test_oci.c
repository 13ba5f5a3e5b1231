/* The embedded engine's pure parts: records and config.json. */
#include <cJSON.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oci-engine.h"

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

static struct oci_container *decode(const char *json)
{
        struct oci_container *container = oci_container_new(&oci);

        assert_non_null(container);
        return oci_container_decode(container, json, strlen(json)) == 0 ? container : oci_container_free(container);
}

static void test_a_record_comes_back_as_it_was(void **state)
{
        struct oci_container *container = decode(RECORD);
        char *again;

        assert_non_null(container);
        assert_string_equal(container->info.name, "carrel-ada");
        assert_string_equal(container_label(&container->info, "io.carrel.user"), "ada");
        assert_int_equal(container->userns_base, 1879048192);
        again = oci_container_encode(container);
        assert_string_equal(again, RECORD);
        free(again);
        oci_container_free(container);
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
                { "\"/carrel/0", "\"/carrel/" }, /* the cgroup of another container */
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

static char *encode(const struct oci_container *container)
{
        static const char *const ARGV[] = { "/.carrel/init", NULL };
        static const struct bind_mount BINDS[] = { { "/usr/libexec/carrel/carrel-init", "/.carrel/init", true },
                                                   { "/var/lib/carrel/users/ada", "/workspace", false } };
        static const struct tmpfs_mount TMPFS[] = { { "/tmp", "rw,exec,size=1024,mode=1777", 2048 } };
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

        return oci_config_encode(&oci, container, &spec, &image);
}

static void test_config_is_golden(void **state)
{
        struct oci_container *container = decode(RECORD);
        char *text = encode(container);
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
        oci_container_free(container);
}

static void test_without_a_user_namespace_nothing_is_mapped(void **state)
{
        struct oci_container *container = decode(RECORD);
        char *text;

        container->userns_base = 0;
        text = encode(container);
        assert_non_null(text);
        assert_null(strstr(text, "idmap"));
        assert_null(strstr(text, "uidMappings"));
        assert_null(strstr(text, "\"user\"}"));
        free(text);
        oci_container_free(container);
}

static void test_another_runtime_gets_the_profile(void **state)
{
        struct oci_container *container = decode(RECORD);
        char *text;

        oci.runtime.is_crun = false;
        text = encode(container);
        oci.runtime.is_crun = true;
        assert_non_null(strstr(text, "\"seccomp\":{"));
        assert_null(strstr(text, "seccomp_bpf_data"));
        free(text);
        oci_container_free(container);
}

static void test_an_exec_is_as_hardened_and_its_words_win(void **state)
{
        static const char *const ARGV[] = { "true", NULL };
        static const char *const ENVIRONMENT[] = { "A=exec", NULL };
        const struct exec_command command = { .argv = ARGV, .environment = ENVIRONMENT, .working_dir = "/tmp" };
        struct oci_container *container = decode(RECORD);
        char *text = oci_config_encode_exec(container, &command);

        assert_string_equal(text,
                            "{\"user\":{\"uid\":1000,\"gid\":1001},\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":"
                            "0,\"hard\":0},{\"type\":\"RLIMIT_NOFILE\",\"soft\":1024,\"hard\":1024},{\"type\":"
                            "\"RLIMIT_SIGPENDING\",\"soft\":16384,\"hard\":16384},{\"type\":\"RLIMIT_MSGQUEUE\","
                            "\"soft\":819200,\"hard\":819200}],\"env\":["
                            "\"PATH=/bin\",\"A=exec\"],\"args\":[\"true\"],\"cwd\":\"/tmp\",\"capabilities\":{"
                            "\"bounding\":[],\"effective\":[],\"inheritable\":[],\"permitted\":[],\"ambient\":[]},"
                            "\"noNewPrivileges\":true}");
        free(text);
        oci_container_free(container);
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

static void test_a_shortage_does_not_say_that_there_are_no_user_namespaces(void **state)
{
        static const struct {
                int error;
                uint64_t most;
                bool is_shortage;
        } CASES[] = {
                { 0, 100, false },       { -EAGAIN, 100, true },  { -ENOMEM, 100, true },
                { -EMFILE, 100, true },  { -ENOSPC, 100, true },  { -ENOSPC, UINT64_MAX, true },
                { -ENOSPC, 0, false }, /* none is allowed */
                { -EPERM, 100, false },  { -EINVAL, 100, false }, { -EOPNOTSUPP, 100, false },
                { -ENOSYS, 100, false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
                if (oci_userns_is_shortage(CASES[i].error, CASES[i].most) != CASES[i].is_shortage)
                        fail_msg("%s with %llu", strerrordesc_np(-CASES[i].error), (unsigned long long)CASES[i].most);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_record_comes_back_as_it_was),
                cmocka_unit_test(test_a_damaged_record_is_refused),
                cmocka_unit_test(test_config_is_golden),
                cmocka_unit_test(test_without_a_user_namespace_nothing_is_mapped),
                cmocka_unit_test(test_a_shortage_does_not_say_that_there_are_no_user_namespaces),
                cmocka_unit_test(test_another_runtime_gets_the_profile),
                cmocka_unit_test(test_an_exec_is_as_hardened_and_its_words_win),
                cmocka_unit_test(test_the_image_says_where_its_programs_are),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
