/* Whether a container is isolated: its network as a table, and live processes that share or own theirs. */
#include <errno.h>
#include <fcntl.h>
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
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "isolation.h"
#include "rig.h"
#include "scope.h"

#define TITLES "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT      \n"
#define BY(interface) interface "\t00000000\t0101FEA9\t0003\t0\t0\t0\t00000000\t0\t0\t0    \n"
#define LO6 "00000000000000000000000000000001 01 80 10 80       lo\n"
#define BY6(interface) "fe800000000000000042acfffe110002 05 40 20 80     " interface "\n"

static const struct network_case {
        const char *name;
        const char *routes;
        const char *addresses6;
        bool may_have_eth0;
        const char *named; /* in the fault; NULL: accepted */
} CASES[] = {
        { "loopback only", TITLES, LO6, false, NULL },
        { "no IPv6", TITLES, NULL, false, NULL },
        { "nothing at all", "", "", false, NULL },
        { "our cable", TITLES BY("eth0"), LO6, true, NULL },
        { "a cable where there is to be none", TITLES BY("eth0"), LO6, false, "eth0" },
        { "a second cable", TITLES BY("eth0") BY("eth1"), LO6, true, "eth1" },
        { "the host's", TITLES BY("docker0"), LO6, true, "docker0" },
        { "a name that only begins so", TITLES BY("eth01"), LO6, true, "eth01" },
        { "the last line without an end", TITLES "eth1\t0", LO6, true, "eth1" },
        { "IPv6 where there is to be none", TITLES, LO6 BY6("eth0"), false, "eth0" },
        { "IPv6 by a second cable", TITLES, BY6("eth0") BY6("wg0"), true, "wg0" },
};

static void the_network_is_judged(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                const struct network_case *row = &CASES[i];
                struct fault why = { 0 };
                int r = isolation_judge_network(row->routes, row->addresses6, row->may_have_eth0, &why);

                if (row->named == NULL && r < 0)
                        fail_msg("%s: refused: %s", row->name, why.message);
                if (row->named != NULL && (r == 0 || why.kind != FAULT_HARDENING_MISSING))
                        fail_msg("%s: not refused", row->name);
                if (row->named != NULL && strstr(why.message, row->named) == NULL)
                        fail_msg("%s: \"%s\" is not in: %s", row->name, row->named, why.message);
        }
}

/* ---- a process with namespaces of its own, whose /workspace is users/alice ---- */

struct cell {
        char place[64];
        int users_fd;
        pid_t pid;
        int pidfd;
};

enum { OWN_ALL = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS };

static void live_in_cell(const char *place, int ready_fd)
{
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || chdir(place) < 0 ||
            mount("users/alice", "root/workspace", NULL, MS_BIND, NULL) < 0 || chroot("root") < 0 ||
            write(ready_fd, "r", 1) != 1)
                _exit(1);
        for (;;)
                (void)pause();
}

/* By clone(2) and not by unshare(2): a new pid namespace begins with a child. */
static void cell_open(struct cell *cell, unsigned long namespaces)
{
        char byte = 0;
        int ready[2];
        int place;

        rig_need_root();
        *cell = (struct cell){ .place = "/run/carrel-unit-XXXXXX" };
        assert_non_null(mkdtemp(cell->place));
        place = open(cell->place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(place >= 0);
        assert_int_equal(mkdirat(place, "users", 0711), 0);
        assert_int_equal(mkdirat(place, "users/alice", 0700), 0);
        assert_int_equal(mkdirat(place, "users/bob", 0700), 0);
        assert_int_equal(mkdirat(place, "root", 0755), 0);
        assert_int_equal(mkdirat(place, "root/workspace", 0755), 0);
        cell->users_fd = openat(place, "users", O_PATH | O_DIRECTORY | O_CLOEXEC);
        close(place);
        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        cell->pid = (pid_t)syscall(SYS_clone, namespaces | SIGCHLD, NULL, NULL, NULL, NULL);
        if (cell->pid == 0)
                live_in_cell(cell->place, ready[1]);
        close(ready[1]);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        cell->pidfd = (int)syscall(SYS_pidfd_open, cell->pid, 0);
        assert_true(cell->pidfd >= 0);
}

static void cell_end(const struct cell *cell)
{
        (void)kill(cell->pid, SIGKILL);
        (void)waitpid(cell->pid, NULL, 0);
}

static void cell_close(struct cell *cell)
{
        cell_end(cell);
        close(cell->pidfd);
        close(cell->users_fd);
        rig_remove_tree(cell->place);
}

static void a_world_of_its_own_is_accepted(void **state)
{
        struct cell cell;
        struct fault why = { 0 };

        (void)state;
        cell_open(&cell, OWN_ALL);
        if (isolation_check(cell.pid, cell.pidfd, cell.users_fd, "alice", false, &why) < 0)
                fail_msg("%s", why.message);
        cell_close(&cell);
}

static void what_is_shared_is_told(void **state)
{
        static const struct {
                unsigned long shared;
                const char *named;
        } ROWS[] = {
                { CLONE_NEWNET, "host's net " },
                { CLONE_NEWPID, "host's pid " },
                { CLONE_NEWIPC, "host's ipc " },
                { CLONE_NEWUTS, "host's uts " },
        };

        (void)state;
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                struct cell cell;
                struct fault why = { 0 };

                cell_open(&cell, OWN_ALL & ~ROWS[i].shared);
                assert_true(isolation_check(cell.pid, cell.pidfd, cell.users_fd, "alice", true, &why) < 0);
                assert_int_equal(why.kind, FAULT_HARDENING_MISSING);
                if (strstr(why.message, ROWS[i].named) == NULL)
                        fail_msg("\"%s\" is not in: %s", ROWS[i].named, why.message);
                cell_close(&cell);
        }
}

static void another_users_directory_is_refused(void **state)
{
        struct cell cell;
        struct fault why = { 0 };

        (void)state;
        cell_open(&cell, OWN_ALL);
        assert_true(isolation_check(cell.pid, cell.pidfd, cell.users_fd, "bob", false, &why) < 0);
        assert_int_equal(why.kind, FAULT_HARDENING_MISSING);
        assert_true(isolation_check(cell.pid, cell.pidfd, cell.users_fd, "nobody", false, &why) < 0);
        cell_close(&cell);
}

/* A container without a user has a given directory there. */
static void a_spare_containers_directory_is_known(void **state)
{
        struct cell cell;
        struct fault why = { 0 };
        int alice, bob;

        (void)state;
        cell_open(&cell, OWN_ALL);
        alice = openat(cell.users_fd, "alice", O_PATH | O_DIRECTORY | O_CLOEXEC);
        bob = openat(cell.users_fd, "bob", O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(alice >= 0 && bob >= 0);
        if (isolation_check(cell.pid, cell.pidfd, alice, NULL, false, &why) < 0)
                fail_msg("%s", why.message);
        assert_true(isolation_check(cell.pid, cell.pidfd, bob, NULL, false, &why) < 0);
        assert_int_equal(why.kind, FAULT_HARDENING_MISSING);
        close(alice);
        close(bob);
        cell_close(&cell);
}

/* In the root of the mount namespace, which is not the process's. */
static void remount_cell(const struct cell *cell, unsigned long flags)
{
        char path[96];
        int status = 0;
        pid_t pid;

        (void)snprintf(path, sizeof path, "%s/root/workspace", cell->place);
        pid = fork();
        if (pid == 0)
                _exit(setns(cell->pidfd, CLONE_NEWNS) < 0 ||
                      mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | flags, NULL) < 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void what_is_on_the_workspace_is_judged(void **state)
{
        static const struct {
                unsigned long flags;
                const char *user;
                uint32_t uid;
                const char *named; /* in the fault; NULL: accepted */
        } ROWS[] = {
                { MS_NOSUID | MS_NODEV, "alice", 0, NULL },
                { MS_NOSUID | MS_NODEV, "bob", 0, "not its user's" },
                { MS_NOSUID | MS_NODEV, "nobody", 0, "no directory" },
                { MS_NOSUID | MS_NODEV, "alice", 1000, "does not belong" },
                { MS_NOSUID, "alice", 0, "nosuid,nodev" },
                { MS_NODEV, "alice", 0, "nosuid,nodev" },
        };
        struct cell cell;

        (void)state;
        cell_open(&cell, OWN_ALL);
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                struct fault why = { 0 };
                int r;

                remount_cell(&cell, ROWS[i].flags);
                r = isolation_check_workspace(cell.pid, cell.pidfd, cell.users_fd, ROWS[i].user, ROWS[i].uid, &why);
                assert_int_equal(r == 0, ROWS[i].named == NULL);
                if (ROWS[i].named != NULL && strstr(why.message, ROWS[i].named) == NULL)
                        fail_msg("\"%s\" is not in: %s", ROWS[i].named, why.message);
        }
        cell_close(&cell);
}

static void an_ended_process_is_lost(void **state)
{
        struct cell cell;
        struct fault why = { 0 };

        (void)state;
        cell_open(&cell, OWN_ALL);
        cell_end(&cell);
        assert_true(isolation_check(cell.pid, cell.pidfd, cell.users_fd, "alice", false, &why) < 0);
        assert_int_equal(why.kind, FAULT_CARREL_LOST);
        assert_true(isolation_check_workspace(cell.pid, cell.pidfd, cell.users_fd, "alice", 0, &why) < 0);
        assert_int_equal(why.kind, FAULT_CARREL_LOST);
        cell_close(&cell);
}

int main(void)
{
        static const struct CMUnitTest TESTS[] = {
                cmocka_unit_test(the_network_is_judged),
                cmocka_unit_test(a_world_of_its_own_is_accepted),
                cmocka_unit_test(what_is_shared_is_told),
                cmocka_unit_test(another_users_directory_is_refused),
                cmocka_unit_test(a_spare_containers_directory_is_known),
                cmocka_unit_test(what_is_on_the_workspace_is_judged),
                cmocka_unit_test(an_ended_process_is_lost),
        };

        return cmocka_run_group_tests(TESTS, NULL, NULL);
}
