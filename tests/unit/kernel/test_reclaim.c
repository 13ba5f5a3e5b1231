/* The pressure file, and the child that writes. This program is its own child (slow-write.h). */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include "pressure.h"
#include "slow-write.h"

static void pressure_is_parsed(void **state)
{
        static const struct {
                const char *text;
                int r;
                double percent;
        } CASES[] = {
                { "some avg10=12.34 avg60=0.00 avg300=0.00 total=1\nfull avg10=1.00\n", 0, 12.34 },
                { "some avg10=0.00 avg60=0.00\n", 0, 0 },
                { "some avg10=100.00 x", 0, 100 },
                { "", -EPROTO, 0 },
                { "full avg10=1.00 avg60", -EPROTO, 0 },
                { "some avg10=", -EPROTO, 0 },
                { "some avg10=nan avg60", -EPROTO, 0 },
                { "some avg10=-1 avg60", -EPROTO, 0 },
                { "some avg10=101 avg60", -EPROTO, 0 },
                { "some avg10=1", -EPROTO, 0 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                int fd = memfd_create("pressure", MFD_CLOEXEC);
                double percent = -1;
                char path[64];

                assert_int_equal(write(fd, CASES[i].text, strlen(CASES[i].text)), strlen(CASES[i].text));
                (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
                assert_int_equal(pressure_read(path, &percent), CASES[i].r);
                assert_true(percent == (CASES[i].r == 0 ? CASES[i].percent : -1));
                close(fd);
        }
        assert_int_equal(pressure_read("/nonexistent", &(double){ 0 }), -ENOENT);
}

static void on_done(void *arg)
{
        ev_break(arg, EVBREAK_ALL);
}

static void a_child_writes(void **state)
{
        struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
        int fd = memfd_create("file", MFD_CLOEXEC);
        struct slow_write *write = NULL;
        char text[16] = "";

        (void)state;
        assert_int_equal(slow_write_start(&write, loop, fd, "104857600", 60.0, on_done, loop), 0);
        ev_run(loop, 0);
        assert_int_equal(pread(fd, text, sizeof text - 1, 0), strlen("104857600"));
        assert_string_equal(text, "104857600");
        close(fd);
        ev_loop_destroy(loop);
}

/* Nobody reads the pipe, which is full. */
static void a_child_that_hangs_is_killed(void **state)
{
        struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
        struct slow_write *child = NULL;
        char filler[4096] = "";
        int fds[2];

        (void)state;
        assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        while (write(fds[1], filler, sizeof filler) > 0)
                ;
        assert_int_equal(fcntl(fds[1], F_SETFL, 0), 0);
        assert_int_equal(slow_write_start(&child, loop, fds[1], "text", 0.05, on_done, loop), 0);
        ev_run(loop, 0);
        assert_int_equal(slow_write_start(&child, loop, fds[1], "text", 60.0, on_done, loop), 0);
        assert_null(slow_write_cancel(child));
        assert_null(slow_write_cancel(NULL));
        close(fds[0]);
        close(fds[1]);
        ev_loop_destroy(loop);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(pressure_is_parsed),
                cmocka_unit_test(a_child_writes),
                cmocka_unit_test(a_child_that_hangs_is_killed),
        };

        (void)argc;
        if (slow_write_is_child(argv))
                return slow_write_main(argv);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
