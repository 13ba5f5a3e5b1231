/* Asks the kernel about file systems that every Linux host has. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "file-system.h"

/* The kernel keeps the files of memfd_create(2) on a tmpfs of its own. */
static void a_tmpfs_is_in_memory(void **state)
{
        struct file_system system = { 0 };
        char path[64];
        int fd = memfd_create("test", MFD_CLOEXEC);

        (void)state;
        assert_true(fd >= 0);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        assert_int_equal(file_system_read(&system, path), 0);
        assert_string_equal(system.name, "tmpfs");
        assert_true(system.is_in_memory);
        close(fd);
}

static void another_is_not(void **state)
{
        struct file_system system = { .is_in_memory = true };

        (void)state;
        assert_int_equal(file_system_read(&system, "/proc"), 0);
        assert_string_equal(system.name, "0x9fa0"); /* PROC_SUPER_MAGIC */
        assert_false(system.is_in_memory);
}

static void a_missing_path_is_an_error(void **state)
{
        struct file_system system = { .is_in_memory = true };

        (void)state;
        assert_int_equal(file_system_read(&system, "/nonexistent"), -ENOENT);
        assert_true(system.is_in_memory); /* untouched */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_tmpfs_is_in_memory),
                cmocka_unit_test(another_is_not),
                cmocka_unit_test(a_missing_path_is_an_error),
        };

        return cmocka_run_group_tests_name("file_system", tests, NULL, NULL);
}
