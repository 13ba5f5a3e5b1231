/* carrel-image: names, holds and the end of an image; what a killed import leaves is cleared. Needs root, no engine. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "carreld.h"
#include "image-maker.h"
#include "image-store.h"
#include "scope.h"
#include "tree-remove.h"

/* ---- names, holds and the end of an image ---- */

static void test_removal(void **state)
{
        const char *remove_it[] = { "remove", "--store", store, "twice", NULL };
        const char *remove_other[] = { "remove", "--store", store, "other", NULL };
        char answer[ANSWER_BYTES];
        char id[IMAGE_ID_BYTES];
        struct image_store *reader;
        struct stored_image image = STORED_IMAGE_NONE;
        struct stat about;

        (void)state;
        write_archive("plain.tar.gz", "gzip", UPPER);
        must_import("plain.tar.gz", "rootfs", "twice", id);
        must_import("plain.tar.gz", "rootfs", "other", id);
        assert_int_equal(run_image(remove_it, NULL, answer), 0);
        assert_true(stored_has(id, "tmp", &about));
        assert_int_equal(image_store_new(&reader, store), 0);
        assert_int_equal(image_store_find(reader, "other", &image, NULL), 0);
        assert_int_equal(run_image(remove_other, NULL, answer), 1);
        assert_non_null(strstr(answer, "\"code\":\"image_in_use\""));
        assert_true(stored_has(id, "tmp", &about));
        stored_image_release(&image);
        assert_int_equal(run_image(remove_other, NULL, answer), 0);
        assert_false(stored_has(id, "tmp", &about));
        assert_int_equal(run_image(remove_other, NULL, answer), 1);
        assert_non_null(strstr(answer, "\"code\":\"image_missing\""));
        image_store_free(reader);
}

/* When a name moves to another image, the former image is removed unless somebody holds it. */
static void test_replaced(void **state)
{
        char ids[2][IMAGE_ID_BYTES];
        struct stat about;

        (void)state;
        write_archive("one.tar", NULL, LOWER);
        write_archive("two.tar", NULL, PLAIN + 1);
        must_import("one.tar", "rootfs", "moving", ids[0]);
        assert_true(stored_has(ids[0], "bin/tool", &about));
        must_import("two.tar", "rootfs", "moving", ids[1]);
        assert_false(stored_has(ids[0], "bin/tool", &about));
        assert_true(stored_has(ids[1], "bin/tool", &about));
}

/* An image whose name cannot be read, because there are no descriptors or it is damaged, stays. clear reports it. */
static void test_unreadable_names(void **state)
{
        const char *clear[] = { "clear", "--store", store, NULL };
        const char *remove_it[] = { "remove", "--store", store, "damaged", NULL };
        char answer[ANSWER_BYTES];
        char id[IMAGE_ID_BYTES];
        struct stat about;
        unsigned n_failures = 0;

        (void)state;
        write_archive("named.tar", NULL, LOWER);
        must_import("named.tar", "rootfs", "named", id);
        for (rlim_t limit = 4; limit < 24; limit++) {
                n_open_max = limit;
                n_failures += run_image(clear, NULL, answer) != 0;
                n_open_max = 0;
                assert_true(stored_has(id, "bin/tool", &about));
        }
        assert_true(n_failures > 0);
        write_text("store/refs/damaged:latest", "nonsense");
        assert_int_equal(unlink(path_of("store/refs/named:latest")), 0);
        assert_int_equal(run_image(clear, NULL, answer), 1);
        assert_non_null(strstr(answer, "cannot be read"));
        assert_true(stored_has(id, "bin/tool", &about));
        assert_int_equal(run_image(remove_it, NULL, answer), 0);
        assert_int_equal(run_image(clear, NULL, answer), 0);
        assert_false(stored_has(id, "bin/tool", &about));
}

/* Deeper than there are descriptors, or a path can say. */
static void test_deep_tree_is_removed(void **state)
{
        AUTO(auto_close) int at = -1;

        (void)state;
        assert_int_equal(mkdir(path_of("deep"), 0700), 0);
        at = open(path_of("deep"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (unsigned depth = 0; depth < 5000; depth++) {
                int below;

                assert_int_equal(mkdirat(at, "d", 0700), 0);
                assert_int_equal(mkdirat(at, depth % 2 == 0 ? ".gone-0" : ".gone-1", 0700), 0);
                assert_int_equal(symlinkat("/", at, "link"), 0);
                below = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_true(below >= 0);
                close(at);
                at = below;
        }
        assert_int_equal(tree_remove(AT_FDCWD, path_of("deep")), 0);
        assert_int_equal(access(path_of("deep"), F_OK), -1);
}

/* ---- kill -9 ---- */

/* The archive comes through a FIFO, so that the import is surely in the middle when it is killed. */
static void test_killed_import_is_cleared(void **state)
{
        const char *clear[] = { "clear", "--store", store, NULL };
        char answer[ANSWER_BYTES];
        size_t length;
        AUTO(auto_free) char *bytes = read_all(path_of("plain.tar"), &length);
        int status;

        (void)state;
        assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
        pid_t pid = fork();
        if (pid == 0) {
                int fd = open(path_of("fifo"), O_RDONLY);

                if (fd >= 0 && dup2(fd, STDIN_FILENO) >= 0)
                        execl(built_program("importer/carrel-image"), "carrel-image", "import", "--store", store,
                              "killed", (char *)NULL);
                _exit(126);
        }
        AUTO(auto_close) int fifo = open(path_of("fifo"), O_WRONLY | O_CLOEXEC);
        /* The reader takes bytes out of the pipe only after it has made its directory. */
        assert_int_equal(write(fifo, bytes, length), (ssize_t)length);
        for (int waiting = 1; waiting > 0;)
                assert_int_equal(ioctl(fifo, FIONREAD, &waiting), 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        AUTO(auto_free) char *between = list_store();
        assert_non_null(strstr(between, "tmp/import-"));
        assert_int_equal(run_image(clear, NULL, answer), 0);
        AUTO(auto_free) char *after = list_store();
        assert_null(strstr(after, "tmp/import-"));
        assert_null(strstr(after, "refs/killed"));
        assert_int_equal(unlink(path_of("fifo")), 0);
}

static void test_host(void **state)
{
        const char *host[] = { "host", "--store", store, "host", NULL };
        char answer[ANSWER_BYTES];
        AUTO(stored_image_release) struct stored_image image = STORED_IMAGE_NONE;
        struct image_store *reader;
        struct stat about;

        (void)state;
        if (run_image(host, NULL, answer) != 0)
                fail_msg("%s", answer);
        assert_int_equal(image_store_new(&reader, store), 0);
        assert_int_equal(image_store_find(reader, "host", &image, NULL), 0);
        assert_int_equal(image.n_binds, 1);
        assert_string_equal(image.binds[0].source, "/usr");
        assert_string_equal(image.binds[0].target, "/usr");
        assert_true(stored_has(image.id, "bin", &about) && S_ISLNK(about.st_mode));
        assert_true(stored_has(image.id, "etc/passwd", &about));
        assert_false(stored_has(image.id, "etc/shadow", &about));
        assert_false(stored_has(image.id, "etc/ssl/private", &about));
        image_store_free(reader);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_removal),
                cmocka_unit_test(test_replaced),
                cmocka_unit_test(test_unreadable_names),
                cmocka_unit_test(test_deep_tree_is_removed),
                cmocka_unit_test(test_killed_import_is_cleared),
                cmocka_unit_test(test_host),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
