/* Looks at a file system that answers, and at one that does not: statvfs is ours (--wrap; with 64-bit offsets it has
 * this name). */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "space.h"

static int begun[2], go[2]; /* a dead mount reports that it is asked, and answers on command */

int __wrap_statvfs64(const char *path, struct statvfs *ret_disk);

int __wrap_statvfs64(const char *path, struct statvfs *ret_disk)
{
        char byte = 0;

        if (strcmp(path, "/missing") == 0) {
                (void)!write(begun[1], &byte, 1);
                errno = ENOENT;
                return -1;
        }
        if (strcmp(path, "/dead") == 0) {
                (void)!write(begun[1], &byte, 1);
                (void)!read(go[0], &byte, 1);
        }
        *ret_disk = (struct statvfs){
                .f_frsize = 4096, .f_blocks = 1000, .f_bfree = 500, .f_bavail = 400, .f_files = 90, .f_favail = 80
        };
        return 0;
}

static int set_up(void **state)
{
        (void)state;
        return pipe(begun) < 0 || pipe(go) < 0;
}

static int tear_down(void **state)
{
        (void)state;
        for (int i = 0; i < 2; i++) {
                close(begun[i]);
                close(go[i]);
        }
        return 0;
}

static void free_space_is_reported(void **state)
{
        struct space_watch *watch;
        struct space space;

        (void)state;
        assert_int_equal(space_watch_new(&watch, "/well"), 0);
        while (!space_watch_read(watch, &space)) /* the first look is under way */
                sched_yield();
        assert_int_equal(space.size_bytes, 4096 * 1000);
        assert_int_equal(space.free_bytes, 4096 * 400); /* what root has for itself is not counted */
        assert_int_equal(space.inodes, 90);
        assert_int_equal(space.free_inodes, 80);
        assert_true(space.age_s >= 0);
        assert_null(space_watch_free(watch));
}

static void a_failed_look_reports_nothing(void **state)
{
        struct space_watch *watch;
        struct space space;
        char byte;

        (void)state;
        assert_int_equal(space_watch_new(&watch, "/missing"), 0);
        assert_int_equal(read(begun[0], &byte, 1), 1);
        assert_false(space_watch_read(watch, &space));
        assert_null(space_watch_free(watch));
}

/* Neither a reader nor the end waits for it. */
static void a_dead_mount_holds_nobody(void **state)
{
        struct space_watch *watch;
        struct space space;
        char byte = 0;

        (void)state;
        assert_int_equal(space_watch_new(&watch, "/dead"), 0);
        assert_int_equal(read(begun[0], &byte, 1), 1);
        assert_false(space_watch_read(watch, &space));
        assert_null(space_watch_free(watch));
        assert_int_equal(write(go[1], &byte, 1), 1); /* the thread frees what is left */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(free_space_is_reported, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_failed_look_reports_nothing, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_dead_mount_holds_nobody, set_up, tear_down),
        };

        return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
