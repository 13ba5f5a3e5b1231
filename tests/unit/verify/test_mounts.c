/* The mounts inside a carrel: a table for the judgement, and the remount in a real mount namespace. */
#include <errno.h>
#include <ev.h>
#include <poll.h>
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

#include "mounts.h"
#include "remount.h"
#include "scope.h"

#define ROOT "220 187 0:85 / / ro,relatime master:6 - overlay overlay rw\n"
#define PROC "221 220 0:88 / /proc rw,nosuid - proc proc rw\n194 221 0:89 /null /proc/keys rw,nosuid - tmpfs tmpfs rw\n"
#define DEV "222 220 0:89 / /dev rw,nosuid - tmpfs tmpfs rw\n250 222 0:93 / /dev/shm rw,nosuid - tmpfs shm rw\n"
#define TMP "252 220 0:94 / /tmp rw,nosuid,nodev,relatime - tmpfs tmpfs rw\n"
#define WORKSPACE "251 220 254:0 /users/bob /workspace rw,nosuid,nodev,relatime - ext4 /dev/vda rw\n"
#define PTS "223 222 0:91 / /dev/pts rw,nosuid,noexec - devpts devpts rw,gid=5,mode=620,ptmxmode=666"
#define INIT "253 220 254:0 /carrel-init /.carrel/init ro,relatime - ext4 /dev/vda rw\n"

static const struct mount_case {
        const char *name;
        const char *mounts;
        const char *named; /* in the fault; NULL: accepted */
} CASES[] = {
        { "a device node of the host's", ROOT WORKSPACE "9 222 0:6 /null /dev/null rw,nosuid - devtmpfs d rw\n",
          "/dev/null inside is a device node of the host" },
        { "a mask of the host's", ROOT WORKSPACE "9 221 0:6 /null /proc/keys rw,nosuid - devtmpfs d rw\n",
          "/proc/keys" },
        { "one that is covered",
          ROOT WORKSPACE "9 221 0:6 /null /proc/keys rw,nosuid - devtmpfs d rw\n"
                         "10 9 0:89 /null /proc/keys rw,nosuid - tmpfs tmpfs rw\n",
          NULL },
        { "one whose neighbour is covered",
          ROOT WORKSPACE "9 221 0:6 /null /proc/keys rw,nosuid - devtmpfs d rw\n"
                         "10 8 0:89 /null /proc/keys rw,nosuid - tmpfs tmpfs rw\n",
          "/proc/keys" },
        { "a device with the host's as its beginning", ROOT WORKSPACE "9 222 0:66 /null /dev/null rw - tmpfs d rw\n",
          NULL },
        { "the template's", ROOT PROC DEV TMP WORKSPACE INIT, NULL },
        { "cgroup v1's tmpfs", ROOT WORKSPACE "1 2 0:1 / /sys/fs/cgroup ro,nosuid,nodev - tmpfs tmpfs rw\n", NULL },
        { "one that can be written", ROOT WORKSPACE "1 2 0:1 / /sys/fs/cgroup rw,nosuid,nodev - tmpfs tmpfs rw\n",
          "/sys/fs/cgroup is writable" },
        { "one that was, below another",
          ROOT WORKSPACE "1 2 0:1 / /sys/fs/cgroup rw,nosuid,nodev - tmpfs tmpfs rw\n"
                         "3 1 0:1 / /sys/fs/cgroup ro,nosuid,nodev - tmpfs tmpfs rw\n",
          NULL },
        { "the last line without an end", ROOT "251 220 254:0 /u /workspace rw,nosuid,nodev - ext4 /dev/vda rw", NULL },
        { "a writable root", "220 187 0:85 / / rw,relatime - overlay overlay rw\n" WORKSPACE, "/ is writable" },
        { "a volume", ROOT WORKSPACE "9 220 254:0 /v /data rw,nosuid,nodev - ext4 /dev/vda rw\n", "/data" },
        { "a volume under another's name", ROOT WORKSPACE "9 220 254:0 /v /procession rw - ext4 /dev/vda rw\n",
          "/procession" },
        { "a volume below /workspace", ROOT WORKSPACE "9 220 254:0 /v /workspace/x rw,nosuid,nodev - ext4 d rw\n",
          "/workspace/x" },
        { "suid programs in /workspace", ROOT TMP "251 220 254:0 /u /workspace rw,nodev - ext4 /dev/vda rw\n",
          "/workspace" },
        { "devices in /workspace", ROOT TMP "251 220 254:0 /u /workspace rw,nosuid - ext4 /dev/vda rw\n",
          "/workspace" },
        { "options that only look so", ROOT "251 220 254:0 /u /workspace rw,nosuidx,nodevx - ext4 d rw\n",
          "/workspace" },
        { "read-only said of the file system only", ROOT WORKSPACE "9 220 254:0 /v /data rw - ext4 /dev/vda ro\n",
          "/data" },
        { "bounded terminals", ROOT WORKSPACE PTS ",max=128\n" TMP, NULL },
        { "terminals without a bound", ROOT WORKSPACE PTS "\n9 2 0:9 / /proc rw - proc proc rw,max=1\n", "terminals" },
        { "no root", TMP WORKSPACE, "root" },
        { "no workspace", ROOT TMP, "/workspace" },
        { "a read-only workspace", ROOT "251 220 254:0 /u /workspace ro,nosuid,nodev - ext4 d rw\n", "/workspace" },
        { "nothing", "", "root" },
        { "garbage", "220 187\n", "cannot be read" },
};

static const struct mounts_promise PLAIN = { 0 }, VACANT_ONE = { .is_vacant = true };

static void judge_case(const struct mount_case *row, const struct mounts_promise *promise)
{
        struct fault why = { 0 };
        int r = mounts_judge(row->mounts, "0:6", promise, &why);

        if (row->named == NULL && r < 0)
                fail_msg("%s: refused: %s", row->name, why.message);
        if (row->named != NULL && (r == 0 || why.kind != FAULT_HARDENING_MISSING))
                fail_msg("%s: not refused", row->name);
        if (row->named != NULL && strstr(why.message, row->named) == NULL)
                fail_msg("%s: \"%s\" is not in: %s", row->name, row->named, why.message);
}

static void mounts_are_judged(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
                judge_case(&CASES[i], &PLAIN);
}

static const struct mount_promise GIVEN[] = { { "/models", true, 0, 0 }, { "/shared", false, 0, 0 } };
static const struct mounts_promise WITH_MOUNTS = { .mounts = GIVEN, .n_mounts = 2 };

#define MODELS "300 220 8:1 /m /models ro,nosuid,nodev - ext4 /dev/sda rw\n"
#define SHARED "301 220 8:1 /s /shared rw,nosuid,nodev - ext4 /dev/sda rw\n"

static const struct mount_case GIVEN_CASES[] = {
        { "as promised", ROOT WORKSPACE MODELS SHARED, NULL },
        { "with mounts below",
          ROOT WORKSPACE MODELS SHARED "302 300 8:2 / /models/big ro,nosuid,nodev - xfs /dev/sdb rw\n"
                                       "303 301 8:3 / /shared/x rw,nosuid,nodev - xfs /dev/sdc rw\n",
          NULL },
        { "one is missing", ROOT WORKSPACE MODELS, "lacks the mount at /shared" },
        { "read-only that can be written", ROOT WORKSPACE SHARED "300 220 8:1 /m /models rw,nosuid,nodev - ext4 s rw\n",
          "/models is writable" },
        { "one below read-only that can be written",
          ROOT WORKSPACE MODELS SHARED "302 300 8:2 / /models/big rw,nosuid,nodev - xfs /dev/sdb rw\n",
          "/models/big is writable" },
        { "writable that cannot be written",
          ROOT WORKSPACE MODELS "301 220 8:1 /s /shared ro,nosuid,nodev - ext4 /dev/sda rw\n",
          "lacks the mount at /shared, or its rw" },
        { "suid programs", ROOT WORKSPACE SHARED "300 220 8:1 /m /models ro,nodev - ext4 s rw\n",
          "/models inside lacks nosuid" },
        { "devices below", ROOT WORKSPACE MODELS SHARED "302 300 8:2 / /models/big ro,nosuid - xfs /dev/sdb rw\n",
          "/models/big inside lacks nosuid or nodev" },
        { "another is over it",
          ROOT WORKSPACE SHARED "300 220 8:1 /m /models ro,nosuid,nodev - ext4 s rw\n"
                                "302 300 8:1 /x /models rw,nosuid,nodev - ext4 s rw\n",
          "/models is writable" },
        { "a neighbour of the same beginning",
          ROOT WORKSPACE MODELS SHARED "304 220 8:1 /v /sharedx rw,nosuid,nodev - e s rw\n", "/sharedx is writable" },
};

static void mounts_of_the_operator_are_judged(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof GIVEN_CASES / sizeof *GIVEN_CASES; i++)
                judge_case(&GIVEN_CASES[i], &WITH_MOUNTS);
}

#define LXCFS(file, options, type) "400 221 0:99 /proc" file " /proc" file " " options " - " type " lxcfs rw\n"
#define LXCFS_BUT_STAT                                                                                                 \
        LXCFS("/cpuinfo", "ro,nosuid", "fuse.lxcfs")                                                                   \
        LXCFS("/diskstats", "ro", "fuse.lxcfs")                                                                        \
        LXCFS("/loadavg", "ro", "fuse.lxcfs")                                                                          \
        LXCFS("/meminfo", "ro", "fuse.lxcfs")                                                                          \
        LXCFS("/swaps", "ro", "fuse.lxcfs")                                                                            \
        LXCFS("/uptime", "ro", "fuse.lxcfs")

static const struct mount_case LXCFS_CASES[] = {
        { "all its files", ROOT WORKSPACE LXCFS_BUT_STAT LXCFS("/stat", "ro", "fuse.lxcfs"), NULL },
        { "one is missing", ROOT WORKSPACE LXCFS_BUT_STAT, "lacks a file of lxcfs" },
        { "one can be written", ROOT WORKSPACE LXCFS_BUT_STAT LXCFS("/stat", "rw", "fuse.lxcfs"), "/proc/stat" },
        { "another's file system", ROOT WORKSPACE LXCFS_BUT_STAT LXCFS("/stat", "ro", "ext4"), "/proc/stat" },
        { "another place", ROOT WORKSPACE LXCFS_BUT_STAT LXCFS("/version", "ro", "fuse.lxcfs"), "/proc/version" },
};

static void files_of_lxcfs_are_judged(void **state)
{
        static const struct mounts_promise PROMISE = { .has_lxcfs = true };

        (void)state;
        for (size_t i = 0; i < sizeof LXCFS_CASES / sizeof *LXCFS_CASES; i++)
                judge_case(&LXCFS_CASES[i], &PROMISE);
        /* An adopted carrel may have them or not, but no other. */
        judge_case(&LXCFS_CASES[0], &PLAIN);
        judge_case(&LXCFS_CASES[2], &PLAIN);
        judge_case(&LXCFS_CASES[3], &PLAIN);
}

/* A container without a user has an empty directory on /workspace, which it cannot change. */
static void a_vacant_workspace_is_read_only(void **state)
{
        static const char VACANT[] = "5 2 0:1 /vacant /workspace ro,nosuid,nodev - tmpfs t rw\n";
        static const char CLAIMED[] = "5 2 0:1 /vacant /workspace ro,nosuid,nodev - tmpfs t rw\n"
                                      "6 5 8:1 /ada /workspace rw,nosuid,nodev - ext4 d rw\n";
        char mounts[512];

        (void)state;
        (void)snprintf(mounts, sizeof mounts, "%s%s", ROOT, VACANT);
        assert_int_equal(mounts_judge(mounts, "0:6", &VACANT_ONE, NULL), 0);
        assert_true(mounts_judge(mounts, "0:6", &PLAIN, NULL) < 0);
        (void)snprintf(mounts, sizeof mounts, "%s%s", ROOT, WORKSPACE);
        assert_true(mounts_judge(mounts, "0:6", &VACANT_ONE, NULL) < 0);
        (void)snprintf(mounts, sizeof mounts, "%s%s", ROOT, CLAIMED);
        assert_int_equal(mounts_judge(mounts, "0:6", &PLAIN, NULL), 0);
}

static void a_place_outside_is_refused(void **state)
{
        struct fault why = { 0 };

        (void)state;
        assert_int_equal(mounts_judge_cwd(ROOT PROC WORKSPACE, 251, NULL), 0);
        assert_int_equal(mounts_judge_cwd(ROOT PROC WORKSPACE, 25, &why), -EPERM);
        assert_int_equal(mounts_judge_cwd("", 0, NULL), -EPERM);
        assert_int_equal(why.kind, FAULT_HARDENING_MISSING);
}

/* ---- a process in a mount namespace of its own, with a tmpfs that allows devices and suid programs ---- */

struct cell {
        pid_t pid;
        int pidfd;
        char target[64]; /* the mount, in the cell's namespace */
};

static void live_in_cell(const char *target, int ready_fd)
{
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", target, "tmpfs", 0, NULL) < 0 || chdir(target) < 0 || mkdir("below", 0755) < 0 ||
            mount("none", "below", "tmpfs", 0, NULL) < 0 || chdir("/") < 0 ||
            mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666") < 0 ||
            write(ready_fd, "r", 1) != 1)
                _exit(1);
        for (;;)
                (void)pause();
}

static int make_cell(void **state)
{
        static struct cell cell;
        char byte = 0;
        int ready[2];

        (void)snprintf(cell.target, sizeof cell.target, "/tmp/carrel-remount-XXXXXX");
        if (mkdtemp(cell.target) == NULL || pipe(ready) < 0)
                return -1;
        cell.pid = fork();
        if (cell.pid == 0)
                live_in_cell(cell.target, ready[1]);
        close(ready[1]);
        if (cell.pid < 0 || read(ready[0], &byte, 1) != 1)
                return -1;
        close(ready[0]);
        cell.pidfd = (int)syscall(SYS_pidfd_open, cell.pid, 0);
        *state = &cell;
        return cell.pidfd < 0 ? -1 : 0;
}

static int drop_cell(void **state)
{
        struct cell *cell = *state;

        (void)kill(cell->pid, SIGKILL);
        (void)waitpid(cell->pid, NULL, 0);
        (void)close(cell->pidfd);
        return rmdir(cell->target);
}

/* Whether the mountinfo line of the target in the cell has these words. */
static bool has_words_at(const struct cell *cell, const char *target, const char *words)
{
        char path[64];
        char line[1024];
        bool is_found = false;

        (void)snprintf(path, sizeof path, "/proc/%d/mountinfo", (int)cell->pid);
        AUTO(auto_fclose) FILE *file = fopen(path, "re");
        assert_non_null(file);
        while (fgets(line, sizeof line, file) != NULL)
                is_found |= strstr(line, target) != NULL && strstr(line, words) != NULL;
        return is_found;
}

static bool has_words(const struct cell *cell, const char *words)
{
        char target[128];

        (void)snprintf(target, sizeof target, " %s ", cell->target);
        return has_words_at(cell, target, words);
}

struct answer {
        int count;
        bool is_remounted;
        struct fault why;
};

static void on_remounted(void *arg, const struct fault *why)
{
        struct answer *answer = arg;

        answer->count++;
        answer->is_remounted = why == NULL;
        if (why != NULL)
                answer->why = *why;
}

static struct answer remount_and_wait(const struct cell *cell, const char *target, const struct mounts_promise *promise)
{
        struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
        struct answer answer = { 0 };
        struct remount *remount = NULL;
        struct fault why = { 0 };

        assert_non_null(loop);
        assert_int_equal(remount_start(&remount, loop, cell->pidfd, target, promise, on_remounted, &answer, &why), 0);
        assert_int_equal(answer.count, 0);
        ev_run(loop, 0);
        assert_int_equal(answer.count, 1);
        ev_loop_destroy(loop);
        return answer;
}

static void a_remount_makes_the_mount_nosuid_and_nodev(void **state)
{
        const struct cell *cell = *state;

        assert_true(has_words(cell, " rw,relatime"));
        assert_false(has_words_at(cell, " /dev/pts ", ",max=128"));
        assert_true(remount_and_wait(cell, cell->target, &PLAIN).is_remounted);
        assert_true(has_words(cell, " rw,nosuid,nodev"));
        assert_true(has_words_at(cell, " /dev/pts ", ",ptmxmode=666,max=128"));
        assert_true(remount_and_wait(cell, cell->target, &PLAIN).is_remounted); /* a second time does no harm */
}

/* The cell's tmpfs stands for the operator's mount, which has another below it, and for /tmp. */
static void a_remount_keeps_the_promise(void **state)
{
        const struct cell *cell = *state;
        char below[128];

        (void)snprintf(below, sizeof below, "%s/below", cell->target);
        const struct tmpfs_promise tmpfs[] = { { cell->target, 2048 }, { "/nonexistent", 1 }, { "/", 1 } };
        const struct mount_promise mount = { cell->target, .is_read_only = true };
        const struct mounts_promise inodes = { .tmpfs = tmpfs, .n_tmpfs = 3 };
        const struct mounts_promise read_only = { .mounts = &mount, .n_mounts = 1 };

        assert_true(remount_and_wait(cell, "/dev/pts", &inodes).is_remounted);
        assert_true(has_words(cell, "nr_inodes=2048"));
        assert_true(has_words(cell, " rw,relatime"));
        assert_true(remount_and_wait(cell, "/dev/pts", &read_only).is_remounted);
        assert_true(has_words(cell, " ro,nosuid,nodev"));
        assert_true(has_words_at(cell, below, " ro,nosuid,nodev"));
}

/* As after a source that was replaced between the check and the start: another inode is at the target. */
static void another_source_is_refused(void **state)
{
        const struct cell *cell = *state;
        struct mount_promise mount = { cell->target, .is_read_only = false };
        const struct mounts_promise promise = { .mounts = &mount, .n_mounts = 1 };
        struct fault why = { 0 };
        struct stat status;
        char path[128];

        (void)snprintf(path, sizeof path, "/proc/%d/root%s", (int)cell->pid, cell->target);
        assert_int_equal(stat(path, &status), 0);
        mount.device = status.st_dev;
        mount.inode = status.st_ino + 1;
        assert_true(mounts_check(cell->pid, cell->pidfd, &promise, &why) < 0);
        assert_non_null(strstr(why.message, "is not the source that the settings name"));
        mount.inode = status.st_ino;
        assert_true(mounts_check(cell->pid, cell->pidfd, &promise, &why) < 0); /* the cell is no carrel otherwise */
        assert_null(strstr(why.message, "is not the source"));
}

static void a_failed_remount_is_reported(void **state)
{
        struct answer answer = remount_and_wait(*state, "/nonexistent/carrel", &PLAIN);

        assert_false(answer.is_remounted);
        assert_int_equal(answer.why.kind, FAULT_HARDENING_MISSING);
        assert_int_equal(answer.why.err, ENOENT);
}

static void a_link_is_not_followed(void **state)
{
        const struct cell *cell = *state;
        char link[128];
        struct answer answer;

        (void)snprintf(link, sizeof link, "%s-link", cell->target);
        assert_int_equal(symlink(cell->target, link), 0);
        answer = remount_and_wait(cell, link, &PLAIN);
        assert_int_equal(unlink(link), 0);
        assert_false(answer.is_remounted);
        assert_int_equal(answer.why.err, ELOOP);
}

static void a_cancelled_remount_is_silent(void **state)
{
        const struct cell *cell = *state;
        struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
        struct answer answer = { 0 };
        struct remount *remount = NULL;

        assert_int_equal(remount_start(&remount, loop, cell->pidfd, cell->target, &PLAIN, on_remounted, &answer, NULL),
                         0);
        assert_null(remount_cancel(remount));
        ev_run(loop, 0);
        assert_int_equal(answer.count, 0);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), 0); /* the cell is the only child left */
        ev_loop_destroy(loop);
}

int main(void)
{
        static const struct CMUnitTest TESTS[] = {
                cmocka_unit_test(a_place_outside_is_refused),
                cmocka_unit_test(mounts_are_judged),
                cmocka_unit_test(mounts_of_the_operator_are_judged),
                cmocka_unit_test(files_of_lxcfs_are_judged),
                cmocka_unit_test(a_vacant_workspace_is_read_only),
                cmocka_unit_test_setup_teardown(a_remount_makes_the_mount_nosuid_and_nodev, make_cell, drop_cell),
                cmocka_unit_test_setup_teardown(a_remount_keeps_the_promise, make_cell, drop_cell),
                cmocka_unit_test_setup_teardown(another_source_is_refused, make_cell, drop_cell),
                cmocka_unit_test_setup_teardown(a_failed_remount_is_reported, make_cell, drop_cell),
                cmocka_unit_test_setup_teardown(a_link_is_not_followed, make_cell, drop_cell),
                cmocka_unit_test_setup_teardown(a_cancelled_remount_is_silent, make_cell, drop_cell),
        };

        return cmocka_run_group_tests(TESTS, NULL, NULL);
}
