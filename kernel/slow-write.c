#include "slow-write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"

enum { FILE_FD = 3 };

struct slow_write {
        struct child *child;
        void (*done)(void *arg);
        void *arg;
};

static void on_end(void *arg, const struct child_result *result)
{
        struct slow_write *write = arg;
        void (*done)(void *arg) = write->done;
        void *done_arg = write->arg;

        (void)result;
        free(write);
        done(done_arg);
}

int slow_write_start(struct slow_write **ret_write, struct ev_loop *loop, int fd, const char *text, double deadline_s,
                     void (*done)(void *arg), void *arg)
{
        struct slow_write *write = calloc(1, sizeof *write);
        const char *const argv[] = { SLOW_WRITE_NAME, text, NULL };
        const struct child_plan plan = {
                .path = "/proc/self/exe",
                .argv = argv,
                .fds = &(struct child_fd){ .fd = fd, .as = FILE_FD },
                .n_fds = 1,
                .stdin_fd = -1,
                .mount_namespace_fd = -1,
                .streams = CHILD_DISCARD,
                .deadline_s = deadline_s,
                .dies_with_us = true,
                .done = on_end,
                .arg = write,
        };
        int r = write != NULL ? 0 : -ENOMEM;

        if (r == 0) {
                write->done = done;
                write->arg = arg;
                r = child_start(&write->child, loop, &plan);
        }
        if (r < 0) {
                free(write);
                return r;
        }
        *ret_write = write;
        return 0;
}

struct slow_write *slow_write_cancel(struct slow_write *write)
{
        if (write != NULL)
                child_cancel(write->child);
        free(write);
        return NULL;
}

bool slow_write_is_child(char *const *argv)
{
        return argv[0] != NULL && strcmp(argv[0], SLOW_WRITE_NAME) == 0;
}

int slow_write_main(char *const *argv)
{
        if (argv[1] == NULL)
                return EXIT_FAILURE;
        return write(FILE_FD, argv[1], strlen(argv[1])) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
