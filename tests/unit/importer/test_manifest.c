/* importer/manifest: the JSON of docker-archives and OCI layouts, whole, damaged and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "manifest.h"
#include "str.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DESCRIPTOR                                                                                                     \
        "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"sha256:" HEX "\",\"size\":7}"

static void test_docker(void **state)
{
        static const char JSON[] = "[{\"Config\":\"" HEX ".json\",\"RepoTags\":null,"
                                   "\"Layers\":[\"./a/layer.tar\",\"blobs/sha256/" HEX "\"]}]";
        struct manifest manifest = { 0 };

        (void)state;
        assert_int_equal(manifest_parse_docker(JSON, strlen(JSON), &manifest, NULL), 0);
        assert_string_equal(manifest.config.path, HEX ".json");
        assert_string_equal(manifest.config.sha256, HEX);
        assert_int_equal(manifest.n_layers, 2);
        assert_string_equal(manifest.layers[0].path, "a/layer.tar");
        assert_string_equal(manifest.layers[0].sha256, "");
        assert_true(manifest.layers[0].bytes == UINT64_MAX);
        assert_string_equal(manifest.layers[1].sha256, HEX);
        manifest_release(&manifest);
}

static void test_hostile_docker(void **state)
{
        static const char *const CASES[] = {
                "",
                "{}",
                "[]",
                "[1]",
                "[{}]",
                "[{},{}]",
                "[{\"Config\":1,\"Layers\":[]}]",
                "[{\"Config\":\"\",\"Layers\":[]}]",
                "[{\"Config\":\"../x\",\"Layers\":[]}]",
                "[{\"Config\":\"/x\",\"Layers\":[]}]",
                "[{\"Config\":\"c\",\"Layers\":{}}]",
                "[{\"Config\":\"c\",\"Layers\":[1]}]",
                "[{\"Config\":\"c\",\"Layers\":[\"a/../../b\"]}]",
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct manifest manifest = { .n_layers = 99 };
                struct fault why = { 0 };

                assert_true(manifest_parse_docker(CASES[i], strlen(CASES[i]), &manifest, &why) < 0);
                assert_int_equal(why.kind, FAULT_IMAGE_REFUSED);
                assert_int_equal(manifest.n_layers, 99);
        }
}

static void test_index(void **state)
{
        static const struct {
                const char *json;
                bool is_taken, is_index;
        } CASES[] = {
                { "{\"manifests\":[" DESCRIPTOR "]}", true, false },
                { "{\"manifests\":[{\"digest\":\"sha256:" HEX
                  "\",\"size\":7,\"mediaType\":\"application/vnd.oci.image.index.v1+json\"}]}",
                  true, true },
                { "{\"manifests\":[{\"digest\":\"sha256:" HEX
                  "\",\"size\":7,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}},"
                  "{\"digest\":\"sha256:" HEX
                  "\",\"size\":7,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}}]}",
                  true, false },
                { "{\"manifests\":[" DESCRIPTOR "," DESCRIPTOR "]}", false, false },
                { "{\"manifests\":[{\"digest\":\"sha256:" HEX
                  "\",\"size\":7,\"platform\":{\"os\":\"windows\",\"architecture\":\"amd64\"}}]}",
                  false, false },
                { "{\"manifests\":[{\"digest\":\"sha512:" HEX "\",\"size\":7}]}", false, false },
                { "{\"manifests\":[{\"digest\":\"sha256:../../etc/passwd\",\"size\":7}]}", false, false },
                { "{\"manifests\":[{\"digest\":\"sha256:" HEX "\",\"size\":-1}]}", false, false },
                { "{\"manifests\":[{\"digest\":\"sha256:" HEX "\",\"size\":1e300}]}", false, false },
                { "{\"manifests\":[{\"digest\":\"sha256:" HEX "\"}]}", false, false },
                { "{\"manifests\":[]}", false, false },
                { "{\"manifests\":{}}", false, false },
                { "{\"manifests\":[1]}", false, false },
                { "[]", false, false },
                { "", false, false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct blob blob;
                bool is_index;
                struct fault why = { 0 };
                int r = manifest_parse_index(CASES[i].json, strlen(CASES[i].json), "amd64", &blob, &is_index, &why);

                if ((r == 0) != CASES[i].is_taken)
                        fail_msg("%s: %s", CASES[i].json, why.message);
                if (r < 0)
                        continue;
                assert_int_equal(is_index, CASES[i].is_index);
                assert_string_equal(blob.path, "blobs/sha256/" HEX);
                assert_int_equal(blob.bytes, 7);
        }
}

static void test_oci(void **state)
{
        static const struct {
                const char *json;
                bool is_taken;
        } CASES[] = {
                { "{\"config\":" DESCRIPTOR ",\"layers\":[" DESCRIPTOR "]}", true },
                { "{\"config\":" DESCRIPTOR ",\"layers\":[{\"digest\":\"sha256:" HEX "\",\"size\":1,\"mediaType\":"
                  "\"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\"}]}",
                  false },
                { "{\"config\":" DESCRIPTOR ",\"layers\":[{\"digest\":\"sha256:" HEX "\",\"size\":1}]}", false },
                { "{\"config\":" DESCRIPTOR "}", false },
                { "{\"layers\":[]}", false },
                { "null", false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct manifest manifest = { 0 };
                int r = manifest_parse_oci(CASES[i].json, strlen(CASES[i].json), &manifest, NULL);

                assert_int_equal(r == 0, CASES[i].is_taken);
                manifest_release(&manifest);
        }
}

#define FOR_US "\"os\":\"linux\",\"architecture\":\"amd64\""

static void test_config(void **state)
{
        static const struct {
                const char *json;
                bool is_taken, has_volumes;
        } CASES[] = {
                { "{" FOR_US "}", true, false },
                { "{" FOR_US ",\"config\":{\"Env\":null,\"Volumes\":null}}", true, false },
                { "{" FOR_US ",\"config\":{\"Env\":[\"A=b\"],\"Volumes\":{\"/data\":{}}},"
                  "\"rootfs\":{\"diff_ids\":[\"sha256:" HEX "\"]}}",
                  true, true },
                { "{" FOR_US ",\"config\":{\"Env\":[\"A\"]}}", false, false },
                { "{" FOR_US ",\"config\":{\"Env\":[\"=A\"]}}", false, false },
                { "{" FOR_US ",\"config\":{\"Env\":\"A=b\"}}", false, false },
                { "{" FOR_US ",\"config\":{\"Env\":[7]}}", false, false },
                { "{" FOR_US ",\"rootfs\":{\"diff_ids\":[\"" HEX "\"]}}", false, false },
                { "{" FOR_US ",\"rootfs\":{\"diff_ids\":[null]}}", false, false },
                { "{\"os\":\"linux\",\"architecture\":\"s390x\"}", false, false },
                { "{}", false, false },
                { "[]", false, false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct image_config config = { 0 };
                int r = image_config_parse(CASES[i].json, strlen(CASES[i].json), "amd64", &config, NULL);

                assert_int_equal(r == 0, CASES[i].is_taken);
                assert_int_equal(config.has_volumes, CASES[i].has_volumes);
                image_config_release(&config);
        }
}

/* An accepted environment can be stored with any escaping, and given to a program. */
static void test_long_environment(void **state)
{
        static const struct {
                size_t length, count;
                bool is_taken;
        } CASES[] = { { 65536, 1, true }, { 65537, 1, false }, { 65536, 2, true }, { 65536, 3, false } };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct image_config config = { 0 };
                struct buffer json = { 0 };
                int r;

                (void)buffer_text(&json, "{" FOR_US ",\"config\":{\"Env\":[");
                for (size_t n = 0; n < CASES[i].count; n++) {
                        (void)buffer_text(&json, n == 0 ? "\"A=" : ",\"A=");
                        for (size_t at = 2; at < CASES[i].length; at++)
                                (void)buffer_text(&json, "x");
                        (void)buffer_text(&json, "\"");
                }
                (void)buffer_text(&json, "]}}");
                r = image_config_parse(json.data, json.length, "amd64", &config, NULL);
                assert_int_equal(r == 0, CASES[i].is_taken);
                image_config_release(&config);
                buffer_free(&json);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_docker), cmocka_unit_test(test_hostile_docker),
                cmocka_unit_test(test_index),  cmocka_unit_test(test_oci),
                cmocka_unit_test(test_config), cmocka_unit_test(test_long_environment),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
