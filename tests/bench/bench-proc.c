#include "bench-proc.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, TEXT_BYTES = 8192, DEPTH_MAX = 8 };

/* Reads at most TEXT_BYTES - 1. Zero bytes become spaces. "": it cannot be read. */
static void read_text(const char *path, char ret_text[static TEXT_BYTES])
{
        FILE *file = fopen(path, "re");
        size_t length = 0;

        if (file != NULL) {
                length = fread(ret_text, 1, TEXT_BYTES - 1, file);
                (void)fclose(file);
        }
        ret_text[length] = '\0';
        for (size_t i = 0; i < length; i++)
                if (ret_text[i] == '\0')
                        ret_text[i] = ' ';
}

static void read_of(pid_t pid, const char *name, char ret_text[static TEXT_BYTES])
{
        char path[PATH_BYTES];

        (void)snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
        read_text(path, ret_text);
}

/* A line "key:   number kB" in bytes; 0: no such line. */
static double kilobytes(const char *text, const char *key)
{
        const char *found = strstr(text, key);

        return found != NULL ? strtod(found + strlen(key), NULL) * 1024 : 0;
}

double proc_available_bytes(void)
{
        char text[TEXT_BYTES];

        read_text("/proc/meminfo", text);
        return kilobytes(text, "MemAvailable:");
}

double proc_kernel_bytes(void)
{
        static const char *const KEYS[] = { "\nSUnreclaim:", "\nKernelStack:", "\nPageTables:", "\nPercpu:",
                                            "\nShmem:" };
        char text[TEXT_BYTES];
        double bytes = 0;

        read_text("/proc/meminfo", text);
        for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
                bytes += kilobytes(text, KEYS[i]);
        return bytes;
}

double proc_pss_bytes(pid_t pid)
{
        char text[TEXT_BYTES];

        read_of(pid, "smaps_rollup", text);
        return kilobytes(text, "\nPss:");
}

double proc_private_bytes(pid_t pid)
{
        char text[TEXT_BYTES];

        read_of(pid, "status", text);
        return kilobytes(text, "\nRssAnon:");
}

/* ---- containers ---- */

/* The path of the memory cgroup's usage: a line of /proc/PID/cgroup is "number:controllers:path". */
static double charged_bytes(const char *cgroups)
{
        static const struct {
                const char *line, *mount, *file;
        } KINDS[] = { { ":memory:", "/sys/fs/cgroup/memory", "memory.usage_in_bytes" },
                      { "0::", "/sys/fs/cgroup", "memory.current" } };
        char path[PATH_BYTES], text[TEXT_BYTES];

        for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
                const char *found = strstr(cgroups, KINDS[i].line);

                if (found == NULL)
                        continue;
                found += strlen(KINDS[i].line);
                (void)snprintf(path, sizeof path, "%s%.*s/%s", KINDS[i].mount, (int)strcspn(found, "\n"), found,
                               KINDS[i].file);
                read_text(path, text);
                if (text[0] != '\0')
                        return strtod(text, NULL);
        }
        return 0;
}

/* Calls visit for each process. */
static void each_process(void (*visit)(void *arg, pid_t pid), void *arg)
{
        DIR *directory = opendir("/proc");

        for (struct dirent *entry = directory != NULL ? readdir(directory) : NULL; entry != NULL;
             entry = readdir(directory))
                if (isdigit((unsigned char)entry->d_name[0]))
                        visit(arg, (pid_t)strtol(entry->d_name, NULL, 10));
        if (directory != NULL)
                (void)closedir(directory);
}

struct search {
        const char *container_id;
        struct proc_usage *usage;
};

static void add_if_of_container(void *arg, pid_t pid)
{
        const struct search *search = arg;
        char cgroups[TEXT_BYTES], words[TEXT_BYTES];
        bool is_inside;

        read_of(pid, "cgroup", cgroups);
        is_inside = strstr(cgroups, search->container_id) != NULL;
        read_of(pid, "cmdline", words);
        if (!is_inside && strstr(words, search->container_id) == NULL)
                return;
        search->usage->processes++;
        search->usage->pss_bytes += proc_pss_bytes(pid);
        if (is_inside && search->usage->charged_bytes <= 0)
                search->usage->charged_bytes = charged_bytes(cgroups);
}

void proc_usage_of(const char *container_id, struct proc_usage *ret_usage)
{
        struct search search = { container_id, ret_usage };

        *ret_usage = (struct proc_usage){ 0 };
        each_process(add_if_of_container, &search);
}

struct member {
        const char *container_id;
        pid_t pid;
};

static void find_member(void *arg, pid_t pid)
{
        struct member *member = arg;
        char cgroups[TEXT_BYTES];

        if (member->pid != 0)
                return;
        read_of(pid, "cgroup", cgroups);
        if (strstr(cgroups, member->container_id) != NULL)
                member->pid = pid;
}

pid_t proc_of_container(const char *container_id)
{
        struct member member = { .container_id = container_id };

        each_process(find_member, &member);
        return member.pid;
}

/* ---- daemons ---- */

struct tree {
        pid_t parent;
        unsigned depth;
        double pss_bytes;
};

/* The field after the name, which can contain anything, also parentheses. */
static pid_t parent_of(pid_t pid)
{
        char text[TEXT_BYTES];
        const char *end;
        long parent = 0;

        read_of(pid, "stat", text);
        end = strrchr(text, ')');
        return end != NULL && sscanf(end, ") %*c %ld", &parent) == 1 ? (pid_t)parent : 0;
}

/* NSpid has a number for each pid namespace below ours. */
static bool is_in_own_namespace(pid_t pid)
{
        char text[TEXT_BYTES];
        const char *line;

        read_of(pid, "status", text);
        line = strstr(text, "\nNSpid:");
        return line != NULL && strchr(line + sizeof "\nNSpid:\t" - 1, '\t') != NULL &&
               strchr(line + sizeof "\nNSpid:\t" - 1, '\t') < strchr(line + 1, '\n');
}

static void add_child(void *arg, pid_t pid)
{
        struct tree *tree = arg;
        struct tree below = { .parent = pid, .depth = tree->depth + 1 };

        if (tree->depth > DEPTH_MAX || parent_of(pid) != tree->parent || is_in_own_namespace(pid))
                return;
        each_process(add_child, &below);
        tree->pss_bytes += proc_pss_bytes(pid) + below.pss_bytes;
}

double proc_tree_pss_bytes(pid_t pid)
{
        struct tree tree = { .parent = pid };

        each_process(add_child, &tree);
        return proc_pss_bytes(pid) + tree.pss_bytes;
}

pid_t proc_peer(int fd)
{
        struct ucred peer;
        socklen_t length = sizeof peer;

        return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer.pid : 0;
}
