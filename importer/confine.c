#include "confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* No answer in time is the caller's to judge; this only ends what spins when nobody waits any more. */
enum { CPU_MAX_S = 3600, CORE_MAX_BYTES = 0 };

/* What a program that reads, decompresses and writes files has no use for. The rest of what is dangerous needs a
 * capability, an open descriptor or a file, and it has none. A list of what is allowed would be shorter to trust, but
 * it would have to follow what libc and the sanitizers call in each version. */
static const int DENIED[] = {
        SCMP_SYS(accept),
        SCMP_SYS(accept4),
        SCMP_SYS(add_key),
        SCMP_SYS(bind),
        SCMP_SYS(bpf),
        SCMP_SYS(chroot),
        SCMP_SYS(connect),
        SCMP_SYS(execve),
        SCMP_SYS(execveat),
        SCMP_SYS(fsconfig),
        SCMP_SYS(fsmount),
        SCMP_SYS(fsopen),
        SCMP_SYS(init_module),
        SCMP_SYS(io_uring_enter),
        SCMP_SYS(io_uring_register),
        SCMP_SYS(io_uring_setup),
        SCMP_SYS(kexec_load),
        SCMP_SYS(keyctl),
        SCMP_SYS(kill),
        SCMP_SYS(listen),
        SCMP_SYS(mount),
        SCMP_SYS(mount_setattr),
        SCMP_SYS(move_mount),
        SCMP_SYS(name_to_handle_at),
        SCMP_SYS(open_by_handle_at),
        SCMP_SYS(open_tree),
        SCMP_SYS(perf_event_open),
        SCMP_SYS(pidfd_getfd),
        SCMP_SYS(pidfd_open),
        SCMP_SYS(pidfd_send_signal),
        SCMP_SYS(pivot_root),
        SCMP_SYS(process_vm_readv),
        SCMP_SYS(process_vm_writev),
        SCMP_SYS(ptrace),
        SCMP_SYS(reboot),
        SCMP_SYS(request_key),
        SCMP_SYS(sendmsg),
        SCMP_SYS(sendto),
        SCMP_SYS(setns),
        SCMP_SYS(socket),
        SCMP_SYS(socketpair),
        SCMP_SYS(swapon),
        SCMP_SYS(tgkill),
        SCMP_SYS(tkill),
        SCMP_SYS(umount2),
        SCMP_SYS(unshare),
        SCMP_SYS(userfaultfd),
};

static int filter(void)
{
        scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
        int r = context == NULL ? -ENOMEM : 0;

        for (size_t i = 0; r == 0 && i < sizeof DENIED / sizeof *DENIED; i++)
                r = seccomp_rule_add(context, SCMP_ACT_ERRNO(EPERM), DENIED[i], 0);
        if (r == 0)
                r = seccomp_load(context);
        if (context != NULL)
                seccomp_release(context);
        return r;
}

static int drop_capabilities(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[2] = { 0 };

        /* Without new privileges the bounding set gives nothing back, so what cannot be dropped from it does no harm.
         */
        for (int capability = 0; capability < 64; capability++)
                (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &header, none) < 0)
                return -errno;
        return 0;
}

static int limit(int resource, rlim_t value)
{
        const struct rlimit both = { value, value };

        return setrlimit((__rlimit_resource_t)resource, &both) < 0 ? -errno : 0;
}

static int fail(const char *what, int r, struct fault *why)
{
        return fault_set(why, FAULT_INTERNAL, -r, "carrel-image cannot %s: %s", what, strerror(-r));
}

int confine(int directory_fd, uint64_t file_max_bytes, struct fault *why)
{
        int r;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (unshare(CLONE_NEWNET) < 0)
                return fail("leave the network", -errno, why);
        if (fchdir(directory_fd) < 0 || chroot(".") < 0 || chdir("/") < 0)
                return fail("enter its directory", -errno, why);
        r = limit(RLIMIT_FSIZE, file_max_bytes);
        if (r == 0)
                r = limit(RLIMIT_CPU, CPU_MAX_S);
        if (r == 0)
                r = limit(RLIMIT_CORE, CORE_MAX_BYTES);
        if (r < 0)
                return fail("bound itself", r, why);
        (void)signal(SIGXFSZ, SIG_IGN); /* EFBIG says it better */
        r = drop_capabilities();
        if (r < 0)
                return fail("drop its capabilities", r, why);
        r = filter();
        return r < 0 ? fail("filter its system calls", r, why) : 0;
}
