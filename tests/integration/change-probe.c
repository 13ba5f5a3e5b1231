/* Inside a carrel: tries all that a program may do to another of its own uid, and writes the names of what worked.
 * `change-probe 1`: to process 1. `change-probe child`: to a child of its own, for the control. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NICE = 19, HIGH_HALF_SHIFT = 32 };

static bool limit(pid_t pid)
{
        const struct rlimit small = { 64, 64 };

        return prlimit(pid, RLIMIT_NOFILE, &small, NULL) == 0;
}

/* The kernel reads the low half only. */
static bool limit_by_high_half(pid_t pid)
{
        const struct rlimit small = { 64, 64 };

        return syscall(SYS_prlimit64, (1L << HIGH_HALF_SHIFT) | pid, RLIMIT_NOFILE, &small, NULL) == 0;
}

static bool priority(pid_t pid)
{
        return setpriority(PRIO_PROCESS, (id_t)pid, NICE) == 0;
}

static bool priority_of_group(pid_t pid)
{
        return setpriority(PRIO_PGRP, (id_t)pid, NICE) == 0;
}

static bool priority_of_user(pid_t pid)
{
        (void)pid;
        return setpriority(PRIO_USER, 0, NICE) == 0 || setpriority(PRIO_USER, getuid(), NICE) == 0;
}

static bool group(pid_t pid)
{
        return setpgid(pid, 0) == 0;
}

static bool memory(pid_t pid)
{
        static char bytes[16];
        struct iovec here = { bytes, sizeof bytes };
        struct iovec there = { bytes, sizeof bytes };

        return process_vm_readv(pid, &here, 1, &there, 1, 0) > 0;
}

static bool advice(pid_t pid)
{
        static char page[4096] __attribute__((aligned(4096)));
        struct iovec there = { page, sizeof page };
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

        return pidfd >= 0 && syscall(SYS_process_madvise, pidfd, &there, 1, 21 /* MADV_PAGEOUT */, 0) >= 0;
}

static bool descriptor(pid_t pid)
{
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

        return pidfd >= 0 && syscall(SYS_pidfd_getfd, pidfd, 0, 0) >= 0;
}

static bool trace(pid_t pid)
{
        return ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0;
}

static bool write_file(pid_t pid, const char *name, const char *text)
{
        char path[64];
        int fd;

        (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd >= 0 && write(fd, text, strlen(text)) > 0;
}

static bool oom_score(pid_t pid)
{
        return write_file(pid, "oom_score_adj", "1000");
}

static bool timer_slack(pid_t pid)
{
        return write_file(pid, "timerslack_ns", "1000000000");
}

static bool dump_filter(pid_t pid)
{
        return write_file(pid, "coredump_filter", "0x7f");
}

static const struct {
        const char *name;
        bool (*attempt)(pid_t pid);
} ATTEMPTS[] = {
        { "advice", advice },
        { "descriptor", descriptor },
        { "dump_filter", dump_filter },
        { "group", group },
        { "limit", limit },
        { "limit_by_high_half", limit_by_high_half },
        { "memory", memory },
        { "oom_score", oom_score },
        { "priority", priority },
        { "priority_of_group", priority_of_group },
        { "priority_of_user", priority_of_user },
        { "timer_slack", timer_slack },
        { "trace", trace },
};

/* Signals have no answer: whoever lives on afterwards did not mind them. */
static void send_all(pid_t pid)
{
        const union sigval value = { .sival_int = 1 };

        for (int number = 1; number < _NSIG; number++)
                if (number != SIGTERM && number != SIGCHLD)
                        (void)kill(pid, number);
        (void)sigqueue(pid, SIGTERM, value);
        (void)kill(pid, SIGTERM);
}

int main(int argc, char **argv)
{
        bool is_child = argc == 2 && strcmp(argv[1], "child") == 0;
        pid_t pid = is_child ? fork() : 1;

        while (pid == 0)
                (void)pause();
        if (!is_child)
                send_all(1);
        for (size_t i = 0; i < sizeof ATTEMPTS / sizeof *ATTEMPTS; i++)
                if (ATTEMPTS[i].attempt(pid))
                        (void)printf("%s ", ATTEMPTS[i].name);
        (void)printf("end\n");
        if (is_child)
                (void)kill(pid, SIGKILL);
        return 0;
}
