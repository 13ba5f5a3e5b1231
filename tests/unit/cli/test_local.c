/* Our side of a copy: what comes from a carrel stays in its target. tar(1) is the other side. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "local-files.h"

/* The working directory is an empty one at first. */
static int setup(void **state)
{
        char *directory = strdup("/tmp/test-local.XXXXXX");

        *state = directory;
        return directory == NULL || mkdtemp(directory) == NULL ? -1 : chdir(directory);
}

static int teardown(void **state)
{
        int r = chdir("/") < 0 ? -1 : local_remove(*state);

        free(*state);
        return r;
}

static void run(const char *script)
{
        assert_int_equal(system(script), 0);
}

/* The archive t into a directory. */
static int unpack(const char *directory)
{
        struct local_unpack unpack;
        char bytes[65536], problem[512];
        FILE *archive = fopen("t", "re");
        size_t n;

        assert_non_null(archive);
        assert_int_equal(local_unpack_begin(&unpack, directory), 0);
        n = fread(bytes, 1, sizeof bytes, archive);
        (void)fclose(archive);
        (void)local_unpack_write(&unpack, bytes, n);
        return local_unpack_end(&unpack, problem, sizeof problem);
}

static void a_planted_link_is_not_entered(void **state)
{
        (void)state;
        run("mkdir there; echo x > x; tar -cf t x; ln -s there link");
        assert_int_equal(unpack("link"), -EIO);
        run("test -z \"$(ls there)\"");
        assert_int_equal(unpack("there"), 0);
        run("test \"$(ls there)\" = x");
        assert_int_equal(unpack("new"), 0);
        run("test \"$(cat new/x)\" = x");
}

static void only_a_file_is_taken_for_one(void **state)
{
        (void)state;
        run("mkdir in in/directory; ln -s /etc/passwd in/link; mkfifo in/fifo; echo x > in/file; ln -s /etc old");
        assert_int_equal(local_take_file("in", "directory", "got"), -EPROTO);
        assert_int_equal(local_take_file("in", "link", "got"), -EPROTO);
        assert_int_equal(local_take_file("in", "fifo", "got"), -EPROTO);
        assert_int_equal(local_take_file("in", "nothing", "got"), -ENOENT);
        run("test ! -e got");
        assert_int_equal(local_take_file("in", "file", "old"), 0);
        run("test ! -L old && test \"$(cat old)\" = x");
}

static void nothing_is_left_and_no_link_is_followed(void **state)
{
        (void)state;
        run("mkdir -p a/b/c keep; echo > keep/x; ln -s ../keep a/l; ln -s $PWD/keep a/b/l; mkfifo a/f; echo > a/b/c/d");
        assert_int_equal(local_remove("a"), 0);
        run("test ! -e a && test -e keep/x");
        assert_int_not_equal(local_remove("a"), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_planted_link_is_not_entered, setup, teardown),
                cmocka_unit_test_setup_teardown(only_a_file_is_taken_for_one, setup, teardown),
                cmocka_unit_test_setup_teardown(nothing_is_left_and_no_link_is_followed, setup, teardown),
        };

        signal(SIGPIPE, SIG_IGN); /* as carrel does */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
