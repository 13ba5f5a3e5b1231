/* images/: references, stores that are whole, damaged and hostile, and the hold. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "image-store.h"
#include "scope.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID "sha256:" HEX
#define STORED "sha256/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define IMAGE_JSON                                                                                                     \
        "{\"env\":[\"PATH=/bin\",\"EMPTY=\"],\"binds\":[{\"source\":\"/usr\",\"target\":\"/usr\"}],"                   \
        "\"has_volumes\":false,\"bytes\":5,\"entries\":3,\"created_ms\":1769860800123}"

static char directory[64];

static void write_file(const char *name, const char *text)
{
        char path[256];

        (void)snprintf(path, sizeof path, "%s/%s", directory, name);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

static void make_directory(const char *name)
{
        char path[256];

        (void)snprintf(path, sizeof path, "%s/%s", directory, name);
        assert_int_equal(mkdir(path, 0755), 0);
}

static int set_up(void **state)
{
        struct image_store *store;

        (void)snprintf(directory, sizeof directory, "/tmp/carrel-images-XXXXXX");
        assert_non_null(mkdtemp(directory));
        make_directory("refs");
        make_directory("sha256");
        make_directory(STORED);
        make_directory(STORED "/rootfs");
        write_file(STORED "/image.json", IMAGE_JSON);
        write_file("refs/box:latest", ID "\n");
        write_file("refs/team%2Fbox:1", ID "\n");
        assert_int_equal(image_store_new(&store, directory), 0);
        *state = store;
        return 0;
}

static int tear_down(void **state)
{
        static const char STORED_JSON[] = STORED "/image.json";
        static const char STORED_ROOTFS[] = STORED "/rootfs";
        const char *const left[] = { "refs/box:latest",
                                     "refs/team%2Fbox:1",
                                     "refs/bad:latest",
                                     "refs/gone:latest",
                                     "refs/link:latest",
                                     "refs/not a reference",
                                     "refs",
                                     STORED_JSON,
                                     STORED_ROOTFS,
                                     STORED,
                                     "sha256",
                                     "" };
        char path[256];

        image_store_free(*state);
        for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
                (void)snprintf(path, sizeof path, "%s/%s", directory, left[i]);
                (void)remove(path);
        }
        assert_int_equal(access(directory, F_OK), -1);
        return 0;
}

static void test_references(void **state)
{
        static const struct {
                const char *text, *resolved, *file; /* NULL: refused */
        } CASES[] = {
                { "box", "box:latest", "box:latest" },
                { "box:1.0", "box:1.0", "box:1.0" },
                { "team/box", "team/box:latest", "team%2Fbox:latest" },
                { "host:5000/box", "host:5000/box:latest", "host:5000%2Fbox:latest" },
                { ID, ID, ID },
                { "box@" ID, ID, ID },
                { "box:1@" ID, ID, ID },
                { "box@sha256:12", NULL, NULL },
                { "", NULL, NULL },
                { ".", NULL, NULL },
                { "..", NULL, NULL },
                { "../box", NULL, NULL },
                { "a/../b", NULL, NULL },
                { "a//b", NULL, NULL },
                { "a/.hidden", NULL, NULL },
                { "/box", NULL, NULL },
                { "box/", NULL, NULL },
                { "box:", NULL, NULL },
                { "-box", NULL, NULL },
                { "a%2Fb", NULL, NULL },
                { "a b", NULL, NULL },
                { "a\nb", NULL, NULL },
                { "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", NULL, NULL },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                char resolved[IMAGE_REFERENCE_BYTES];
                char back[IMAGE_REFERENCE_BYTES];
                char file[IMAGE_FILE_BYTES];
                struct fault why = { 0 };
                int r = image_reference_resolve(CASES[i].text, resolved, &why);

                assert_int_equal(r, CASES[i].resolved != NULL ? 0 : -EINVAL);
                if (r < 0) {
                        assert_int_equal(why.kind, FAULT_REQUEST_INVALID);
                        continue;
                }
                assert_string_equal(resolved, CASES[i].resolved);
                image_reference_to_file(resolved, file);
                assert_string_equal(file, CASES[i].file);
                assert_true(image_reference_from_file(file, back) || image_is_id(resolved));
        }
}

/* Every accepted reference can be written to the store and read from there, with its added tag; nothing longer is
 * accepted. */
static void test_longest_references(void **state)
{
        static const struct {
                size_t length;
                const char *tag;
                bool is_taken;
        } CASES[] = { { 192, "", true },  { 193, "", true },  { 194, "", false },  { 199, "", false },
                      { 200, "", false }, { 201, "", false }, { 198, ":1", true }, { 199, ":1", false } };

        (void)state;
        for (size_t i = 0; i < 2 * (sizeof CASES / sizeof CASES[0]); i++) {
                const size_t at = i / 2;
                char text[IMAGE_REFERENCE_BYTES] = "";
                char resolved[IMAGE_REFERENCE_BYTES];
                char back[IMAGE_REFERENCE_BYTES];
                char file[IMAGE_FILE_BYTES];

                for (size_t n = 0; n < CASES[at].length; n++) /* every second one has the most slashes */
                        text[n] = i % 2 == 1 && n % 2 == 1 && n < 40 ? '/' : 'a';
                (void)strncat(text, CASES[at].tag, 3);
                assert_int_equal(image_reference_resolve(text, resolved, NULL), CASES[at].is_taken ? 0 : -EINVAL);
                if (!CASES[at].is_taken)
                        continue;
                image_reference_to_file(resolved, file);
                assert_true(strlen(file) < 255);
                assert_true(image_reference_from_file(file, back));
                assert_string_equal(back, resolved);
        }
}

static void test_found(void **state)
{
        AUTO(stored_image_release) struct stored_image image = STORED_IMAGE_NONE;
        struct fault why = { 0 };

        assert_int_equal(image_store_find(*state, "team/box:1", &image, &why), 0);
        assert_string_equal(image.id, ID);
        assert_string_equal(image.reference, "team/box:1");
        assert_int_equal(access(image.rootfs, F_OK), 0);
        assert_string_equal(image.environment[0], "PATH=/bin");
        assert_string_equal(image.environment[1], "EMPTY=");
        assert_null(image.environment[2]);
        assert_int_equal(image.n_binds, 1);
        assert_string_equal(image.binds[0].source, "/usr");
        assert_int_equal(image.bytes, 5);
        assert_int_equal(image.created_wall_ms, 1769860800123);

        AUTO(auto_free) char *again = stored_image_encode(&image);
        assert_string_equal(again, IMAGE_JSON);
}

static void test_missing(void **state)
{
        static const char *const NAMES[] = {
                "nothing", "bad", "gone", "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        };
        static const enum fault_kind KINDS[] = { FAULT_IMAGE_MISSING, FAULT_INTERNAL, FAULT_IMAGE_MISSING,
                                                 FAULT_IMAGE_MISSING };

        write_file("refs/bad:latest", "sha256:../../../etc\n");
        write_file("refs/gone:latest", "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\n");
        for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
                struct stored_image image = STORED_IMAGE_NONE;
                struct fault why = { 0 };

                assert_true(image_store_find(*state, NAMES[i], &image, &why) < 0);
                assert_int_equal(why.kind, KINDS[i]);
                assert_null(image.rootfs);
                if (KINDS[i] == FAULT_IMAGE_MISSING)
                        assert_non_null(strstr(why.message, "carrel image import"));
        }
}

/* A remover's exclusive lock and an image's hold exclude each other. */
static void test_hold(void **state)
{
        struct stored_image image = STORED_IMAGE_NONE;
        char path[256];

        (void)snprintf(path, sizeof path, "%s/" STORED, directory);
        AUTO(auto_close) int remover = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(image_store_find(*state, "box", &image, NULL), 0);
        assert_int_equal(flock(remover, LOCK_EX | LOCK_NB), -1);
        assert_int_equal(errno, EWOULDBLOCK);
        stored_image_release(&image);
        assert_int_equal(flock(remover, LOCK_EX | LOCK_NB), 0);
        assert_int_equal(image_store_find(*state, "box", &image, NULL), -ENOENT);
}

static void test_list(void **state)
{
        AUTO(auto_free) struct stored_reference *list = NULL;
        char path[256];
        size_t count = 0;

        write_file("refs/bad:latest", "nonsense");
        (void)snprintf(path, sizeof path, "%s/refs/link:latest", directory);
        assert_int_equal(symlink("box:latest", path), 0);
        assert_int_equal(image_store_list(*state, &list, &count, NULL), 0);
        assert_int_equal(count, 2);
        assert_string_equal(list[0].reference, "box:latest");
        assert_string_equal(list[1].reference, "team/box:1");
        assert_string_equal(list[1].id, ID);
}

/* A caller that removes images without a name learns of unreadable names. */
static void test_whole_list(void **state)
{
        AUTO(auto_free) struct stored_reference *list = NULL;
        struct fault why = { 0 };
        char id[IMAGE_ID_BYTES];
        size_t count = 0;

        write_file("refs/not a reference", "nonsense");
        assert_int_equal(image_store_list_whole(*state, &list, &count, &why), 0);
        assert_int_equal(count, 2);
        auto_free(&list);
        list = NULL;
        write_file("refs/bad:latest", "nonsense");
        assert_true(image_store_list_whole(*state, &list, &count, &why) < 0);
        assert_null(list);
        assert_non_null(strstr(why.message, "cannot be read"));
        assert_int_equal(image_store_read_name(*state, "bad:latest", id), -EBADMSG);
        assert_int_equal(image_store_read_name(*state, "none:latest", id), -ENOENT);
        assert_int_equal(image_store_read_name(*state, "box:latest", id), 0);
        assert_string_equal(id, ID);
}

static void test_no_store_yet(void **state)
{
        struct image_store *store;
        struct stored_reference *list;
        size_t count;
        struct stored_image image = STORED_IMAGE_NONE;
        struct fault why = { 0 };

        (void)state;
        assert_int_equal(image_store_new(&store, "/tmp/carrel-images-that-are-not-there"), 0);
        assert_int_equal(image_store_list(store, &list, &count, &why), 0);
        assert_int_equal(count, 0);
        assert_int_equal(image_store_find(store, "box", &image, &why), -ENOENT);
        assert_int_equal(why.kind, FAULT_IMAGE_MISSING);
        image_store_free(store);
}

static void test_hostile_json(void **state)
{
        static const char *const CASES[] = {
                "",
                "[]",
                "{}",
                "{\"env\":[],\"has_volumes\":0,\"bytes\":1,\"entries\":1,\"created_ms\":1}",
                "{\"env\":{},\"has_volumes\":false,\"bytes\":1,\"entries\":1,\"created_ms\":1}",
                "{\"env\":[1],\"has_volumes\":false,\"bytes\":1,\"entries\":1,\"created_ms\":1}",
                "{\"env\":[\"=x\"],\"has_volumes\":false,\"bytes\":1,\"entries\":1,\"created_ms\":1}",
                "{\"env\":[],\"has_volumes\":false,\"bytes\":-1,\"entries\":1,\"created_ms\":1}",
                "{\"env\":[],\"has_volumes\":false,\"bytes\":1e300,\"entries\":1,\"created_ms\":1}",
                "{\"env\":[],\"has_volumes\":false,\"bytes\":1,\"entries\":1.5,\"created_ms\":1}",
                "{\"env\":[],\"has_volumes\":false,\"bytes\":1,\"entries\":1,\"created_ms\":1,"
                "\"binds\":[{\"source\":\"usr\",\"target\":\"/usr\"}]}",
                "{\"env\":[],\"has_volumes\":false,\"bytes\":1,\"entries\":1,\"created_ms\":1,"
                "\"binds\":[{\"source\":\"/usr\",\"target\":\"/a/../../b\"}]}",
                "{\"env\":[],\"has_volumes\":false,\"bytes\":1,\"entries\":1,\"created_ms\":1,\"binds\":[1]}",
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                struct stored_image image = STORED_IMAGE_NONE;

                assert_int_equal(stored_image_decode(CASES[i], strlen(CASES[i]), &image), -EBADMSG);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_references),
                cmocka_unit_test(test_longest_references),
                cmocka_unit_test_setup_teardown(test_found, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_hold, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_list, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_whole_list, set_up, tear_down),
                cmocka_unit_test(test_no_store_yet),
                cmocka_unit_test(test_hostile_json),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
