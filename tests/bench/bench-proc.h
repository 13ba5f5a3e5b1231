/* The memory of this machine and of its processes, as /proc and the memory controller report it. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* MemAvailable in bytes; 0: unknown. */
double proc_available_bytes(void);
/* The memory that the kernel and tmpfs hold and cannot give back, of all users of the machine, in bytes. Programs that
 * start and end change it less than MemAvailable. */
double proc_kernel_bytes(void);
/* The proportional share of a process's resident memory (Pss) in bytes; 0: it has ended. */
double proc_pss_bytes(pid_t pid);
/* Its private memory that no file backs (RssAnon) in bytes; 0: it has ended. */
double proc_private_bytes(pid_t pid);

struct proc_usage {
        unsigned processes;
        double pss_bytes;
        double charged_bytes; /* to its memory cgroup, with the kernel's part; 0: unknown */
};
/* The processes of a container: those whose cgroup or command line contains its id. So a shim is one of them. */
void proc_usage_of(const char *container_id, struct proc_usage *ret_usage);

/* A process of a container: one in its cgroup. 0: no process. */
pid_t proc_of_container(const char *container_id);

/* The Pss of a process and of its descendants. Other than containers' processes, which have a pid namespace of their
 * own. */
double proc_tree_pss_bytes(pid_t pid);
/* The process that listens on the other end of a connected unix socket; 0: unknown. */
pid_t proc_peer(int fd);
