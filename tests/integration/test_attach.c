/* carrel-mountd attaches a user's directory to a running container, and carreld's own check sees what is there. The
 * program is its client: its helper is not that of the carreld that makes the containers. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ev.h>

#include "attach-protocol.h"
#include "attach.h"
#include "isolation.h"
#include "scope.h"
#include "suite.h"

#define WORKSPACE "/workspace"

enum { PATH_BYTES = 512 };

static struct ev_loop *loop;
static struct attach *attach;

/* Of user ada, whose own directory is below the one that a test attaches. */
static struct {
        int users_fd;
        int pid;
        int pidfd;
        uint32_t uid, gid;             /* of its programs, on the host */
        uint32_t owner_uid, owner_gid; /* of its files */
} container;

static const char *mountd(void)
{
        static char path[PATH_BYTES];

        snprintf(path, sizeof path, "%s", built_program("attach/carrel-mountd"));
        return path;
}

/* The first number of a line of /proc/PID/status. */
static unsigned long long read_status(pid_t pid, const char *key, int base)
{
        char path[64], line[256];
        unsigned long long value = 0;
        bool is_found = false;
        FILE *file;

        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
        file = fopen(path, "re");
        assert_non_null(file);
        while (!is_found && fgets(line, sizeof line, file) != NULL)
                if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':') {
                        value = strtoull(line + strlen(key) + 1, NULL, base);
                        is_found = true;
                }
        fclose(file);
        assert_true(is_found);
        return value;
}

static void open_container(void)
{
        struct stat status;

        container.users_fd = open(CARREL_USERS, O_PATH | O_DIRECTORY | O_CLOEXEC);
        container.pid = engine_pid(CARREL_PREFIX "ada");
        assert_true(container.users_fd >= 0 && container.pid > 1);
        container.pidfd = (int)syscall(SYS_pidfd_open, container.pid, 0);
        assert_true(container.pidfd >= 0);
        container.uid = (uint32_t)read_status(container.pid, "Uid", 10);
        container.gid = (uint32_t)read_status(container.pid, "Gid", 10);
        assert_int_equal(fstatat(container.users_fd, "ada", &status, AT_SYMLINK_NOFOLLOW), 0);
        container.owner_uid = status.st_uid;
        container.owner_gid = status.st_gid;
}

static void await_helper(void)
{
        while (!attach_is_available(attach))
                (void)ev_run(loop, EVRUN_ONCE);
}

static void set_up(void)
{
        struct fault why;

        carreld_must_ensure("ada");
        open_container();
        loop = ev_loop_new(EVFLAG_AUTO);
        assert_non_null(loop);
        if (attach_new(&attach, loop, mountd(), &why) < 0)
                fail_msg("%s", why.message);
        await_helper();
}

static void tear_down(void)
{
        attach = attach_free(attach);
        ev_loop_destroy(loop);
        close(container.pidfd);
        close(container.users_fd);
}

/* ---- calls ---- */

struct seen {
        unsigned n;
        struct fault why;
};

static void on_done(void *arg, const struct fault *why)
{
        struct seen *seen = arg;

        seen->n++;
        if (why != NULL)
                seen->why = *why;
}

static void await(struct seen *seen)
{
        while (seen->n == 0)
                (void)ev_run(loop, EVRUN_ONCE);
        assert_int_equal(seen->n, 1);
}

static struct fault try_attach(int pidfd, int directory_fd, uint32_t owner_uid)
{
        const struct attach_request request = { pidfd,         directory_fd, owner_uid, container.owner_gid,
                                                container.uid, container.gid };
        struct seen seen = { 0 };

        assert_int_equal(attach_start(attach, &request, on_done, &seen, NULL), 0);
        await(&seen);
        return seen.why;
}

/* A directory that carreld could have made. Close the descriptor. */
static int make_directory(const char *name)
{
        int fd;

        assert_return_code(mkdirat(container.users_fd, name, 0700), errno);
        assert_return_code(fchownat(container.users_fd, name, container.owner_uid, container.owner_gid, 0), errno);
        fd = openat(container.users_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

static void must_attach(const char *name)
{
        int fd = make_directory(name);
        struct fault why = try_attach(container.pidfd, fd, container.owner_uid);

        close(fd);
        if (why.kind != FAULT_NONE)
                fail_msg("%s", why.message);
}

static int check(const char *name, uint32_t uid, struct fault *why)
{
        return isolation_check_workspace(container.pid, container.pidfd, container.users_fd, name, uid, why);
}

static void expect_inside(const char *script, const char *expected)
{
        char text[128];

        carreld_must_exec("ada", script, text, sizeof text);
        assert_string_equal(text, expected);
}

/* ---- what is attached ---- */

static void a_running_container_gets_a_directory(void **state)
{
        struct fault why = { 0 };
        struct stat status;

        (void)state;
        expect_inside("touch of-ada && ls", "of-ada");
        must_attach("bob");
        expect_inside("ls", "");
        expect_inside("stat -c %u:%g . | grep -qx $(id -u):$(id -g) && echo ours", "ours");
        expect_inside("echo text >file && cat file", "text");
        expect_inside("awk '$5 == \"" WORKSPACE "\" {print $6}' /proc/self/mountinfo | tail -n1 | "
                      "grep -c 'rw,.*nosuid,.*nodev'",
                      "1");
        assert_return_code(fstatat(container.users_fd, "bob/file", &status, 0), errno);
        assert_int_equal(status.st_uid, container.owner_uid);
        assert_int_equal(status.st_gid, container.owner_gid);
        if (check("bob", container.uid, &why) < 0)
                fail_msg("%s", why.message);
}

/* The fault of carreld's own check, which does not ask the helper. */
static void the_check_knows_another_directory(void **state)
{
        struct fault why = { 0 };

        (void)state;
        must_attach("carol");
        assert_int_equal(check("carol", container.uid, &why), 0);
        assert_true(check("ada", container.uid, &why) < 0);
        assert_int_equal(why.kind, FAULT_HARDENING_MISSING);
        assert_true(check("carol", container.uid + 1, &why) < 0);
        assert_int_equal(why.kind, FAULT_HARDENING_MISSING);
}

/* Only the owner is mapped: a file of another has no owner inside that its programs could be. */
static void files_of_others_stay_theirs(void **state)
{
        static const char NAME[] = "dave";

        (void)state;
        must_attach(NAME);
        MUST_RUN("sh", "-c", "cd " CARREL_USERS "/dave && echo secret >roots && chmod 600 roots");
        expect_inside("cat roots 2>/dev/null || echo refused", "refused");
        expect_inside("stat -c %u roots | grep -qx $(id -u) || echo other", "other");
}

/* ---- refusals ---- */

static size_t count_descriptors(pid_t pid)
{
        char path[64];
        DIR *directory;
        size_t n = 0;

        snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
        directory = opendir(path);
        assert_non_null(directory);
        while (readdir(directory) != NULL)
                n++;
        closedir(directory);
        return n;
}

/* This program's own, and not that of carreld. */
static pid_t helper_pid(void)
{
        static struct output output;
        char parent[16];

        snprintf(parent, sizeof parent, "%d", (int)getpid());
        RUN(&output, "pgrep", "-x", "-P", parent, "carrel-mountd");
        assert_int_equal(output.status, 0);
        return (pid_t)strtol(output.text, NULL, 10);
}

static int pidfd_of(pid_t pid)
{
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);

        assert_true(fd >= 0);
        return fd;
}

static int ended_pidfd(void)
{
        pid_t pid = process_spawn((const char *const[]){ "true", NULL }, NULL, "/dev/null");
        int fd = pidfd_of(pid);

        (void)process_end(pid, 0, PATIENCE_S);
        return fd;
}

static void a_wrong_request_is_refused(void **state)
{
        AUTO(auto_close) int directory = make_directory("erin");
        AUTO(auto_close) int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
        AUTO(auto_close) int ours = pidfd_of(getpid());
        AUTO(auto_close) int first = pidfd_of(1);
        AUTO(auto_close) int ended = ended_pidfd();
        const struct {
                const char *name;
                int pidfd, directory_fd;
                uint32_t owner_uid;
                enum fault_kind kind;
        } rows[] = {
                { "an ended process", ended, directory, container.owner_uid, FAULT_CARREL_LOST },
                { "its own mounts", ours, directory, container.owner_uid, FAULT_INTERNAL },
                { "the host's mounts", first, directory, container.owner_uid, FAULT_INTERNAL },
                { "a file for a process", file, directory, container.owner_uid, FAULT_INTERNAL },
                { "a file for a directory", container.pidfd, file, container.owner_uid, FAULT_INTERNAL },
                { "a process for a directory", container.pidfd, ours, container.owner_uid, FAULT_INTERNAL },
                { "another owner", container.pidfd, directory, container.owner_uid + 1, FAULT_INTERNAL },
                { "nothing is wrong", container.pidfd, directory, container.owner_uid, FAULT_NONE },
        };
        pid_t helper = helper_pid();
        size_t before = count_descriptors(helper);
        struct fault why;

        (void)state;
        must_attach("frank");
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                bool is_wrong = rows[i].kind != FAULT_NONE;

                why = try_attach(rows[i].pidfd, rows[i].directory_fd, rows[i].owner_uid);
                if (why.kind != rows[i].kind)
                        fail_msg("%s: %s: %s", rows[i].name, fault_code(why.kind), why.message);
                assert_int_equal(check("frank", container.uid, NULL) == 0, is_wrong);
                assert_int_equal(access(WORKSPACE, F_OK), -1);
        }
        assert_int_equal(helper_pid(), helper);
        assert_int_equal(count_descriptors(helper), before);
}

/* ---- the helper ---- */

static void it_has_few_privileges(void **state)
{
        /* CAP_SETGID, CAP_SETUID, CAP_SYS_CHROOT, CAP_SYS_PTRACE, CAP_SYS_ADMIN (linux/capability.h) */
        const unsigned long long kept = 1ULL << 6 | 1ULL << 7 | 1ULL << 18 | 1ULL << 19 | 1ULL << 21;
        pid_t helper = helper_pid();

        (void)state;
        assert_int_equal(read_status(helper, "CapEff", 16), kept);
        assert_int_equal(read_status(helper, "CapPrm", 16), kept);
        assert_int_equal(read_status(helper, "CapBnd", 16), kept);
        assert_int_equal(read_status(helper, "NoNewPrivs", 10), 1);
        assert_int_equal(read_status(helper, "Threads", 10), 1);
}

static void a_killed_one_ends_its_calls(void **state)
{
        AUTO(auto_close) int directory = make_directory("grace");
        const struct attach_request request = { container.pidfd,     directory,     container.owner_uid,
                                                container.owner_gid, container.uid, container.gid };
        struct seen seen = { 0 };
        pid_t helper = helper_pid();

        (void)state;
        assert_int_equal(kill(helper, SIGSTOP), 0);
        assert_int_equal(attach_start(attach, &request, on_done, &seen, NULL), 0);
        (void)ev_run(loop, EVRUN_NOWAIT);
        assert_int_equal(seen.n, 0);
        assert_int_equal(kill(helper, SIGKILL), 0);
        await(&seen);
        assert_int_equal(seen.why.kind, FAULT_RESOURCE_EXHAUSTED);
        assert_false(attach_is_available(attach));
        await_helper();
        assert_true(helper_pid() != helper);
        must_attach("heidi");
        assert_int_equal(check("heidi", container.uid, NULL), 0);
}

/* ---- garbage on its socket ---- */

static pid_t start_alone(int *ret_fd)
{
        int pair[2];
        pid_t pid;

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        (void)mountd();
        pid = fork();
        if (pid == 0) {
                (void)dup2(pair[1], HELPER_FD);
                (void)fcntl(HELPER_FD, F_SETFD, 0);
                (void)execl(mountd(), "carrel-mountd", "3", NULL);
                _exit(127);
        }
        assert_true(pid > 0);
        close(pair[1]);
        *ret_fd = pair[0];
        return pid;
}

static struct attach_answer receive_answer(int fd)
{
        struct attach_answer answer;

        assert_int_equal(recv(fd, &answer, sizeof answer, 0), sizeof answer);
        assert_int_equal(attach_check_answer(&answer, sizeof answer), 0);
        return answer;
}

static void garbage_does_not_end_it(void **state)
{
        static unsigned char noise[HELPER_MESSAGE_MAX + 1];
        static const struct {
                size_t length; /* of noise; 0: of an order */
                size_t n_fds;
                bool is_answered;
        } ROWS[] = {
                { 1, 0, false },
                { sizeof(struct helper_head), 4, false },
                { sizeof(struct attach_order), 2, false },
                { HELPER_MESSAGE_MAX, 1, false },
                { HELPER_MESSAGE_MAX + 1, 2, false },
                { 0, 0, true },
                { 0, 1, true },
                { 0, 2, true },
                { 0, 3, true },
                { 0, 4, true },
        };
        const int fds[HELPER_FDS_MAX] = { 0, 0, 0, 0 };
        size_t before;
        pid_t helper;
        int fd;

        (void)state;
        helper = start_alone(&fd);
        assert_int_equal(receive_answer(fd).can, ATTACH_CAN_ALL);
        before = count_descriptors(helper);
        memset(noise, 0xa5, sizeof noise);
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                struct attach_order order = { .head = { ATTACH_MAGIC, ATTACH_VERSION, ATTACH_MOUNT, i + 1 },
                                              .ids = { 1000, 1000, 2000, 2000 } };
                const void *message = ROWS[i].length > 0 ? (const void *)noise : &order;
                size_t length = ROWS[i].length > 0 ? ROWS[i].length : sizeof order;

                assert_int_equal(helper_send_fds(fd, message, length, fds, ROWS[i].n_fds), 0);
                if (ROWS[i].is_answered) {
                        struct attach_answer answer = receive_answer(fd);

                        assert_int_equal(answer.head.number, i + 1);
                        assert_int_not_equal(answer.kind, FAULT_NONE);
                }
        }
        assert_int_equal(count_descriptors(helper), before);
        close(fd); /* which asks it to end */
        assert_int_equal(process_end(helper, 0, PATIENCE_S), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_running_container_gets_a_directory),
                cmocka_unit_test(the_check_knows_another_directory),
                cmocka_unit_test(files_of_others_stay_theirs),
                cmocka_unit_test(a_wrong_request_is_refused),
                cmocka_unit_test(it_has_few_privileges),
                cmocka_unit_test(a_killed_one_ends_its_calls),
                cmocka_unit_test(garbage_does_not_end_it),
        };

        return suite_run(&(struct suite){
                .name = "attach",
                .kind = SUITE_CARRELD,
                .set_up = set_up,
                .tear_down = tear_down,
                SUITE_TESTS(tests),
        });
}
