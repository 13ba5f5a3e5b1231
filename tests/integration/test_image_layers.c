/* carrel-image: hostile archives of layers are refused, and the same content has the same id whatever it comes from.
 * Needs root, no engine. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "content.h"
#include "image-maker.h"
#include "scope.h"
#include "str.h"
#include "tree-remove.h"
#include "unpack.h"

/* ---- archives of layers ---- */

#if defined(__x86_64__)
#define ARCHITECTURE "amd64"
#else
#define ARCHITECTURE "arm64"
#endif

struct layers {
        const char *archive;                   /* to be written */
        const char *config_name, *config_hash; /* NULL: the true ones */
        const char *diff_id;                   /* of the upper layer; NULL: the true one */
        const char *architecture;              /* NULL: this machine's */
        uint64_t extra_bytes;                  /* added to the descriptor's size */
        bool lacks_layer;
};

static void write_config(const struct layers *layers, const char *lower, const char *upper)
{
        AUTO(buffer_free) struct buffer config = { 0 };

        (void)buffer_format(&config,
                            "{\"architecture\":\"%s\",\"os\":\"linux\",\"config\":{\"Env\":[\"PATH=/bin\"]},"
                            "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%s\",\"sha256:%s\"]}}",
                            layers->architecture != NULL ? layers->architecture : ARCHITECTURE, lower,
                            layers->diff_id != NULL ? layers->diff_id : upper);
        write_text("config", config.data);
}

static void write_docker(const struct layers *layers)
{
        struct member members[4] = { { "manifest", "manifest.json" },
                                     { "config", "" },
                                     { "lower.tar", "a/layer.tar" },
                                     { "upper.tar", "b/layer.tar" } };
        AUTO(buffer_free) struct buffer manifest = { 0 };
        char lower[SHA256_TEXT_BYTES], upper[SHA256_TEXT_BYTES], config[SHA256_TEXT_BYTES];

        write_archive("lower.tar", NULL, LOWER);
        write_archive("upper.tar", NULL, UPPER);
        hash_of("lower.tar", lower);
        hash_of("upper.tar", upper);
        write_config(layers, lower, upper);
        hash_of("config", config);
        (void)snprintf(members[1].name, PATH_BYTES, "%s.json",
                       layers->config_hash != NULL ? layers->config_hash : config);
        (void)buffer_format(&manifest,
                            "[{\"Config\":\"%s\",\"RepoTags\":[\"x:1\"],\"Layers\":[\"a/layer.tar\",\"b/layer.tar\"]}]",
                            layers->config_name != NULL ? layers->config_name : members[1].name);
        write_text("manifest", manifest.data);
        pack(layers->archive, members, layers->lacks_layer ? 3 : 4);
}

static void write_oci(const struct layers *layers)
{
        struct member members[6] = {
                { "oci-layout", "oci-layout" }, { "index", "index.json" }, { "manifest", "" }, { "config", "" },
                { "lower.tar.gz", "" },         { "upper.tar.gz", "" }
        };
        char lower[SHA256_TEXT_BYTES], upper[SHA256_TEXT_BYTES], hashes[4][SHA256_TEXT_BYTES];
        uint64_t sizes[4];
        AUTO(buffer_free) struct buffer text = { 0 };
        AUTO(buffer_free) struct buffer index = { 0 };

        write_archive("lower.tar", NULL, LOWER);
        write_archive("upper.tar", NULL, UPPER);
        write_archive("lower.tar.gz", "gzip", LOWER);
        write_archive("upper.tar.gz", "gzip", UPPER);
        hash_of("lower.tar", lower);
        hash_of("upper.tar", upper);
        write_config(layers, lower, upper);
        for (int i = 3; i < 6; i++) {
                struct stat about;

                hash_of(members[i].file, hashes[i - 2]);
                assert_int_equal(stat(path_of(members[i].file), &about), 0);
                sizes[i - 2] = (uint64_t)about.st_size + (i == 5 ? layers->extra_bytes : 0);
        }
        (void)buffer_format(&text,
                            "{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:%s\",\"size\":%llu},\"layers\":["
                            "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"sha256:%s\","
                            "\"size\":%llu},"
                            "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"sha256:%s\","
                            "\"size\":%llu}]}",
                            hashes[1], (unsigned long long)sizes[1], hashes[2], (unsigned long long)sizes[2], hashes[3],
                            (unsigned long long)sizes[3]);
        write_text("manifest", text.data);
        hash_of("manifest", hashes[0]);
        if (layers->config_hash != NULL)
                (void)snprintf(hashes[0], sizeof hashes[0], "%s", layers->config_hash);
        (void)buffer_format(&index, "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:%s\",\"size\":%zu}]}",
                            hashes[0], text.length);
        write_text("index", index.data);
        write_text("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
        for (int i = 0; i < 4; i++)
                (void)snprintf(members[i + 2].name, PATH_BYTES, "blobs/sha256/%.64s", hashes[i]);
        pack(layers->archive, members, layers->lacks_layer ? 5 : 6);
}

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static void test_hostile_layers(void **state)
{
        static const struct {
                void (*write)(const struct layers *layers);
                struct layers layers;
                const char *part;
        } CASES[] = {
                { write_docker, { .config_hash = ZEROS }, ZEROS ".json has the digest" },
                { write_docker, { .config_name = "../config.json" }, "names a file that cannot be in it" },
                { write_docker, { .config_name = "/etc/passwd" }, "names a file that cannot be in it" },
                { write_docker, { .config_name = "absent.json" }, "lacks the file absent.json" },
                { write_docker, { .config_name = "a\\u001b[31mb.json" }, "lacks the file a?[31mb.json" },
                { write_docker, { .diff_id = ZEROS }, "layer b/layer.tar unpacks to the digest" },
                { write_docker, { .diff_id = "../../x" }, "diff_id that is no sha256" },
                { write_docker, { .lacks_layer = true }, "lacks the file b/layer.tar" },
                { write_docker, { .architecture = "pdp11" }, "another operating system or architecture" },
                { write_oci, { .config_hash = ZEROS }, ZEROS " has the digest" },
                { write_oci, { .diff_id = ZEROS }, "unpacks to the digest" },
                { write_oci, { .extra_bytes = 1 }, "its descriptor says" },
                { write_oci, { .lacks_layer = true }, "lacks the file blobs/sha256/" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct layers layers = CASES[i].layers;

                layers.archive = "layers.tar";
                CASES[i].write(&layers);
                assert_refused(CASES[i].part, "layers.tar", "auto", CASES[i].part);
        }
}

/* Each layer alone is small enough. */
static void test_layers_in_total(void **state)
{
        const struct layers layers = { .archive = "layers.tar" };

        (void)state;
        write_oci(&layers);
        max_bytes = "8000";
        assert_refused("two layers of 6144 and 4096", "layers.tar", "oci", "the layers unpack to more");
        max_bytes = "67108864";
}

/* A layer's whiteouts do not go through a link of the layers below that leads out. In this very process, unconfined. */
static void test_whiteouts_stay_inside(void **state)
{
        char kept[PATH_BYTES];
        const struct item links[] = { { "out", 'l', kept, 0 }, { "up", 'd', NULL, 0 }, { 0 } };
        static const struct item MARKS[] = { { "out/.wh.file", 'f', "", 0 }, { "out/.wh..wh..opq", 'f', "", 0 },
                                             { "up/.wh...", 'f', "", 0 },    { "up/.wh..", 'f', "", 0 },
                                             { ".wh.", 'f', "", 0 },         { 0 } };
        AUTO(auto_close) int root = -1;
        struct budget budget = { 1 << 20, 100 };

        (void)state;
        assert_int_equal(str_copy(kept, sizeof kept, path_of("kept")), 0);
        assert_int_equal(mkdir(kept, 0755), 0);
        write_text("kept/file", "x");
        assert_int_equal(mkdir(path_of("root"), 0755), 0);
        root = open(path_of("root"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        write_archive("one.tar", NULL, links);
        write_archive("two.tar", NULL, MARKS);
        for (int i = 0; i < 2; i++) {
                AUTO(auto_close) int fd = open(path_of(i == 0 ? "one.tar" : "two.tar"), O_RDONLY | O_CLOEXEC);
                struct fault why = { 0 };

                if (unpack_tar(fd, root, true, &budget, &why) < 0)
                        fail_msg("%s", why.message);
        }
        assert_int_equal(access(path_of("root/up"), F_OK), 0);
        assert_int_equal(access(path_of("kept/file"), F_OK), 0);
        assert_int_equal(tree_remove(AT_FDCWD, path_of("root")), 0);
}

/* ---- the same content ---- */

static void test_one_content_one_id(void **state)
{
        const struct layers docker = { .archive = "docker.tar" };
        const struct layers oci = { .archive = "oci.tar" };
        char ids[5][IMAGE_ID_BYTES];
        struct stat about;

        (void)state;
        write_docker(&docker);
        write_oci(&oci);
        must_import("docker.tar", "auto", "one", ids[0]);
        must_import("oci.tar", "auto", "two", ids[1]);
        must_import("oci.tar", "oci", "two", ids[2]);
        assert_string_equal(ids[0], ids[1]);
        assert_string_equal(ids[0], ids[2]);
        assert_false(stored_has(ids[0], "gone", &about));
        assert_false(stored_has(ids[0], "emptied/old", &about));
        assert_true(stored_has(ids[0], "emptied/new", &about));
        assert_true(stored_has(ids[0], "workspace", &about));
        assert_true(stored_has(ids[0], "bin/tool", &about));
        assert_int_equal(about.st_mode & 07777, 0755); /* the set-user-id bit is gone */
        assert_true(stored_has(ids[0], "tmp", &about));
        assert_int_equal(about.st_mode & 07777, 0755);
        assert_int_equal(about.st_uid, 0);
        for (int i = 3; i < 5; i++) {
                write_archive("plain.tar.xz", i == 3 ? "xz" : "zstd", PLAIN);
                must_import("plain.tar.xz", "auto", "three", ids[i]);
        }
        assert_string_equal(ids[3], ids[4]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hostile_layers),
                cmocka_unit_test(test_layers_in_total),
                cmocka_unit_test(test_whiteouts_stay_inside),
                cmocka_unit_test(test_one_content_one_id),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
