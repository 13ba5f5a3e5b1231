#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capabilities.h"

/* A normal import ends sooner; a bomb does not. The minute of grace is for a handler's report. */
enum { CPU_MAX_S = 3600, CPU_GRACE_S = 60, CORE_MAX_BYTES = 0 };

/* The shadow memory of sanitizers needs more than any such bound. */
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

/* The calls of a program that reads, decompresses and writes files: names in its own tree, open files, memory. All
 * others answer as on a kernel without them, which a newer libc expects. Sanitizers work without the other calls that
 * they make. */
static const int ALLOWED[] = {
        SCMP_SYS(brk),          SCMP_SYS(clock_gettime),
        SCMP_SYS(close),        SCMP_SYS(exit),
        SCMP_SYS(exit_group),   SCMP_SYS(fchmod),
        SCMP_SYS(fchmodat),     SCMP_SYS(fstat),
        SCMP_SYS(ftruncate),    SCMP_SYS(futex),
        SCMP_SYS(getdents64),   SCMP_SYS(getegid),
        SCMP_SYS(geteuid),      SCMP_SYS(getgid),
        SCMP_SYS(getpid),       SCMP_SYS(getrandom),
        SCMP_SYS(gettid),       SCMP_SYS(gettimeofday),
        SCMP_SYS(getuid),       SCMP_SYS(linkat),
        SCMP_SYS(lseek),        SCMP_SYS(madvise),
        SCMP_SYS(mkdir),        SCMP_SYS(mkdirat),
        SCMP_SYS(mmap),         SCMP_SYS(mprotect),
        SCMP_SYS(mremap),       SCMP_SYS(munmap),
        SCMP_SYS(newfstatat),   SCMP_SYS(openat),
        SCMP_SYS(openat2),      SCMP_SYS(pread64),
        SCMP_SYS(pwrite64),     SCMP_SYS(read),
        SCMP_SYS(readlinkat),   SCMP_SYS(renameat),
        SCMP_SYS(renameat2),    SCMP_SYS(restart_syscall),
        SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn), SCMP_SYS(sched_yield),
        SCMP_SYS(sigaltstack),  SCMP_SYS(statx),
        SCMP_SYS(symlinkat),    SCMP_SYS(time),
        SCMP_SYS(unlinkat),     SCMP_SYS(utimensat),
        SCMP_SYS(write),        SCMP_SYS(writev),
};

/* Without those that send signals (F_SETOWN, F_SETSIG, F_SETFL with O_ASYNC). */
static const int ALLOWED_FCNTL[] = { F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL };

static int allow_plan(scmp_filter_ctx context, const struct confinement *plan)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < plan->n_calls; i++) {
                const struct confine_call *call = &plan->calls[i];
                const struct scmp_arg_cmp equal = { call->argument, SCMP_CMP_MASKED_EQ, call->mask, call->value };

                r = seccomp_rule_add_array(context, SCMP_ACT_ALLOW, call->number, call->mask != 0 ? 1 : 0, &equal);
        }
        return r;
}

static int allow_all(scmp_filter_ctx context, const struct confinement *plan)
{
        int r = allow_plan(context, plan);

        for (size_t i = 0; r == 0 && i < sizeof ALLOWED / sizeof *ALLOWED; i++)
                r = seccomp_rule_add(context, SCMP_ACT_ALLOW, ALLOWED[i], 0);
        for (size_t i = 0; r == 0 && i < sizeof ALLOWED_FCNTL / sizeof *ALLOWED_FCNTL; i++)
                r = seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                                     SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)ALLOWED_FCNTL[i]));
        /* abort(3) signals only its own process. */
        if (r == 0)
                r = seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                     SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)getpid()));
        return r;
}

static int filter(const struct confinement *plan)
{
        scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
        int r = context == NULL ? -ENOMEM : allow_all(context, plan);

        if (r == 0)
                r = seccomp_load(context);
        if (context != NULL)
                seccomp_release(context);
        return r;
}

/* Keeps the permitted set over the change (capabilities(7)); capabilities_keep then takes from it. */
static int change_user(const struct confinement *plan)
{
        if (plan->uid == 0)
                return 0;
        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 ||
            setresgid(plan->gid, plan->gid, plan->gid) < 0 || setresuid(plan->uid, plan->uid, plan->uid) < 0)
                return -errno;
        return 0;
}

/* A change of the user clears this signal (prctl(2)). */
static int end_with_parent(pid_t parent)
{
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                return -errno;
        return getppid() != parent ? -ESRCH : 0; /* the parent ended before that */
}

/* Root owns the devices of the machine, and an owner (or CAP_FOWNER) can change a mode by any descriptor. So /dev/null
 * as a standard stream becomes the directory that is the root anyway. */
static int close_devices(int root_fd)
{
        struct stat status;

        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && dup2(root_fd, fd) < 0)
                        return -errno;
        return 0;
}

static int limit(int resource, rlim_t value, rlim_t hard)
{
        const struct rlimit both = { value, hard };

        return setrlimit((__rlimit_resource_t)resource, &both) < 0 ? -errno : 0;
}

int confine_cpu(void)
{
        return limit(RLIMIT_CPU, CPU_MAX_S, CPU_MAX_S + CPU_GRACE_S);
}

static int limit_all(uint64_t file_max_bytes)
{
        rlim_t file = file_max_bytes == CONFINE_FILE_UNBOUNDED ? RLIM_INFINITY : file_max_bytes;
        int r = limit(RLIMIT_FSIZE, file, file);

        if (r == 0)
                r = confine_cpu();
        if (r == 0)
                r = limit(RLIMIT_CORE, CORE_MAX_BYTES, CORE_MAX_BYTES);
        if (r == 0 && !IS_SANITIZED)
                r = limit(RLIMIT_AS, CONFINE_MEMORY_MAX_BYTES, CONFINE_MEMORY_MAX_BYTES);
        return r;
}

static int fail(const struct confinement *plan, const char *what, int r, struct fault *why)
{
        return fault_set(why, FAULT_INTERNAL, -r, "%s cannot %s: %s", plan->program, what, strerrordesc_np(-r));
}

int confine(const struct confinement *plan, struct fault *why)
{
        int r;

        if (unshare(CLONE_NEWNET) < 0)
                return fail(plan, "leave the network", -errno, why);
        if (fchdir(plan->root_fd) < 0 || chroot(".") < 0 || chdir("/") < 0)
                return fail(plan, "enter its directory", -errno, why);
        r = close_devices(plan->root_fd);
        if (r < 0)
                return fail(plan, "close its devices", r, why);
        r = limit_all(plan->file_max_bytes);
        if (r < 0)
                return fail(plan, "bound itself", r, why);
        (void)signal(SIGXFSZ, SIG_IGN); /* so that write(2) fails with EFBIG */
        r = change_user(plan);
        if (r < 0)
                return fail(plan, "become the owner of the files", r, why);
        r = capabilities_keep(plan->capabilities);
        if (r < 0)
                return fail(plan, "limit its capabilities", r, why);
        r = end_with_parent(plan->parent);
        if (r < 0)
                return fail(plan, "bind itself to its parent", r, why);
        r = filter(plan);
        return r < 0 ? fail(plan, "filter its system calls", r, why) : 0;
}
