/* Allow-list: whatever is not named here answers EPERM. The few that answer ENOSYS are those whose callers fall back to
 * something older when the kernel does not have them (glibc from clone3 to clone, libuv from io_uring to threads). */
#include "seccomp-profile.h"

#include <cJSON.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#if defined(__x86_64__)
#define NATIVE_ARCHITECTURE "SCMP_ARCH_X86_64"
#elif defined(__aarch64__)
#define NATIVE_ARCHITECTURE "SCMP_ARCH_AARCH64"
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE_ARCHITECTURE "SCMP_ARCH_RISCV64"
#else
#error "name this architecture as libseccomp does, and check the order of clone's arguments on it"
#endif

static const char *const ALLOWED[] = {
        /* files */
        "access", "chdir", "chmod", "chown", "close", "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3",
        "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown",
        "fchownat", "fcntl", "fdatasync", "fgetxattr", "flistxattr", "flock", "fremovexattr", "fsetxattr", "fstat",
        "fstatfs", "fsync", "ftruncate", "futimesat", "getcwd", "getdents", "getdents64", "getxattr",
        "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "lchown", "lgetxattr", "link",
        "linkat", "listxattr", "llistxattr", "lremovexattr", "lseek", "lsetxattr", "lstat", "mkdir", "mkdirat", "mknod",
        "mknodat", "newfstatat", "open", "openat", "openat2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev",
        "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "removexattr", "rename", "renameat",
        "renameat2", "rmdir", "sendfile", "setxattr", "stat", "statfs", "statx", "symlink", "symlinkat", "sync",
        "sync_file_range", "syncfs", "truncate", "umask", "unlink", "unlinkat", "utime", "utimensat", "utimes", "write",
        "writev",
        /* memory */
        "brk", "cachestat", "madvise", "map_shadow_stack", "memfd_create", "mincore", "mlock", "mlock2", "mlockall",
        "mmap", "mprotect", "mremap", "mseal", "msync", "munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free",
        "pkey_mprotect",
        /* processes, threads and their identity */
        "arch_prctl", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork", "futex", "futex_requeue",
        "futex_wait", "futex_waitv", "futex_wake", "get_robust_list", "get_thread_area", "getcpu", "getegid", "geteuid",
        "getgid", "getgroups", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getresgid", "getresuid",
        "getrlimit", "getrusage", "getsid", "gettid", "getuid", "ioprio_get", "ioprio_set", "kill", "landlock_add_rule",
        "landlock_create_ruleset", "landlock_restrict_self", "membarrier", "pidfd_open", "pidfd_send_signal", "prctl",
        "prlimit64", "restart_syscall", "riscv_flush_icache", "rseq", "sched_get_priority_max",
        "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler",
        "sched_rr_get_interval", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler",
        "sched_yield", "seccomp", "set_robust_list", "set_tid_address", "setfsgid", "setfsuid", "setgid", "setgroups",
        "setpgid", "setpriority", "setregid", "setresgid", "setresuid", "setreuid", "setrlimit", "setsid", "setuid",
        "sysinfo", "tgkill", "tkill", "uname", "vfork", "wait4", "waitid",
        /* signals, time and waiting */
        "alarm", "clock_getres", "clock_gettime", "clock_nanosleep", "epoll_create", "epoll_create1", "epoll_ctl",
        "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2", "getitimer", "gettimeofday", "nanosleep",
        "pause", "poll", "ppoll", "pselect6", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo",
        "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo", "select", "setitimer", "sigaltstack",
        "signalfd", "signalfd4", "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime",
        "timer_settime", "timerfd_create", "timerfd_gettime", "timerfd_settime", "times",
        /* sockets, pipes, System V and POSIX IPC (in the carrel's own IPC namespace), randomness */
        "accept", "accept4", "bind", "connect", "getpeername", "getrandom", "getsockname", "getsockopt", "listen",
        "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink", "msgctl", "msgget",
        "msgrcv", "msgsnd", "pipe", "pipe2", "recvfrom", "recvmmsg", "recvmsg", "semctl", "semget", "semop",
        "semtimedop", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shmat", "shmctl", "shmdt", "shmget", "shutdown",
        NULL
};

static const char *const ABSENT[] = {
        "clone3", /* its flags are behind a pointer, where a filter cannot look for new namespaces */
        "io_cancel",
        "io_destroy",
        "io_getevents",
        "io_pgetevents",
        "io_setup",
        "io_submit",
        "io_uring_enter",
        "io_uring_register",
        "io_uring_setup",
        "splice",
        "tee",
        "vmsplice",
        NULL
};

/* Allowed only with these arguments; rules of one name are joined by "or", conditions of one rule by "and".
 * The kernel reads an int argument's low half only: a set high half must not match an allowing rule by accident, and
 * with "equal" on all 64 bits it does not. */
enum comparison { EQUAL, MASKED_EQUAL };
static const char *const COMPARISONS[] = { [EQUAL] = "SCMP_CMP_EQ", [MASKED_EQUAL] = "SCMP_CMP_MASKED_EQ" };

struct condition {
        unsigned index;
        enum comparison comparison;
        uint64_t value; /* or the mask */
        uint64_t value_two;
};

struct rule {
        const char *name;
        struct condition conditions[3];
        unsigned n_conditions;
};

#define NEW_NAMESPACES                                                                                                 \
        ((uint64_t)CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |        \
         CLONE_NEWNET)

static const struct rule CONDITIONAL[] = {
        { "clone", { { 0, MASKED_EQUAL, NEW_NAMESPACES, 0 } }, 1 },
        { "personality", { { 0, EQUAL, 0, 0 } }, 1 },          /* plain Linux */
        { "personality", { { 0, EQUAL, 0xffffffff, 0 } }, 1 }, /* the question which it is */
        { "socket", { { 0, EQUAL, AF_UNIX, 0 } }, 1 },
        { "socket", { { 0, EQUAL, AF_NETLINK, 0 }, { 2, EQUAL, NETLINK_ROUTE, 0 } }, 2 },
        { "socketpair", { { 0, EQUAL, AF_UNIX, 0 } }, 1 },
};

/* No SCTP, DCCP, MPTCP, UDP-Lite and the like: the policy drops their packets, and each is a kernel module of its own
 * to attack. */
static const struct {
        uint64_t family, type, protocol;
} INTERNET_SOCKETS[] = {
        { AF_INET, SOCK_STREAM, 0 },
        { AF_INET, SOCK_STREAM, IPPROTO_TCP },
        { AF_INET, SOCK_DGRAM, 0 },
        { AF_INET, SOCK_DGRAM, IPPROTO_UDP },
        { AF_INET, SOCK_DGRAM, IPPROTO_ICMP },
        { AF_INET6, SOCK_STREAM, 0 },
        { AF_INET6, SOCK_STREAM, IPPROTO_TCP },
        { AF_INET6, SOCK_DGRAM, 0 },
        { AF_INET6, SOCK_DGRAM, IPPROTO_UDP },
        { AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6 },
};

static bool add_names(cJSON *syscall, const char *const *names)
{
        cJSON *array = cJSON_AddArrayToObject(syscall, "names");

        if (array == NULL)
                return false;
        for (; *names != NULL; names++)
                if (!cJSON_AddItemToArray(array, cJSON_CreateString(*names)))
                        return false;
        return true;
}

/* A new entry of the profile's syscalls; NULL: no memory. */
static cJSON *add_entry(cJSON *syscalls, const char *const *names, const char *action)
{
        cJSON *entry = cJSON_CreateObject();

        if (!cJSON_AddItemToArray(syscalls, entry)) {
                cJSON_Delete(entry);
                return NULL;
        }
        if (!add_names(entry, names) || cJSON_AddStringToObject(entry, "action", action) == NULL)
                return NULL;
        return entry;
}

static bool add_condition(cJSON *conditions, const struct condition *condition)
{
        cJSON *entry = cJSON_CreateObject();

        if (!cJSON_AddItemToArray(conditions, entry)) {
                cJSON_Delete(entry);
                return false;
        }
        return cJSON_AddNumberToObject(entry, "index", condition->index) != NULL &&
               cJSON_AddNumberToObject(entry, "value", (double)condition->value) != NULL &&
               cJSON_AddNumberToObject(entry, "valueTwo", (double)condition->value_two) != NULL &&
               cJSON_AddStringToObject(entry, "op", COMPARISONS[condition->comparison]) != NULL;
}

static bool add_rule(cJSON *syscalls, const struct rule *rule)
{
        const char *const names[] = { rule->name, NULL };
        cJSON *entry = add_entry(syscalls, names, "SCMP_ACT_ALLOW");
        cJSON *conditions = entry != NULL ? cJSON_AddArrayToObject(entry, "args") : NULL;

        if (conditions == NULL)
                return false;
        for (unsigned i = 0; i < rule->n_conditions; i++)
                if (!add_condition(conditions, &rule->conditions[i]))
                        return false;
        return true;
}

/* The type without SOCK_NONBLOCK and SOCK_CLOEXEC (SOCK_TYPE_MASK in linux/net.h). */
static bool add_internet_sockets(cJSON *syscalls)
{
        for (size_t i = 0; i < sizeof INTERNET_SOCKETS / sizeof INTERNET_SOCKETS[0]; i++) {
                const struct rule rule = { "socket",
                                           { { 0, EQUAL, INTERNET_SOCKETS[i].family, 0 },
                                             { 1, MASKED_EQUAL, 0xf, INTERNET_SOCKETS[i].type },
                                             { 2, EQUAL, INTERNET_SOCKETS[i].protocol, 0 } },
                                           3 };

                if (!add_rule(syscalls, &rule))
                        return false;
        }
        return true;
}

/* Every ioctl but TIOCSTI, which types into somebody's terminal. "Not equal" would compare 64 bits where the kernel
 * reads 32, so that a set high half slips through; that one of the 32 bits differs says it exactly. */
static bool add_ioctl(cJSON *syscalls)
{
        for (unsigned bit = 0; bit < 32; bit++) {
                uint64_t mask = 1ULL << bit;
                const struct rule rule = { "ioctl", { { 1, MASKED_EQUAL, mask, ~(uint64_t)TIOCSTI & mask } }, 1 };

                if (!add_rule(syscalls, &rule))
                        return false;
        }
        return true;
}

static bool add_syscalls(cJSON *profile)
{
        cJSON *syscalls = cJSON_AddArrayToObject(profile, "syscalls");
        cJSON *absent;

        if (syscalls == NULL || add_entry(syscalls, ALLOWED, "SCMP_ACT_ALLOW") == NULL)
                return false;
        absent = add_entry(syscalls, ABSENT, "SCMP_ACT_ERRNO");
        if (absent == NULL || cJSON_AddNumberToObject(absent, "errnoRet", ENOSYS) == NULL)
                return false;
        for (size_t i = 0; i < sizeof CONDITIONAL / sizeof CONDITIONAL[0]; i++)
                if (!add_rule(syscalls, &CONDITIONAL[i]))
                        return false;
        return add_internet_sockets(syscalls) && add_ioctl(syscalls);
}

/* One architecture only: the filter kills whoever comes with the calls of another (x32, i386). */
static bool add_head(cJSON *profile)
{
        cJSON *architectures = cJSON_AddArrayToObject(profile, "architectures");

        return architectures != NULL && cJSON_AddItemToArray(architectures, cJSON_CreateString(NATIVE_ARCHITECTURE)) &&
               cJSON_AddStringToObject(profile, "defaultAction", "SCMP_ACT_ERRNO") != NULL &&
               cJSON_AddNumberToObject(profile, "defaultErrnoRet", EPERM) != NULL;
}

int seccomp_profile_json(struct buffer *ret_json)
{
        cJSON *profile = cJSON_CreateObject();
        char *text = NULL;
        int r = -ENOMEM;

        if (profile != NULL && add_head(profile) && add_syscalls(profile))
                text = cJSON_PrintUnformatted(profile);
        if (text != NULL)
                r = buffer_text(ret_json, text);
        cJSON_free(text);
        cJSON_Delete(profile);
        return r;
}
