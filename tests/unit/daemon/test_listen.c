/* The directories carreld claims at its start. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "listen.h"

static void a_directory_is_claimed(void **state)
{
        static const struct {
                unsigned mode;
                int result;
        } ROWS[] = { { 0700, 0 }, { 0755, 0 }, { 0711, 0 }, { 0775, -EPERM }, { 0757, -EPERM }, { 01777, -EPERM } };
        char base[] = "/tmp/carrel-listen-XXXXXX";
        char path[64];

        (void)state;
        assert_non_null(mkdtemp(base));
        (void)snprintf(path, sizeof path, "%s/run", base);
        assert_int_equal(claim_directory(path, 0755, NULL), 0); /* made */
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                assert_int_equal(chmod(path, ROWS[i].mode), 0);
                assert_int_equal(claim_directory(path, 0755, NULL), ROWS[i].result);
        }
        assert_int_equal(chmod(path, 0755), 0);
        if (geteuid() == 0) {
                assert_int_equal(chown(path, 1000, 0), 0);
                assert_int_equal(claim_directory(path, 0755, NULL), -EPERM);
        }
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(rmdir(base), 0);
}

static void a_file_is_no_directory(void **state)
{
        char path[] = "/tmp/carrel-listen-XXXXXX";
        int fd = mkstemp(path);

        (void)state;
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(claim_directory(path, 0755, NULL), -ENOTDIR);
        assert_int_equal(unlink(path), 0);
}

int main(void)
{
        static const struct CMUnitTest TESTS[] = {
                cmocka_unit_test(a_directory_is_claimed),
                cmocka_unit_test(a_file_is_no_directory),
        };

        return cmocka_run_group_tests(TESTS, NULL, NULL);
}
