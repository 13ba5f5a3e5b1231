/* Runs inside a carrel as its user and tries to get hold of what is not the user's: the agent, its children before they
 * are a program of the user's, and its file operations. Static, as it runs in images with any libc or none.
 *
 * usage: intruder hunt SECONDS ENTRY   tries every process it sees; ENTRY is the entry point of carrel-init, in hex
 *        intruder hold PID             stops a process by ptrace(2), and holds it; PID 0: a child of its own */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NAME_BYTES = 64, LOAD_ADDRESS = 0x400000 }; /* where a static program that is no PIE is loaded (ld --verbose) */

static unsigned tries, seized, breaches;
static bool is_control_seized;
static pid_t control;

static void breach(pid_t pid, const char *how)
{
        breaches++;
        printf("breach: process %d by %s\n", (int)pid, how);
}

static bool is_init(const Elf64_Ehdr *head, uint64_t entry)
{
        return memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 && head->e_entry == entry;
}

/* The memory of carrel-init is known by its entry point. Programs of the user have another. */
static bool reads_memory(pid_t pid, uint64_t entry, bool *ret_is_init)
{
        Elf64_Ehdr head = { 0 };
        struct iovec here = { &head, sizeof head };
        struct iovec there = { (void *)(uintptr_t)LOAD_ADDRESS, sizeof head };
        bool is_read = process_vm_readv(pid, &here, 1, &there, 1, 0) == sizeof head;

        *ret_is_init = is_read && is_init(&head, entry);
        return is_read;
}

static void try_memory(pid_t pid, uint64_t entry)
{
        char path[NAME_BYTES];
        Elf64_Ehdr head = { 0 };
        bool is_inits;
        int fd;

        (void)reads_memory(pid, entry, &is_inits);
        if (is_inits)
                breach(pid, "process_vm_readv");
        snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
        fd = open(path, O_RDWR);
        if (fd < 0)
                return;
        if (pread(fd, &head, sizeof head, LOAD_ADDRESS) == sizeof head && is_init(&head, entry))
                breach(pid, path);
        close(fd);
}

/* The user's programs of this test hold no socket. */
static void try_descriptors(pid_t pid)
{
        char path[NAME_BYTES], target[NAME_BYTES] = "";
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

        for (int fd = 0; fd < 16; fd++) {
                snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
                if (readlink(path, target, sizeof target - 1) > 0 && strncmp(target, "socket:", 7) == 0)
                        breach(pid, path);
                if (fd > 2 && pidfd >= 0 && syscall(SYS_pidfd_getfd, pidfd, fd, 0) >= 0)
                        breach(pid, "pidfd_getfd");
        }
        if (pidfd >= 0)
                close(pidfd);
}

static void try_seize(pid_t pid)
{
        if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) != 0)
                return;
        seized++;
        ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
}

/* Finds which program a seized process runs now, which decides whether it should have been possible to seize it. If the
 * kernel let us attach but does not say which program it is, we are attached to a process that is not dumpable. */
static void judge_seized(pid_t pid)
{
        char path[NAME_BYTES], program[NAME_BYTES] = "";

        snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
        if (readlink(path, program, sizeof program - 1) < 0 || strcmp(program, "/.carrel/init") == 0)
                breach(pid, "PTRACE_SEIZE");
        else if (pid == control)
                is_control_seized = true;
}

static void attend(void)
{
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
                if (!WIFSTOPPED(status))
                        continue;
                if (status >> 16 == PTRACE_EVENT_STOP)
                        judge_seized(pid);
                ptrace(PTRACE_CONT, pid, NULL, NULL);
        }
}

static void try_all(uint64_t entry)
{
        DIR *processes = opendir("/proc");
        const struct dirent *file;

        while (processes != NULL && (file = readdir(processes)) != NULL) {
                pid_t pid = (pid_t)strtol(file->d_name, NULL, 10);

                if (!isdigit((unsigned char)file->d_name[0]) || pid == getpid())
                        continue;
                tries++;
                try_seize(pid);
                try_memory(pid, entry);
                try_descriptors(pid);
        }
        if (processes != NULL)
                closedir(processes);
        attend();
}

/* A process of our own: it can be had, so that what cannot be had is kept. */
static void start_control(void)
{
        control = fork();
        while (control == 0)
                pause();
}

static double now_s(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int hunt(double seconds, uint64_t entry)
{
        double end = now_s() + seconds;
        bool is_init, is_control_read = false;

        start_control();
        while (now_s() < end) {
                try_all(entry);
                is_control_read |= reads_memory(control, entry, &is_init);
        }
        kill(control, SIGKILL);
        printf("%s, %s, %s, breaches: %u\n", tries > 100 ? "many tries" : "few tries",
               is_control_read && is_control_seized ? "the control is caught" : "the control is missed",
               seized > 1 ? "programs are seized" : "no program is seized", breaches);
        return 0;
}

static int hold(pid_t pid)
{
        int status;

        if (pid == 0 && (pid = fork()) == 0)
                for (;;)
                        pause();
        if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) != 0 || waitpid(pid, &status, __WALL) != pid)
                return printf("cannot hold %d: %s\n", (int)pid, strerror(errno)), 1;
        printf("held\n");
        fflush(stdout);
        for (;;)
                pause();
}

int main(int argc, char **argv)
{
        if (argc == 4 && strcmp(argv[1], "hunt") == 0)
                return hunt(strtod(argv[2], NULL), strtoull(argv[3], NULL, 16));
        if (argc == 3 && strcmp(argv[1], "hold") == 0)
                return hold((pid_t)strtol(argv[2], NULL, 10));
        return 0;
}
