/* carrel-init as process 1 of a pid namespace. Where a promise could hold by accident, `sleep` in its place shows
 * that it would not hold without it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

enum { PATH_BYTES = 128, ORPHANS = 20, INSIDE_UID = 1000, LEAKED_FD = 77, LARGEST_BYTES = 100000 };

static const char *init_program(void)
{
        return built_program("init/carrel-init");
}

/* clone(2) instead of unshare(2): the new process 1 is our own child. */
static pid_t start_first(const char *const *argv)
{
        pid_t pid;

        /* Leaked before there is a child, so that "no more than three" can only mean that it was closed again. */
        assert_return_code(dup2(STDOUT_FILENO, LEAKED_FD), errno);
        pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
        assert_return_code(pid, errno);
        if (pid != 0) {
                close(LEAKED_FD);
                return pid;
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (setresuid(INSIDE_UID, INSIDE_UID, INSIDE_UID) == 0)
                execvp(argv[0], (char *const *)argv);
        _exit(127);
}

static pid_t start_init(void)
{
        return start_first((const char *const[]){ init_program(), NULL });
}

static pid_t start_sleep(void)
{
        return start_first((const char *const[]){ "sleep", "1000", NULL });
}

/* Runs a program inside the namespace of process 1. */
static void run_inside(pid_t first, const char *script)
{
        char namespace[PATH_BYTES];

        snprintf(namespace, sizeof namespace, "--pid=/proc/%d/ns/pid", (int)first);
        MUST_RUN("nsenter", namespace, "setpriv", "--reuid=1000", "--clear-groups", "busybox", "sh", "-c", script);
}

/* ---- facts from /proc ---- */

struct stat_line {
        char state;
        int parent;
};

static bool read_stat(const char *pid, struct stat_line *ret_line)
{
        char path[PATH_BYTES];
        FILE *file;
        bool is_read;

        snprintf(path, sizeof path, "/proc/%.16s/stat", pid);
        file = fopen(path, "re");
        is_read = file != NULL && fscanf(file, "%*d (%*[^)]) %c %d", &ret_line->state, &ret_line->parent) == 2;
        if (file != NULL)
                fclose(file);
        return is_read;
}

static unsigned children(pid_t first, char state)
{
        DIR *dir = opendir("/proc");
        unsigned count = 0;

        assert_non_null(dir);
        for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
                struct stat_line line;

                if (read_stat(entry->d_name, &line) && line.parent == first && (state == '*' || line.state == state))
                        count++;
        }
        closedir(dir);
        return count;
}

static bool has_no_children(void *arg)
{
        return children(*(pid_t *)arg, '*') == 0;
}

static bool has_all_zombies(void *arg)
{
        return children(*(pid_t *)arg, 'Z') == ORPHANS;
}

static bool has_three_fds(void *arg)
{
        char path[PATH_BYTES];
        DIR *dir;
        unsigned count = 0;

        snprintf(path, sizeof path, "/proc/%d/fd", *(pid_t *)arg);
        dir = opendir(path);
        assert_non_null(dir);
        while (readdir(dir) != NULL)
                count++;
        closedir(dir);
        return count - 2 == 3;
}

static uid_t owner_of_memory(pid_t pid)
{
        char path[PATH_BYTES];
        struct stat status;

        snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
        assert_return_code(stat(path, &status), errno);
        return status.st_uid;
}

static bool is_roots(void *arg)
{
        return owner_of_memory(*(pid_t *)arg) == 0;
}

static bool is_users(void *arg)
{
        return owner_of_memory(*(pid_t *)arg) == INSIDE_UID;
}

/* ---- tests ---- */

static const char MAKE_ORPHANS[] = "for i in $(seq 20); do (true &); done";

static void reaps_what_others_leave(void **state)
{
        pid_t control = start_sleep();
        pid_t init = start_init();

        (void)state;
        run_inside(control, MAKE_ORPHANS);
        assert_true(wait_until(has_all_zombies, &control, PATIENCE_S));
        run_inside(init, MAKE_ORPHANS);
        assert_true(wait_until(has_no_children, &init, PATIENCE_S));
        assert_true(process_is_running(init));
        process_end(init, SIGKILL, 5.0);
        process_end(control, SIGKILL, 5.0);
}

static void ends_on_a_term_from_outside(void **state)
{
        pid_t init = start_init();

        (void)state;
        /* Ready when it has closed what it was given: earlier, its own mask may not be set. */
        assert_true(wait_until(has_three_fds, &init, PATIENCE_S));
        assert_int_equal(process_end(init, SIGTERM, PATIENCE_S), 0);
}

/* The strongest lie a process inside can tell: a queued signal that names sender 0. */
static void forge_term(pid_t first)
{
        char path[PATH_BYTES];
        int namespace, status = 0;
        pid_t helper = fork();

        if (helper == 0) {
                siginfo_t lie = { .si_signo = SIGTERM, .si_code = SI_QUEUE };

                snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)first);
                namespace = open(path, O_RDONLY | O_CLOEXEC);
                if (namespace < 0 || setns(namespace, CLONE_NEWPID) != 0)
                        _exit(EXIT_FAILURE);
                helper = fork();
                if (helper == 0)
                        _exit(syscall(SYS_rt_sigqueueinfo, 1, SIGTERM, &lie) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
                waitpid(helper, &status, 0);
                _exit(WEXITSTATUS(status));
        }
        assert_int_equal(waitpid(helper, &status, 0), helper);
        assert_int_equal(status, 0);
}

static void takes_no_order_from_inside(void **state)
{
        pid_t init = start_init();

        (void)state;
        assert_true(wait_until(has_three_fds, &init, PATIENCE_S));
        run_inside(init, "for signal in HUP INT QUIT TERM USR1 USR2 STOP KILL SEGV; do kill -$signal 1; done");
        forge_term(init);
        /* Lower signal numbers are taken first: when the orphans are gone, SIGTERM has been looked at. */
        run_inside(init, MAKE_ORPHANS);
        assert_true(wait_until(has_no_children, &init, PATIENCE_S));
        assert_true(process_is_running(init));
        assert_int_equal(process_end(init, SIGTERM, PATIENCE_S), 0);
}

static void keeps_no_foreign_descriptor(void **state)
{
        pid_t control = start_sleep();
        pid_t init = start_init();

        (void)state;
        assert_true(wait_until(has_three_fds, &init, PATIENCE_S));
        assert_false(has_three_fds(&control));
        process_end(init, SIGKILL, 5.0);
        process_end(control, SIGKILL, 5.0);
}

static void is_not_dumpable(void **state)
{
        pid_t control = start_sleep();
        pid_t init = start_init();

        (void)state;
        assert_true(wait_until(is_roots, &init, PATIENCE_S) && wait_until(has_three_fds, &init, PATIENCE_S));
        assert_true(is_roots(&init));
        assert_true(wait_until(is_users, &control, PATIENCE_S));
        process_end(init, SIGKILL, 5.0);
        process_end(control, SIGKILL, 5.0);
}

static void is_small(void **state)
{
        struct stat status;

        (void)state;
        assert_return_code(stat(init_program(), &status), errno);
        assert_in_range(status.st_size, 1, LARGEST_BYTES);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reaps_what_others_leave),
                cmocka_unit_test(ends_on_a_term_from_outside),
                cmocka_unit_test(takes_no_order_from_inside),
                cmocka_unit_test(keeps_no_foreign_descriptor),
                cmocka_unit_test(is_not_dumpable),
                cmocka_unit_test(is_small),
        };

        return suite_run(&(struct suite){
                .name = "init",
                .kind = SUITE_ENCLOSURE,
                SUITE_TESTS(tests),
        });
}
