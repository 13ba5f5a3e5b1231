/* An allow-list. A call that is not named here answers ENOSYS, as on a kernel without it: libc and language runtimes
 * then use an older call. Calls that a kernel refuses without a capability answer EPERM. docs/syscalls.md says what
 * callers expect. */
#include "seccomp-profile.h"

#include <cJSON.h>
#include <errno.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/resource.h>
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
        "process_vm_readv", "process_vm_writev", "ptrace", "restart_syscall", "riscv_flush_icache", "rseq",
        "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam",
        "sched_getscheduler", "sched_rr_get_interval", "sched_setaffinity", "sched_setattr", "sched_setparam",
        "sched_setscheduler", "sched_yield", "seccomp", "set_robust_list", "set_tid_address", "setfsgid", "setfsuid",
        "setgid", "setgroups", "setpgid", "setregid", "setresgid", "setresuid", "setreuid", "setrlimit", "setsid",
        "setuid", "sysinfo", "tgkill", "tkill", "uname", "vfork", "wait4", "waitid",
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

/* The default errno, named again: Docker before 23 has no default errno and uses EPERM. For calls newer than all that
 * the profile names, runc adds ENOSYS. */
static const char *const ABSENT[] = { "_sysctl",
                                      "add_key",
                                      "clone3", /* its flags are in memory, where no filter can see a new namespace */
                                      "fsconfig",
                                      "fsmount",
                                      "fsopen",
                                      "fspick",
                                      "get_mempolicy",
                                      "io_cancel",
                                      "io_destroy",
                                      "io_getevents",
                                      "io_pgetevents",
                                      "io_setup",
                                      "io_submit",
                                      "io_uring_enter",
                                      "io_uring_register",
                                      "io_uring_setup",
                                      "kcmp",
                                      "keyctl",
                                      "lookup_dcookie",
                                      "mbind",
                                      "memfd_secret",
                                      "migrate_pages",
                                      "modify_ldt",
                                      "move_pages",
                                      "name_to_handle_at",
                                      "pidfd_getfd",
                                      "process_madvise",
                                      "process_mrelease",
                                      "quotactl_fd",
                                      "remap_file_pages",
                                      "request_key",
                                      "set_mempolicy",
                                      "set_mempolicy_home_node",
                                      "set_thread_area",
                                      "sysfs",
                                      "uselib",
                                      "ustat",
                                      NULL };

/* As if these two files could not be spliced: Go's runtime and pv fall back on no other error. They copy without
 * copying, and have led into the page cache of read-only files (CVE-2022-0847). */
static const char *const UNSUITABLE[] = { "splice", "tee", "vmsplice", NULL };

/* The kernel answers EPERM to a caller without the capability, and programs handle that. */
static const char *const PRIVILEGED[] = { "acct",
                                          "adjtimex",
                                          "bpf",
                                          "chroot",
                                          "clock_adjtime",
                                          "clock_settime",
                                          "delete_module",
                                          "fanotify_init",
                                          "fanotify_mark",
                                          "finit_module",
                                          "init_module",
                                          "ioperm",
                                          "iopl",
                                          "kexec_file_load",
                                          "kexec_load",
                                          "mount",
                                          "mount_setattr",
                                          "move_mount",

                                          "open_by_handle_at",
                                          "open_tree",
                                          "perf_event_open",
                                          "pivot_root",
                                          "quotactl",
                                          "reboot",
                                          "setdomainname",
                                          "sethostname",
                                          "setns",
                                          "settimeofday",
                                          "swapoff",
                                          "swapon",
                                          "syslog",
                                          "umount2",
                                          "unshare",
                                          "userfaultfd",
                                          "vhangup",
                                          NULL };

static const struct {
        const char *const *names;
        int error; /* 0: allowed */
} ALWAYS[] = { { ALLOWED, 0 }, { ABSENT, ENOSYS }, { UNSUITABLE, EINVAL }, { PRIVILEGED, EPERM } };

/* An answer for these arguments only. Rules of one name are joined by "or", conditions of one rule by "and". No two
 * rules with one name and different answers match the same arguments. The kernel reads only the low half of an int
 * argument. A set high half must not match an allowing rule by accident; an "equal" on all 64 bits prevents that. */
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
        int error; /* 0: allowed */
        struct condition conditions[3];
        unsigned n_conditions;
};

#define NEW_NAMESPACES                                                                                                 \
        ((uint64_t)CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |        \
         CLONE_NEWNET)

static const struct rule CONDITIONAL[] = {
        { "clone", 0, { { 0, MASKED_EQUAL, NEW_NAMESPACES, 0 } }, 1 },
        { "personality", 0, { { 0, EQUAL, 0, 0 } }, 1 },                 /* plain Linux */
        { "personality", 0, { { 0, EQUAL, ADDR_NO_RANDOMIZE, 0 } }, 1 }, /* used by debuggers and sanitizers */
        { "personality", 0, { { 0, EQUAL, 0xffffffff, 0 } }, 1 },        /* asks for the current personality */
        { "socket", 0, { { 0, EQUAL, AF_UNIX, 0 } }, 1 },
        { "socket", 0, { { 0, EQUAL, AF_NETLINK, 0 }, { 2, EQUAL, NETLINK_ROUTE, 0 } }, 2 },
        { "socket", EPERM, { { 0, EQUAL, AF_PACKET, 0 } }, 1 },
        { "socketpair", 0, { { 0, EQUAL, AF_UNIX, 0 } }, 1 },
};

/* No SCTP, DCCP, MPTCP, UDP-Lite and the like: the policy drops their packets, and each is a kernel module of its own
 * to attack. */
static const struct {
        uint64_t type, protocol;
} INTERNET_SOCKETS[] = {
        { SOCK_STREAM, 0 },
        { SOCK_STREAM, IPPROTO_TCP },
        { SOCK_DGRAM, 0 },
        { SOCK_DGRAM, IPPROTO_UDP },
};

/* Programs try these, and fall back if the kernel does not have them. */
static const uint64_t OTHER_PROTOCOLS[] = { IPPROTO_DCCP, IPPROTO_SCTP, IPPROTO_UDPLITE, IPPROTO_MPTCP };

static const struct {
        uint64_t family, ping;
} INTERNET_FAMILIES[] = { { AF_INET, IPPROTO_ICMP }, { AF_INET6, IPPROTO_ICMPV6 } };

enum { FAMILIES = 46, NETLINK_PROTOCOLS = 32 }; /* AF_MAX (linux/socket.h), MAX_LINKS (linux/netlink.h) */

/* Refused in the low half of an ioctl's number, which has a direction (2 bits), the argument's size, a type (8 bits)
 * and a number (8 bits). The size is left out, because each refused bit costs a rule. Those that need a capability
 * today are in the list too, because some kernels did not require it. */
enum {
        IOCTL_DIRECTION = 0xc0000000u,
        IOCTL_CALL = IOCTL_DIRECTION | 0xffffu,
        /* The bits that all calls of btrfs on volumes by name have in common: struct btrfs_ioctl_vol_args and its
         * successor have 4,096 bytes, and no other argument of btrfs does (linux/btrfs.h). */
        IOCTL_VOLUMES = IOCTL_DIRECTION | 0x1000ff00u,
};

struct ioctls {
        uint32_t number, mask;
        int error;
};

static const struct ioctls REFUSED_IOCTLS[] = {
        { TIOCSTI, IOCTL_CALL, EPERM },   /* types into a terminal */
        { TIOCLINUX, IOCTL_CALL, EPERM }, /* the same for the console's, and more */
        { TIOCCONS, IOCTL_CALL, EPERM },  /* takes the console's output */
        { TIOCSETD, IOCTL_CALL, EPERM },  /* loads the module of a line discipline (drivers/tty/tty_ldisc.c) */
        /* Load the modules bridge, 8021q and dlci for any caller (sock_ioctl in net/socket.c). */
        { SIOCGIFBR, IOCTL_CALL, EPERM },
        { SIOCSIFBR, IOCTL_CALL, EPERM },
        { SIOCBRADDBR, IOCTL_CALL, EPERM },
        { SIOCBRDELBR, IOCTL_CALL, EPERM },
        { SIOCGIFVLAN, IOCTL_CALL, EPERM },
        { SIOCSIFVLAN, IOCTL_CALL, EPERM },
        { SIOCADDDLCI, IOCTL_CALL, EPERM },
        { SIOCDELDLCI, IOCTL_CALL, EPERM },
        /* Take files out of their quota: by another project id, no inheritance of it, or a subvolume. As on a file
         * system without attributes. */
        { FS_IOC_FSSETXATTR, IOCTL_CALL, ENOTTY },
        { FS_IOC_SETFLAGS, IOCTL_CALL, ENOTTY },
        { BTRFS_IOC_SUBVOL_CREATE, IOCTL_VOLUMES, ENOTTY },
};

/* The bits of those masks, in the order that yields the fewest rules. */
static const uint8_t IOCTL_BITS[] = { 31, 30, 15, 14, 13, 12, 11, 10, 9, 8, 28, 7, 6, 5, 4, 3, 2, 1, 0 };

/* Calls that change another process, its limits or its priority. Process 1 has the user's own uid. It could not undo
 * such a change, and all that it starts later would inherit it. A kernel takes 4,096 instructions, and gVisor's
 * compiler needs some nine for each rule: so sched_set* and ioprio_set, which break nothing, are allowed on process 1.
 */
static const struct change {
        const char *name;
        unsigned number; /* the index of the argument */
        bool has_which;  /* argument 0 says what kind of id the number is */
} CHANGES[] = {
        { "prlimit64", 0, false },
        { "setpriority", 1, true },
};

/* For all processes of a user, which include process 1. */
static const struct rule CHANGE_OF_USER = { "setpriority", EPERM, { { 0, MASKED_EQUAL, UINT32_MAX, PRIO_USER } }, 1 };

enum { PROCESS_1 = 1, PID_BITS = 22 /* PID_MAX_LIMIT in linux/threads.h */ };

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
static cJSON *add_entry(cJSON *syscalls, const char *const *names, int error)
{
        cJSON *entry = cJSON_CreateObject();

        if (!cJSON_AddItemToArray(syscalls, entry)) {
                cJSON_Delete(entry);
                return NULL;
        }
        if (!add_names(entry, names) ||
            cJSON_AddStringToObject(entry, "action", error == 0 ? "SCMP_ACT_ALLOW" : "SCMP_ACT_ERRNO") == NULL ||
            (error != 0 && cJSON_AddNumberToObject(entry, "errnoRet", error) == NULL))
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
        cJSON *entry = add_entry(syscalls, names, rule->error);
        cJSON *conditions = entry != NULL ? cJSON_AddArrayToObject(entry, "args") : NULL;

        if (conditions == NULL)
                return false;
        for (unsigned i = 0; i < rule->n_conditions; i++)
                if (!add_condition(conditions, &rule->conditions[i]))
                        return false;
        return true;
}

static bool add_namespaces(cJSON *syscalls)
{
        for (uint64_t bit = 1; bit <= NEW_NAMESPACES; bit <<= 1) {
                const struct rule rule = { "clone", EPERM, { { 0, MASKED_EQUAL, bit, bit } }, 1 };

                if ((NEW_NAMESPACES & bit) != 0 && !add_rule(syscalls, &rule))
                        return false;
        }
        return true;
}

/* The type is without SOCK_NONBLOCK and SOCK_CLOEXEC (SOCK_TYPE_MASK in linux/net.h). */
static bool allow_socket(cJSON *syscalls, uint64_t family, uint64_t type, uint64_t protocol)
{
        const struct rule rule = {
                "socket", 0, { { 0, EQUAL, family, 0 }, { 1, MASKED_EQUAL, 0xf, type }, { 2, EQUAL, protocol, 0 } }, 3
        };

        return add_rule(syscalls, &rule);
}

static bool refuse_socket(cJSON *syscalls, uint64_t family, uint64_t protocol)
{
        const struct rule rule = {
                "socket", EPROTONOSUPPORT, { { 0, EQUAL, family, 0 }, { 2, EQUAL, protocol, 0 } }, 2
        };

        return add_rule(syscalls, &rule);
}

static bool add_internet_sockets(cJSON *syscalls, uint64_t family, uint64_t ping)
{
        const struct rule raw = { "socket", EPERM, { { 0, EQUAL, family, 0 }, { 1, MASKED_EQUAL, 0xf, SOCK_RAW } }, 2 };

        for (size_t i = 0; i < sizeof INTERNET_SOCKETS / sizeof *INTERNET_SOCKETS; i++)
                if (!allow_socket(syscalls, family, INTERNET_SOCKETS[i].type, INTERNET_SOCKETS[i].protocol))
                        return false;
        for (size_t i = 0; i < sizeof OTHER_PROTOCOLS / sizeof *OTHER_PROTOCOLS; i++)
                if (!refuse_socket(syscalls, family, OTHER_PROTOCOLS[i]))
                        return false;
        return allow_socket(syscalls, family, SOCK_DGRAM, ping) && add_rule(syscalls, &raw);
}

static bool refuse_family(cJSON *syscalls, const char *name, uint64_t family)
{
        const struct rule rule = { name, EAFNOSUPPORT, { { 0, EQUAL, family, 0 } }, 1 };

        return add_rule(syscalls, &rule);
}

/* As on a kernel without the module. */
static bool add_other_families(cJSON *syscalls)
{
        for (uint64_t family = 0; family < FAMILIES; family++) {
                bool is_known = family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK ||
                                family == AF_PACKET;

                if ((!is_known && !refuse_family(syscalls, "socket", family)) ||
                    (family != AF_UNIX && !refuse_family(syscalls, "socketpair", family)))
                        return false;
        }
        return true;
}

static bool add_sockets(cJSON *syscalls)
{
        for (size_t i = 0; i < sizeof INTERNET_FAMILIES / sizeof *INTERNET_FAMILIES; i++)
                if (!add_internet_sockets(syscalls, INTERNET_FAMILIES[i].family, INTERNET_FAMILIES[i].ping))
                        return false;
        for (uint64_t protocol = 0; protocol < NETLINK_PROTOCOLS; protocol++)
                if (protocol != NETLINK_ROUTE && !refuse_socket(syscalls, AF_NETLINK, protocol))
                        return false;
        return add_other_families(syscalls);
}

/* Whether some number of these is one of those. */
static bool do_meet(const struct ioctls *these, const struct ioctls *those)
{
        return ((these->number ^ those->number) & these->mask & those->mask) == 0;
}

static bool is_within(const struct ioctls *these, const struct ioctls *those)
{
        return do_meet(these, those) && (those->mask & ~these->mask) == 0;
}

static bool add_ioctl(cJSON *syscalls, const struct ioctls *these)
{
        const struct rule rule = {
                "ioctl", these->error, { { 1, MASKED_EQUAL, these->mask, these->number & these->mask } }, 1
        };

        return add_rule(syscalls, &rule);
}

/* Allows those of these numbers that are not refused. Halves them, by the next bit, until all or none are. */
static bool allow_others(cJSON *syscalls, const struct ioctls *these, const uint8_t *bit)
{
        uint32_t telling = 0; /* the bits that may tell them apart */

        for (size_t i = 0; i < sizeof REFUSED_IOCTLS / sizeof *REFUSED_IOCTLS; i++) {
                if (is_within(these, &REFUSED_IOCTLS[i]))
                        return true;
                if (do_meet(these, &REFUSED_IOCTLS[i]))
                        telling |= REFUSED_IOCTLS[i].mask & ~these->mask;
        }
        if (telling == 0)
                return add_ioctl(syscalls, these);
        while ((telling >> *bit & 1) == 0)
                bit++;
        for (uint32_t value = 0; value <= 1; value++) {
                const struct ioctls half = { these->number | value << *bit, these->mask | UINT32_C(1) << *bit, 0 };

                if (!allow_others(syscalls, &half, bit + 1))
                        return false;
        }
        return true;
}

/* Every ioctl but those. "Not equal" would compare 64 bits where the kernel reads 32, so a set high half would slip
 * through, and one argument can have only one condition. So the allowed numbers are named by some of their bits. */
static bool add_ioctls(cJSON *syscalls)
{
        const struct ioctls all = { 0, 0, 0 };

        for (size_t i = 0; i < sizeof REFUSED_IOCTLS / sizeof *REFUSED_IOCTLS; i++)
                if (!add_ioctl(syscalls, &REFUSED_IOCTLS[i]))
                        return false;
        return allow_others(syscalls, &all, IOCTL_BITS);
}

static bool add_change_of(cJSON *syscalls, const struct change *change, int error, uint32_t mask, uint32_t number)
{
        const struct rule rule = { change->name,
                                   error,
                                   { { change->number, MASKED_EQUAL, mask, number },
                                     { 0, MASKED_EQUAL, UINT32_MAX << 1, PRIO_PROCESS /* and PRIO_PGRP */ } },
                                   change->has_which ? 2 : 1 };

        return add_rule(syscalls, &rule);
}

/* Matched by the first bit in which the number differs from 1, as for ioctls. */
static bool add_change(cJSON *syscalls, const struct change *change)
{
        bool is_added = add_change_of(syscalls, change, EPERM, UINT32_MAX, PROCESS_1);

        for (unsigned bit = 0; is_added && bit < PID_BITS; bit++)
                is_added =
                        add_change_of(syscalls, change, 0, UINT32_MAX << bit, ((uint32_t)PROCESS_1 >> bit ^ 1) << bit);
        return is_added;
}

static bool add_changes(cJSON *syscalls)
{
        for (size_t i = 0; i < sizeof CHANGES / sizeof *CHANGES; i++)
                if (!add_change(syscalls, &CHANGES[i]))
                        return false;
        return add_rule(syscalls, &CHANGE_OF_USER);
}

static bool add_syscalls(cJSON *profile)
{
        cJSON *syscalls = cJSON_AddArrayToObject(profile, "syscalls");

        if (syscalls == NULL)
                return false;
        for (size_t i = 0; i < sizeof ALWAYS / sizeof *ALWAYS; i++)
                if (add_entry(syscalls, ALWAYS[i].names, ALWAYS[i].error) == NULL)
                        return false;
        for (size_t i = 0; i < sizeof CONDITIONAL / sizeof CONDITIONAL[0]; i++)
                if (!add_rule(syscalls, &CONDITIONAL[i]))
                        return false;
        return add_namespaces(syscalls) && add_sockets(syscalls) && add_ioctls(syscalls) && add_changes(syscalls);
}

/* One architecture only: the filter kills a program that makes calls of another (x32, i386). */
static bool add_head(cJSON *profile)
{
        cJSON *architectures = cJSON_AddArrayToObject(profile, "architectures");

        return architectures != NULL && cJSON_AddItemToArray(architectures, cJSON_CreateString(NATIVE_ARCHITECTURE)) &&
               cJSON_AddStringToObject(profile, "defaultAction", "SCMP_ACT_ERRNO") != NULL &&
               cJSON_AddNumberToObject(profile, "defaultErrnoRet", ENOSYS) != NULL;
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
