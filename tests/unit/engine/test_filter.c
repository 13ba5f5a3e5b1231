/* The compiled system call filter: a child makes system calls under it. */
#include <errno.h>
#include <linux/btrfs.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "seccomp-bpf.h"

static void test_the_filter_is_one_the_kernel_can_take(void **state)
{
        struct buffer bpf = { 0 };

        assert_int_equal(seccomp_profile_bpf(&bpf), 0);
        assert_true(bpf.length > 0 && bpf.length % sizeof(struct sock_filter) == 0);
        assert_true(bpf.length / sizeof(struct sock_filter) <= BPF_MAXINSNS);
        buffer_free(&bpf);
}

/* Without the size of the argument; and the calls with some size of it. */
enum { CALL = 0xc000ffffu, VOLUMES = 0xd000ff00u };

struct ioctls {
        unsigned long number, mask;
        int error;
};

static const struct ioctls REFUSED[] = {
        { TIOCSTI, CALL, EPERM },
        { TIOCLINUX, CALL, EPERM },
        { TIOCCONS, CALL, EPERM },
        { TIOCSETD, CALL, EPERM },
        { SIOCGIFBR, CALL, EPERM },
        { SIOCSIFBR, CALL, EPERM },
        { SIOCBRADDBR, CALL, EPERM },
        { SIOCBRDELBR, CALL, EPERM },
        { SIOCGIFVLAN, CALL, EPERM },
        { SIOCSIFVLAN, CALL, EPERM },
        { SIOCADDDLCI, CALL, EPERM },
        { SIOCDELDLCI, CALL, EPERM },
        { FS_IOC_FSSETXATTR, CALL, ENOTTY },
        { FS_IOC_SETFLAGS, CALL, ENOTTY },
        { BTRFS_IOC_SUBVOL_CREATE, VOLUMES, ENOTTY },
        { BTRFS_IOC_SUBVOL_CREATE_V2, VOLUMES, ENOTTY },
        { BTRFS_IOC_SNAP_CREATE, VOLUMES, ENOTTY },
        { BTRFS_IOC_SNAP_CREATE_V2, VOLUMES, ENOTTY },
};

/* EBADF, which the kernel says, if it is not refused. */
static int error_of_ioctl(unsigned long number)
{
        for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++)
                if (((number ^ REFUSED[i].number) & REFUSED[i].mask) == 0)
                        return REFUSED[i].error;
        return EBADF;
}

/* Only those are refused: a number that differs in one bit passes, with and without a set high half. */
static void try_ioctls(void)
{
        for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++)
                for (unsigned bit = 0; bit <= 32; bit++) {
                        unsigned long number = bit == 32 ? REFUSED[i].number : REFUSED[i].number ^ 1UL << bit;

                        for (unsigned long high = 0; high <= 1UL << 32; high += 1UL << 32) {
                                if (syscall(SYS_ioctl, -1L, number | high, 0L) == -1 && errno == error_of_ioctl(number))
                                        continue;
                                dprintf(2, "# ioctl %#lx: %s\n", number | high, strerror(errno));
                                _exit(1);
                        }
                }
}

/* In a child under the filter. */
static _Noreturn void call_filtered(const struct buffer *bpf)
{
        static const struct {
                long number, arguments[3];
                int error; /* -1: whatever the kernel says, but not ENOSYS */
        } CALLS[] = {
                { SYS_splice, { 0 }, EINVAL },
                { SYS_tee, { 0 }, EINVAL },
                { SYS_vmsplice, { 0 }, EINVAL },
                { SYS_clone3, { 0 }, ENOSYS },
                { SYS_io_uring_setup, { 0 }, ENOSYS },
                { SYS_keyctl, { 0 }, ENOSYS },
                { SYS_get_mempolicy, { 0 }, ENOSYS },
                { SYS_name_to_handle_at, { 0 }, ENOSYS },
                { 457, { 0 }, ENOSYS },  /* statmount */
                { 2000, { 0 }, ENOSYS }, /* a future call */
                { SYS_unshare, { 0 }, EPERM },
                { SYS_setns, { -1 }, EPERM },
                { SYS_mount, { 0 }, EPERM },
                { SYS_bpf, { 0 }, EPERM },
                { SYS_perf_event_open, { 0 }, EPERM },
                { SYS_clone, { CLONE_NEWUSER | SIGCHLD }, EPERM },
                { SYS_socket, { AF_INET, SOCK_STREAM, IPPROTO_SCTP }, EPROTONOSUPPORT },
                { SYS_socket, { AF_INET6, SOCK_STREAM, IPPROTO_MPTCP }, EPROTONOSUPPORT },
                { SYS_socket, { AF_INET, SOCK_RAW, IPPROTO_ICMP }, EPERM },
                { SYS_socket, { AF_PACKET, SOCK_RAW, 0 }, EPERM },
                { SYS_socket, { AF_NETLINK, SOCK_RAW, NETLINK_AUDIT }, EPROTONOSUPPORT },
                { SYS_socket, { AF_VSOCK, SOCK_STREAM, 0 }, EAFNOSUPPORT },
                { SYS_socket, { AF_ALG, SOCK_SEQPACKET, 0 }, EAFNOSUPPORT },
                { SYS_ioctl, { -1, TIOCSTI }, EPERM },
                { SYS_ioctl, { -1, TIOCGWINSZ }, EBADF },
                { SYS_ioctl, { -1, FS_IOC_GETFLAGS }, EBADF },
                { SYS_ioctl, { -1, FS_IOC_FSGETXATTR }, EBADF },
                { SYS_ioctl, { -1, FICLONE }, EBADF },
                { 469, { 0 }, ENOSYS }, /* file_setattr */
                { SYS_ptrace, { PTRACE_PEEKDATA, 1 }, ESRCH },
                { SYS_process_vm_readv, { 0 }, -1 },
                { SYS_sendfile, { -1, -1 }, EBADF },
                { SYS_openat2, { -1 }, -1 },
                { SYS_close_range, { 1, 0 }, EINVAL },
                { SYS_personality, { 0xffffffff }, 0 },
        };
        struct sock_fprog program = { (unsigned short)(bpf->length / sizeof(struct sock_filter)),
                                      (struct sock_filter *)bpf->data };

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                _exit(100);
        for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++) {
                const long *at = CALLS[i].arguments;
                long r = syscall(CALLS[i].number, at[0], at[1], at[2], 0L, 0L, 0L);
                int error = r < 0 ? errno : 0;

                if (CALLS[i].error < 0 ? error == ENOSYS : error != CALLS[i].error) {
                        dprintf(2, "# system call %ld, case %zu: %s\n", CALLS[i].number, i, strerror(error));
                        _exit(1);
                }
        }
        try_ioctls();
        _exit(0);
}

static void test_the_kernel_answers_as_the_table_says(void **state)
{
        struct buffer bpf = { 0 };
        int status = 0;
        pid_t pid;

        assert_int_equal(seccomp_profile_bpf(&bpf), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                call_filtered(&bpf);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        buffer_free(&bpf);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_filter_is_one_the_kernel_can_take),
                cmocka_unit_test(test_the_kernel_answers_as_the_table_says),
        };

        return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
