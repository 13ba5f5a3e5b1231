/* The directories carreld claims at its start. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
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

/* --check tries the same as the start, and leaves no trace. */
static void a_check_makes_nothing(void **state)
{
        char base[] = "/tmp/carrel-listen-XXXXXX";
        char path[64], deep[96];

        (void)state;
        assert_non_null(mkdtemp(base));
        (void)snprintf(path, sizeof path, "%s/run", base);
        (void)snprintf(deep, sizeof deep, "%s/run/a/b/c", base);
        assert_int_equal(check_claimable(path, NULL), 0);
        assert_int_equal(check_claimable(deep, NULL), 0);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(claim_directory(path, 0755, NULL), 0);
        assert_int_equal(check_claimable(path, NULL), 0);
        assert_int_equal(chmod(path, 0775), 0);
        assert_int_equal(check_claimable(path, NULL), -EPERM);
        assert_int_equal(check_claimable(deep, NULL), -EPERM);
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(rmdir(base), 0);
}

static void a_read_only_directory_is_refused(void **state)
{
        char base[] = "/tmp/carrel-listen-XXXXXX";
        char deep[96];
        struct fault why = { 0 };
        int status = -1;
        pid_t child;

        (void)state;
        if (geteuid() != 0)
                skip();
        assert_non_null(mkdtemp(base));
        (void)snprintf(deep, sizeof deep, "%s/users", base);
        child = fork();
        if (child == 0) {
                bool is_refused = unshare(CLONE_NEWNS) == 0 &&
                                  mount("none", "/", "none", MS_REC | MS_PRIVATE, "") == 0 &&
                                  mount("none", base, "tmpfs", 0, "mode=0755") == 0 &&
                                  check_claimable(base, NULL) == 0 && check_claimable(deep, NULL) == 0 &&
                                  mount("none", base, "none", MS_REMOUNT | MS_RDONLY, "") == 0 &&
                                  check_claimable(base, &why) == -EROFS && strstr(why.message, base) != NULL &&
                                  check_claimable(deep, NULL) == -EROFS && claim_directory(base, 0755, NULL) == -EROFS;
                _exit(is_refused ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(rmdir(base), 0);
}

/* By the path, and by what its symlinks lead to. */
static void whoever_may_write_above_is_refused(void **state)
{
        static const struct {
                unsigned mode;
                uid_t owner;
                int result;
        } ROWS[] = { { 0755, 0, 0 },  { 0775, 0, -EPERM },    { 0757, 0, -EPERM },
                     { 01777, 0, 0 }, { 0755, 1000, -EPERM }, { 01777, 1000, -EPERM } };
        char base[] = "/tmp/carrel-listen-XXXXXX";
        char above[64], path[96], link[64], through[96];

        (void)state;
        if (geteuid() != 0)
                skip();
        assert_non_null(mkdtemp(base));
        (void)snprintf(above, sizeof above, "%s/above", base);
        (void)snprintf(path, sizeof path, "%s/run/dir", above);
        (void)snprintf(link, sizeof link, "%s/link", base);
        (void)snprintf(through, sizeof through, "%s/dir", link);
        assert_int_equal(claim_directory(path, 0711, NULL), 0); /* made, with all above */
        assert_int_equal(symlink("above/run", link), 0);
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                struct fault why = { 0 };

                assert_int_equal(chown(above, ROWS[i].owner, 0), 0);
                assert_int_equal(chmod(above, ROWS[i].mode), 0);
                assert_int_equal(claim_directory(path, 0711, &why), ROWS[i].result);
                assert_true(ROWS[i].result == 0 || strstr(why.message, above) == why.message);
                assert_int_equal(claim_directory(through, 0711, NULL), ROWS[i].result);
        }
        assert_int_equal(unlink(link), 0);
        for (size_t length = strlen(path); length > strlen("/tmp/"); length = (size_t)(strrchr(path, '/') - path)) {
                path[length] = '\0';
                assert_int_equal(rmdir(path), 0);
        }
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

static void a_lock_is_for_one(void **state)
{
        char base[] = "/tmp/carrel-listen-XXXXXX";
        char path[64];
        int first = -1, other_pool = -1, second = -1;

        (void)state;
        assert_non_null(mkdtemp(base));
        assert_int_equal(claim_lock(base, "a", 0, &first, NULL), 0);
        assert_int_equal(claim_lock(base, "b", 0, &other_pool, NULL), 0);
        assert_int_equal(claim_lock(base, "a", 50, &second, NULL), -EBUSY);
        assert_int_equal(second, -1);
        close(first);
        assert_int_equal(claim_lock(base, "a", 0, &second, NULL), 0);
        close(second);
        close(other_pool);
        for (const char *pool = "ab"; *pool != '\0'; pool++) {
                (void)snprintf(path, sizeof path, "%s/carreld-%c.lock", base, *pool);
                assert_int_equal(unlink(path), 0);
        }
        assert_int_equal(rmdir(base), 0);
}

/* ---- what a killed carreld leaves ---- */

static int leftovers_fd = -1; /* for the handler */

static void end_leftover(int number)
{
        (void)number;
        (void)!write(leftovers_fd, "e", 1);
}

/* Holds every descriptor of ours, as a child between fork(2) and its first act does. */
static pid_t leave_a_child(void)
{
        int fds[2];
        char byte;
        pid_t pid;

        assert_int_equal(pipe(fds), 0);
        pid = fork();
        if (pid == 0)
                _exit(read(fds[0], &byte, 1) != 1);
        assert_true(pid > 0);
        close(fds[0]);
        leftovers_fd = fds[1];
        return pid;
}

static void the_child_of_a_killed_one_is_waited_for(void **state)
{
        const struct itimerval soon = { .it_value.tv_usec = 30000 };
        char base[] = "/tmp/carrel-listen-XXXXXX";
        char path[64];
        int lock = -1, next = -1, status = -1;
        pid_t child;

        (void)state;
        assert_non_null(mkdtemp(base));
        assert_int_equal(claim_lock(base, "a", 0, &lock, NULL), 0);
        child = leave_a_child();
        close(lock); /* the daemon is dead */
        assert_int_equal(claim_lock(base, "a", 0, &next, NULL), -EBUSY);
        assert_true(signal(SIGALRM, end_leftover) != SIG_ERR);
        assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
        assert_int_equal(claim_lock(base, "a", 60000, &next, NULL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        close(leftovers_fd);
        close(next);
        (void)snprintf(path, sizeof path, "%s/carreld-a.lock", base);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(base), 0);
}

int main(void)
{
        static const struct CMUnitTest TESTS[] = {
                cmocka_unit_test(a_directory_is_claimed),
                cmocka_unit_test(a_check_makes_nothing),
                cmocka_unit_test(a_read_only_directory_is_refused),
                cmocka_unit_test(whoever_may_write_above_is_refused),
                cmocka_unit_test(a_file_is_no_directory),
                cmocka_unit_test(a_lock_is_for_one),
                cmocka_unit_test(the_child_of_a_killed_one_is_waited_for),
        };

        return cmocka_run_group_tests(TESTS, NULL, NULL);
}
