/* kernel/confine: what a program that an archive has taken over can still do. Needs root, and no engine. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <mqueue.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "confine.h"
#include "scope.h"
#include "tree-remove.h"

enum { FILE_MAX_BYTES = 1 << 20, UNCONFINED = 111 };
/* Stands for the parent's process id, and for an open file. */
enum { PARENT = -1001, FILE_FD = -1002 };

static char directory[64];

static int set_up(void **state)
{
        (void)state;
        (void)snprintf(directory, sizeof directory, "/tmp/carrel-test-confine-XXXXXX");
        return mkdtemp(directory) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
        (void)state;
        return tree_remove(AT_FDCWD, directory);
}

static int confine_here(pid_t parent, int fd)
{
        const struct confinement plan = {
                .program = "test", .parent = parent, .root_fd = fd, .file_max_bytes = FILE_MAX_BYTES
        };

        return confine(&plan, NULL);
}

/* The exit status of attempt in a confined child. */
static int attempt_confined(int (*attempt)(const void *arg, pid_t parent), const void *arg)
{
        AUTO(auto_close) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        pid_t parent = getpid();
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                if (confine_here(parent, fd) < 0)
                        _exit(UNCONFINED);
                _exit(attempt(arg, parent));
        }
        assert_true(pid > 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

struct call {
        const char *title;
        long number;
        long arguments[4];
};

/* The errno of the call; 0 when it succeeds. */
static int make_call(const void *arg, pid_t parent)
{
        const struct call *call = arg;
        long at[4];

        for (int i = 0; i < 4; i++) {
                at[i] = call->arguments[i];
                if (at[i] == PARENT)
                        at[i] = parent;
                else if (at[i] == FILE_FD)
                        at[i] = openat(AT_FDCWD, "/", O_RDONLY | O_CLOEXEC);
        }
        return syscall(call->number, at[0], at[1], at[2], at[3]) < 0 ? errno : 0;
}

static void test_refused(void **state)
{
        const struct rlimit none = { 0, 0 };
        siginfo_t info = { .si_code = SI_QUEUE };
        const struct call calls[] = {
                { "a process", SYS_clone, { SIGCHLD } },
                { "a process, of late", SYS_clone3, { 0 } },
                { "a thread", SYS_clone, { CLONE_VM | CLONE_SIGHAND | CLONE_THREAD } },
#ifdef SYS_fork
                { "fork", SYS_fork, { 0 } },
                { "vfork", SYS_vfork, { 0 } },
#endif
                { "a signal", SYS_kill, { PARENT, 0 } },
                { "a signal to a thread", SYS_tgkill, { PARENT, PARENT, 0 } },
                { "a signal, queued", SYS_rt_sigqueueinfo, { PARENT, SIGWINCH, (long)&info } },
                { "a signal, queued to a thread", SYS_rt_tgsigqueueinfo, { PARENT, PARENT, SIGWINCH, (long)&info } },
                { "a signal by a file's owner", SYS_fcntl, { FILE_FD, F_SETOWN, PARENT } },
                { "a signal by its number", SYS_fcntl, { FILE_FD, F_SETSIG, SIGKILL } },
                { "a signal by a flag", SYS_fcntl, { FILE_FD, F_SETFL, O_ASYNC } },
                { "limits of another", SYS_prlimit64, { PARENT, RLIMIT_NOFILE, (long)&none } },
                { "shared memory", SYS_shmget, { IPC_PRIVATE, 4096, 0600 | IPC_CREAT } },
                { "messages", SYS_msgget, { IPC_PRIVATE, 0600 | IPC_CREAT } },
                { "semaphores", SYS_semget, { IPC_PRIVATE, 1, 0600 | IPC_CREAT } },
                { "a queue", SYS_mq_open, { (long)"carrel-test-confine", O_RDWR | O_CREAT, 0600 } },
                { "a socket", SYS_socket, { 1, 1, 0 } },
                { "a namespace", SYS_unshare, { CLONE_NEWUSER } },
                { "a program", SYS_execve, { (long)"/", 0, 0 } },
                { "a tracer", SYS_ptrace, { 16, PARENT } },
                { "another's memory", SYS_process_vm_readv, { PARENT } },
                { "a root", SYS_chroot, { (long)"/" } },
                { "a device", SYS_mknodat, { AT_FDCWD, (long)"/null", S_IFIFO | 0600 } },
                { "an owner", SYS_fchownat, { AT_FDCWD, (long)"/", 1, 1 } },
                { "no death with the parent", SYS_prctl, { PR_SET_PDEATHSIG, 0 } },
        };

        (void)state;
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
                int r = attempt_confined(make_call, &calls[i]);

                if (r != ENOSYS)
                        fail_msg("%s: %s", calls[i].title, r == UNCONFINED ? "not confined" : strerror(r));
        }
}

static int change_mode_of_streams(void)
{
        struct stat status;

        for (int fd = 0; fd < 3; fd++) {
                if (fstat(fd, &status) < 0 || S_ISCHR(status.st_mode))
                        return 1;
                if (fchmod(fd, 0711) < 0) /* the control: the call is allowed */
                        return 2;
        }
        return 0;
}

/* The unpacker's standard streams were /dev/null of the machine, which root owns: it could change its mode. */
static void test_devices(void **state)
{
        AUTO(auto_close) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat after;
        pid_t parent = getpid();
        int status;
        int null_fd;
        pid_t pid;

        (void)state;
        assert_int_equal(mknodat(fd, "null", S_IFCHR | 0600, makedev(1, 3)), 0);
        pid = fork();
        if (pid == 0) {
                null_fd = openat(fd, "null", O_RDWR | O_CLOEXEC);
                for (int i = 0; i < 3; i++)
                        if (dup2(null_fd, i) < 0)
                                _exit(UNCONFINED);
                close(null_fd);
                _exit(confine_here(parent, fd) < 0 ? UNCONFINED : change_mode_of_streams());
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(fstatat(fd, "null", &after, 0), 0);
        assert_int_equal(after.st_mode, S_IFCHR | 0600);
}

/* The positive control: what an unpacker does works all the same. */
static int do_its_work(const void *arg, pid_t parent)
{
        static char big[FILE_MAX_BYTES + 1];
        int fd;

        (void)arg;
        (void)parent;
        if (mkdir("/d", 0755) < 0 || symlinkat("d", AT_FDCWD, "/l") < 0)
                return 1;
        fd = open("/l/f", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, "x", 1) != 1 || fchmod(fd, 0644) < 0 || ftruncate(fd, 10) < 0)
                return 2;
        if (linkat(AT_FDCWD, "/d/f", AT_FDCWD, "/d/g", 0) < 0 || fcntl(fd, F_DUPFD_CLOEXEC, 10) < 0)
                return 3;
        if (pwrite(fd, big, sizeof big, 1) == (ssize_t)sizeof big) /* the bound of a file */
                return 4;
        if (syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), 0) < 0)
                return 5;
        if (mkdir("/d/e", 0700) < 0 || mkdir("/d/e/f", 0700) < 0 || mkdir("/d/e/f/g", 0700) < 0)
                return 6;
        return tree_remove(AT_FDCWD, "/d") < 0 || tree_remove(AT_FDCWD, "/l") < 0 ? 7 : 0;
}

static void test_work(void **state)
{
        (void)state;
        assert_int_equal(attempt_confined(do_its_work, NULL), 0);
}

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

static int take_memory(const void *arg, pid_t parent)
{
        const size_t *bytes = arg;

        (void)parent;
        return mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
}

static void test_memory(void **state)
{
        const size_t some = CONFINE_MEMORY_MAX_BYTES / 2;
        const size_t much = CONFINE_MEMORY_MAX_BYTES;

        (void)state;
        assert_int_equal(attempt_confined(take_memory, &some), 0);
        assert_int_equal(attempt_confined(take_memory, &much), IS_SANITIZED ? 0 : ENOMEM);
}

/* A child whose parent ended before it could bind itself to it ends too. */
static void test_orphan(void **state)
{
        AUTO(auto_close) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int status;
        pid_t pid = fork();

        (void)state;
        if (pid == 0)
                _exit(confine_here(1 << 30, fd) < 0 ? 0 : 1);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_work),   cmocka_unit_test(test_refused), cmocka_unit_test(test_devices),
                cmocka_unit_test(test_memory), cmocka_unit_test(test_orphan),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
